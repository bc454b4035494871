"""Deployments: those known, those set aside because they refuse to be read, and those nobody follows any more."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from psycopg.types.json import Jsonb
from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Integer,
    Text,
    any_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.sql.selectable import LateralFromClause

from app.domain.chain import Address, ChainId
from app.domain.market import Deployment
from app.errors import Refused
from app.store.postgres.session import Query, ReadSession, WriteSession
from app.store.states import NO_LIMIT
from app.store.tables.chain import deployment_troubles, deployments

_FIELDS = ("slug", "chain_id", "protocol", "name", "address", "start_block", "contracts")
_KEPT = ("slug", "chain_id", "protocol")

_INSERT = insert(deployments).values({name: bindparam(name) for name in _FIELDS})
_UPSERT = Query(
    _INSERT.on_conflict_do_update(
        index_elements=["slug"],
        set_={name: _INSERT.excluded[name] for name in _FIELDS if name not in _KEPT},
        where=(deployments.c.chain_id == _INSERT.excluded.chain_id)
        & (deployments.c.protocol == _INSERT.excluded.protocol),
    )
)
_CHAIN = bindparam("chain_id", type_=BigInteger)
_ALL = Query(
    select(*(deployments.c[name] for name in _FIELDS))
    .where(or_(_CHAIN.is_(None), deployments.c.chain_id == _CHAIN))
    .order_by(deployments.c.slug)
)
_RESOLVE = Query(
    select(deployments.c.slug, deployments.c.id, deployments.c.chain_id).where(
        deployments.c.slug == any_(bindparam("slugs", type_=ARRAY(Text)))
    )
)
_moment = func.unnest(
    bindparam("chain_ids", type_=ARRAY(BigInteger)), bindparam("limit_ids", type_=ARRAY(BigInteger))
).table_valued(named("chain_id", BigInteger), named("limit_id", BigInteger), name="moment")
_moment = _moment.render_derived()


def _newest_trouble(limit_id: ColumnElement[int]) -> LateralFromClause:
    """What was noted last of a deployment at the block with id `limit_id`, or before."""
    return (
        select(deployment_troubles.c.trouble, deployment_troubles.c.since_block, deployment_troubles.c.is_followed)
        .where(deployment_troubles.c.deployment_id == deployments.c.id, deployment_troubles.c.block_id <= limit_id)
        .order_by(deployment_troubles.c.block_id.desc())
        .limit(literal_column("1", Integer))
        .lateral("newest")
    )


_at_heads = _newest_trouble(_moment.c.limit_id)
_TROUBLES = Query(
    select(deployments.c.slug, _at_heads.c.trouble, _at_heads.c.since_block, _at_heads.c.is_followed)
    .select_from(_moment.join(deployments, deployments.c.chain_id == _moment.c.chain_id).join(_at_heads, true()))
    .where(_at_heads.c.trouble.is_not(None))
    .order_by(deployments.c.slug)
)
_given_block = func.unnest(bindparam("limit_ids", type_=ARRAY(BigInteger))).table_valued(
    named("limit_id", BigInteger), name="moment"
)
_given_block = _given_block.render_derived()
_trouble_then = _newest_trouble(_given_block.c.limit_id)
_TROUBLES_OVER_TIME = Query(
    select(_given_block.c.limit_id, *_trouble_then.c)
    .select_from(deployments.join(_given_block, true()).join(_trouble_then, true()))
    .where(deployments.c.slug == bindparam("slug", type_=Text), _trouble_then.c.trouble.is_not(None))
)
_NOTE_TROUBLE = Query(
    insert(deployment_troubles).from_select(
        ["deployment_id", "block_id", "trouble", "since_block", "is_followed"],
        select(
            deployments.c.id,
            bindparam("block_id", type_=BigInteger),
            bindparam("trouble", type_=Text),
            bindparam("since_block", type_=BigInteger),
            bindparam("is_followed", type_=Boolean),
        ).where(deployments.c.slug == bindparam("slug", type_=Text)),
    )
)


@dataclass(frozen=True, slots=True)
class DeploymentTrouble:
    """Why a deployment is not read. Others of its chain go on."""

    text: str
    """In words, without URLs or keys."""
    since_block: int
    """The first block not read for it: what is stored of it and its accounts is of the block before, at best."""
    is_followed: bool = True
    """It is set aside: it should be read, but its contracts do not answer as its protocol. False: nobody follows it."""


async def register_deployments(session: WriteSession, given: Sequence[Deployment]) -> None:
    """Make these deployments known, or bring their description up to date.

    Raises:
        Refused: an id is already used by a deployment on another chain or of another protocol.
    """
    for one in given:
        changed = await session.run(
            _UPSERT,
            slug=one.id,
            chain_id=one.chain_id,
            protocol=one.protocol,
            name=one.name,
            address=bytes(one.address),
            start_block=one.start_block,
            contracts=Jsonb({role: str(address) for role, address in one.contracts.items()}),
        )
        if not changed:
            raise Refused(f"deployment id {one.id} is taken by another chain or protocol: choose another id")


async def load_deployments(session: ReadSession, chain_id: ChainId | None = None) -> list[Deployment]:
    """Every deployment ever registered (of one chain), by id."""
    return [
        Deployment(
            slug,
            chain,
            protocol,
            name,
            Address(address),
            start_block,
            {role: Address.from_hex(text) for role, text in contracts.items()},
        )
        for slug, chain, protocol, name, address, start_block, contracts in await session.rows(_ALL, chain_id=chain_id)
    ]


async def resolve_deployments(session: ReadSession, slugs: Collection[str]) -> dict[str, tuple[int, ChainId]]:
    """Surrogate id and chain of each deployment that is known."""
    return {slug: (key, chain) for slug, key, chain in await session.rows(_RESOLVE, slugs=list(slugs))}


async def load_troubles(session: ReadSession, chain_ids: Collection[ChainId]) -> dict[str, str]:
    """Why followed deployments are set aside at the newest stored blocks of these chains, by deployment id.

    What is stored of such a deployment and its accounts is not of that block: nothing may be valued with it.
    """
    found = await load_troubles_at(session, dict.fromkeys(chain_ids, NO_LIMIT))
    return {slug: trouble.text for slug, trouble in found.items() if trouble.is_followed}


async def load_troubles_at(
    session: ReadSession, block_id_by_chain: Mapping[ChainId, int]
) -> dict[str, DeploymentTrouble]:
    """The deployments not read at the stored block with the given surrogate id of each chain: those set aside, and
    those nobody followed."""
    rows = await session.rows(_TROUBLES, chain_ids=list(block_id_by_chain), limit_ids=list(block_id_by_chain.values()))
    return {slug: DeploymentTrouble(text, since_block, followed) for slug, text, since_block, followed in rows}


async def load_troubles_over_time(
    session: ReadSession, slug: str, block_ids: Collection[int]
) -> dict[int, DeploymentTrouble]:
    """Why a deployment was not read at those of the stored blocks (by surrogate id) at which it was not."""
    rows = await session.rows(_TROUBLES_OVER_TIME, slug=slug, limit_ids=list(block_ids))
    return {block_id: DeploymentTrouble(*trouble) for block_id, *trouble in rows}


async def note_trouble(session: WriteSession, slug: str, block_id: int, trouble: DeploymentTrouble | None) -> None:
    """Note, with the block of surrogate id `block_id`, that a deployment is not read from there on, or (None) is read
    again. A reorg that drops the block forgets it."""
    await session.run(
        _NOTE_TROUBLE,
        slug=slug,
        block_id=block_id,
        trouble=None if trouble is None else trouble.text,
        since_block=None if trouble is None else trouble.since_block,
        is_followed=trouble is None or trouble.is_followed,
    )
