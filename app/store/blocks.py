"""Stored blocks: the cursor, those of a range, and the way back when a chain forks."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, Integer, bindparam, delete, func, literal_column, select, true
from sqlalchemy import column as named

from app.domain.chain import BlockRef, ChainId, Hash32
from app.store.postgres.session import Asked, Query, ReadSession, Row, WriteSession
from app.store.tables.chain import blocks
from app.store.tables.kept import first_whole

BLOCKS_CHANNEL = "waterline_blocks"
"""NOTIFY channel: `<chain id>:<newest stored block number>` after each commit and after each rollback."""


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block with everything read at it in the database. `id` orders like the number inside one chain."""

    id: int
    ref: BlockRef


BLOCK_COLUMNS = (
    blocks.c.id,
    blocks.c.chain_id,
    blocks.c.number,
    blocks.c.hash,
    blocks.c.parent_hash,
    blocks.c.timestamp,
)
_CHAIN = bindparam("chain_id", type_=BigInteger)
_NUMBER = bindparam("number", type_=BigInteger)

_NEWEST_FIRST = select(*BLOCK_COLUMNS).where(blocks.c.chain_id == _CHAIN).order_by(blocks.c.number.desc())
_HEAD = Query(_NEWEST_FIRST.limit(literal_column("1", Integer)))
_AT_OR_BELOW = Query(
    _NEWEST_FIRST.where(blocks.c.number <= _NUMBER, blocks.c.number >= first_whole(_CHAIN)).limit(
        literal_column("1", Integer)
    )
)
_RECENT = Query(_NEWEST_FIRST.limit(bindparam("most", type_=Integer)))
_point = func.generate_series(
    bindparam("lowest", type_=BigInteger),
    bindparam("to_block", type_=BigInteger),
    bindparam("step", type_=BigInteger),
).table_valued(named("number", BigInteger), name="point")
_point = _point.render_derived()
_nearest = (
    select(*BLOCK_COLUMNS)
    .where(
        blocks.c.chain_id == _CHAIN,
        blocks.c.number >= bindparam("from_block", type_=BigInteger),
        blocks.c.number >= first_whole(_CHAIN),
        blocks.c.number <= _point.c.number,
    )
    .order_by(blocks.c.number.desc())
    .limit(literal_column("1", Integer))
    .lateral("nearest")
)
_SPACED = Query(select(*_nearest.c).distinct().select_from(_point.join(_nearest, true())).order_by(_nearest.c.number))
_DROP = Query(delete(blocks).where(blocks.c.chain_id == _CHAIN, blocks.c.number > _NUMBER))
_NOTIFY = Query(select(func.pg_notify(BLOCKS_CHANNEL, bindparam("payload"))))


async def load_head(session: ReadSession, chain_id: ChainId) -> StoredBlock | None:
    """The newest stored block of a chain: where the indexer goes on. None before the first."""
    rows = await session.rows(_HEAD, chain_id=chain_id)
    return stored_block(rows[0]) if rows else None


async def load_block(session: ReadSession, chain_id: ChainId, at_or_below: int) -> StoredBlock | None:
    """The newest stored block with at most that number. None when all are newer, or the history there was dropped."""
    rows = await session.rows(_AT_OR_BELOW, chain_id=chain_id, number=at_or_below)
    return stored_block(rows[0]) if rows else None


async def load_recent(session: ReadSession, chain_id: ChainId, limit: int) -> list[StoredBlock]:
    """The newest stored blocks, newest first, at most `limit`. There may be gaps between them."""
    return [stored_block(row) for row in await session.rows(_RECENT, chain_id=chain_id, most=limit)]


async def load_spaced(
    session: ReadSession, chain_id: ChainId, from_block: int, to_block: int, limit: int
) -> list[StoredBlock]:
    """At most `limit` (at least 2) stored blocks of a range (inclusive), evenly spaced in number, oldest first.

    The newest of the range is among them. Where blocks are missing, the newest below the wanted number stands in.
    """
    newest = await load_block(session, chain_id, to_block)
    if newest is None or newest.ref.number < from_block:
        return []
    step = max(1, -(-(newest.ref.number - from_block) // (limit - 1)))
    # Counted down from the newest, which is always one of them.
    lowest = newest.ref.number - step * ((newest.ref.number - from_block) // step)
    rows = await session.rows(
        _SPACED, chain_id=chain_id, from_block=from_block, lowest=lowest, to_block=newest.ref.number, step=step
    )
    return [stored_block(row) for row in rows]


async def drop_blocks_above(session: WriteSession, chain_id: ChainId, number: int) -> int:
    """Undo every block above `number`, with all rows that came with them; how many blocks were dropped.

    The tables are then as if those blocks had never been stored: accounts, markets and record keys that only they
    introduced are gone, and accounts read only at them are due again.
    """
    dropped = await session.run(_DROP, chain_id=chain_id, number=number)
    if dropped:
        head = await load_head(session, chain_id)
        await session.rows_of_all(tell_of(chain_id, head.ref.number if head else -1))
    return dropped


def tell_of(chain_id: ChainId, number: int) -> Asked:
    """The query that has listeners of BLOCKS_CHANNEL hear, once this transaction commits, of a chain's new head."""
    return _NOTIFY, {"payload": f"{chain_id}:{number}"}


def ask_head(chain_id: ChainId) -> Asked:
    """The query for the newest stored block of a chain: one row for `stored_block`, or none."""
    return _HEAD, {"chain_id": chain_id}


def stored_block(row: Row) -> StoredBlock:
    """A row of (id, chain_id, number, hash, parent_hash, timestamp) as a value."""
    block_id, chain_id, number, block_hash, parent_hash, timestamp = row
    return StoredBlock(block_id, BlockRef(chain_id, number, Hash32(block_hash), Hash32(parent_hash), timestamp))
