"""What the indexer last saw of each chain: for status pages and staleness, never for deciding where to go on."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from app.domain.chain import ChainId, Hash32
from app.store.postgres.session import Query, ReadSession, WriteSession
from app.store.tables.chain import chains

_FIELDS = (
    "chain_id",
    "head_number",
    "head_hash",
    "head_timestamp",
    "safe_number",
    "finalized_number",
    "observed_at",
    "trouble",
)


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """One chain as its indexer sees it. None: not known yet, or the node does not say."""

    chain_id: ChainId
    head_number: int | None
    """The node's head, which may be ahead of the newest stored block."""
    head_hash: Hash32 | None
    head_timestamp: int | None
    safe_number: int | None
    finalized_number: int | None
    observed_at: int
    """When this was written, in seconds since 1970 by the indexer's clock: an old one means a dead indexer."""
    trouble: str | None = None
    """For people: what keeps the chain from being followed just now. Never holds a URL."""


_INSERT = insert(chains).values({name: bindparam(name) for name in _FIELDS})
_OBSERVE = Query(
    _INSERT.on_conflict_do_update(
        index_elements=["chain_id"], set_={name: _INSERT.excluded[name] for name in _FIELDS[1:]}
    )
)
_ALL = Query(select(*(chains.c[name] for name in _FIELDS)).order_by(chains.c.chain_id))


async def observe(session: WriteSession, status: ChainStatus) -> None:
    """Write a chain's status over the previous one."""
    await session.run(
        _OBSERVE,
        chain_id=status.chain_id,
        head_number=status.head_number,
        head_hash=None if status.head_hash is None else bytes(status.head_hash),
        head_timestamp=status.head_timestamp,
        safe_number=status.safe_number,
        finalized_number=status.finalized_number,
        observed_at=status.observed_at,
        trouble=status.trouble,
    )


async def load_chains(session: ReadSession) -> list[ChainStatus]:
    """Every chain ever observed, by id."""
    return [
        ChainStatus(chain, number, None if head is None else Hash32(head), timestamp, safe, final, at, trouble)
        for chain, number, head, timestamp, safe, final, at, trouble in await session.rows(_ALL)
    ]
