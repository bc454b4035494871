"""Deployments: what is followed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, Text, any_, bindparam, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from app.domain.chain import Address, ChainId
from app.domain.market import Deployment
from app.errors import Refused
from app.store.engine import Asked, Query, ReadSession, WriteSession
from app.store.tables import deployments, markets
from app.store.types import text_array

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
_KNOWN = Query(
    select(deployments.c.slug, deployments.c.id, deployments.c.chain_id, markets.c.code, markets.c.id)
    .select_from(deployments.outerjoin(markets, markets.c.deployment_id == deployments.c.id))
    .where(deployments.c.slug == any_(bindparam("slugs", type_=ARRAY(Text))))
)
_RESOLVE = Query(
    select(deployments.c.slug, deployments.c.id, deployments.c.chain_id).where(
        deployments.c.slug == any_(bindparam("slugs", type_=ARRAY(Text)))
    )
)


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


def ask_known(slugs: Sequence[str]) -> Asked:
    """The query for (slug, surrogate id, chain, market code, market's surrogate id) of these deployments; one without
    markets gives one row with NULL for them."""
    return _KNOWN, {"slugs": text_array(slugs)}


async def resolve_deployments(session: ReadSession, slugs: Collection[str]) -> dict[str, tuple[int, ChainId]]:
    """Surrogate id and chain of each deployment that is known."""
    return {slug: (key, chain) for slug, key, chain in await session.rows(_RESOLVE, slugs=list(slugs))}
