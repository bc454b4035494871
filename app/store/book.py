"""What changed on a chain between two of its stored blocks: what a book in memory is kept current with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, bindparam, func, select, union
from sqlalchemy.dialects.postgresql import distinct_on

from app.domain.account import AccountKey, AccountState, NotYetRead
from app.domain.chain import ChainId
from app.domain.market import MarketRecord
from app.store.blocks import StoredBlock
from app.store.postgres.session import Query, ReadSession
from app.store.states import assemble, given_keys, key_parameters, with_states
from app.store.tables.chain import (
    account_states,
    accounts,
    blocks,
    deployments,
    market_descriptions,
    market_records,
    markets,
    positions,
    record_keys,
)

_CHAIN = bindparam("chain_id", type_=BigInteger)
_AFTER = bindparam("after_id", type_=BigInteger)
_LIMIT = bindparam("limit_id", type_=BigInteger)
_NAMES = (accounts.c.id, deployments.c.slug, accounts.c.wallet, accounts.c.unit)

_touched = union(
    select(account_states.c.account_id).where(account_states.c.block_id > _AFTER, account_states.c.block_id <= _LIMIT),
    select(positions.c.account_id).where(positions.c.block_id > _AFTER, positions.c.block_id <= _LIMIT),
).subquery("touched")
_CHANGED_ACCOUNTS = Query(
    with_states(
        _touched.join(accounts, accounts.c.id == _touched.c.account_id).join(
            deployments, (deployments.c.id == accounts.c.deployment_id) & (deployments.c.chain_id == _CHAIN)
        ),
        accounts.c.id,
        _LIMIT,
        *_NAMES,
    )
)
_STATES = Query(with_states(given_keys(), accounts.c.id, _LIMIT, *_NAMES))
_CHANGED_RECORDS = Query(
    select(deployments.c.slug, record_keys.c.kind, record_keys.c.subject, market_records.c["values"])
    .select_from(
        market_records.join(record_keys, record_keys.c.id == market_records.c.key_id).join(
            deployments, deployments.c.id == record_keys.c.deployment_id
        )
    )
    .where(deployments.c.chain_id == _CHAIN, market_records.c.block_id > _AFTER, market_records.c.block_id <= _LIMIT)
    .order_by(record_keys.c.id, market_records.c.block_id.desc())
    .ext(distinct_on(record_keys.c.id))
)
_DESCRIBED = Query(
    select(deployments.c.slug)
    .distinct()
    .select_from(
        market_descriptions.join(markets, markets.c.id == market_descriptions.c.market_id).join(
            deployments, deployments.c.id == markets.c.deployment_id
        )
    )
    .where(
        deployments.c.chain_id == _CHAIN,
        market_descriptions.c.block_id > _AFTER,
        market_descriptions.c.block_id <= _LIMIT,
    )
)
_STORED = Query(
    select(blocks.c.id).where(
        blocks.c.id == bindparam("block_id", type_=BigInteger), blocks.c.hash == bindparam("block_hash")
    )
)
_COUNT = Query(select(func.count()).where(blocks.c.chain_id == _CHAIN, blocks.c.id > _AFTER, blocks.c.id <= _LIMIT))


@dataclass(frozen=True, slots=True)
class ChainDelta:
    """What changed above one stored block, up to another."""

    accounts: tuple[AccountState, ...]
    """Every account whose own state changed, as it is at the upper block."""
    records: dict[str, tuple[MarketRecord, ...]]
    """By deployment: the records that changed, in the order of `load_records`."""
    described: frozenset[str]
    """Deployments whose list of markets, or what one of them is called, changed."""
    blocks: int
    """Stored blocks above the lower one."""


async def load_delta(session: ReadSession, chain_id: ChainId, after: StoredBlock, to: StoredBlock) -> ChainDelta:
    """Everything that the stored blocks above `after`, up to `to`, brought to a chain."""
    bounds = {"chain_id": chain_id, "after_id": after.id, "limit_id": to.id}
    states, rows, described, counted = await session.rows_of_all(
        (_CHANGED_ACCOUNTS, bounds),
        (_CHANGED_RECORDS, bounds),
        (_DESCRIBED, bounds),
        (_COUNT, bounds),
    )
    records: dict[str, list[MarketRecord]] = {}
    for slug, kind, subject, values in rows:
        records.setdefault(slug, []).append(MarketRecord(slug, kind, subject, tuple(values)))
    return ChainDelta(
        tuple(state for state in assemble(states).values() if not isinstance(state, NotYetRead)),
        {slug: tuple(found) for slug, found in records.items()},
        frozenset(slug for (slug,) in described),
        counted[0][0],
    )


async def load_states(session: ReadSession, keys: Sequence[AccountKey], block: StoredBlock) -> list[AccountState]:
    """Those of these accounts that were read at or below `block`, each as it is there."""
    if not keys:
        return []
    found = assemble(await session.rows(_STATES, **key_parameters(keys), limit_id=block.id)).values()
    return [state for state in found if not isinstance(state, NotYetRead)]


async def is_stored(session: ReadSession, block: StoredBlock) -> bool:
    """Whether this very block is still stored, and not replaced by another of its height."""
    return bool(await session.rows(_STORED, block_id=block.id, block_hash=bytes(block.ref.hash)))
