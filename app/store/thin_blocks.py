"""Dropping rows of `blocks` that nothing names any more.

Everything hangs off blocks: a row of `blocks` takes with it what names it. So a block below the limit goes only when no
column of any table holds its id. Those columns are found by their names (`..._block_id`), so that a table added later
is asked too. Two kinds of names are not such columns: steps of episodes that stand name their block without a foreign
key, and its absence would read as a reorg; so would that of the blocks a chain's rules were evaluated at last.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    Select,
    Table,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.selectable import Exists

from app.store.postgres.session import Query, WriteSession
from app.store.tables import audit as tables_audit
from app.store.tables import tracked as tables_tracked
from app.store.tables import watch as tables_watch
from app.store.tables.chain import blocks, metadata

_BLOCKS = 200
"""Blocks looked at in one transaction."""
_BESIDES = (tables_audit.audits, tables_tracked.tracked_wallets, tables_watch.watch_progress)
"""Of modules that add to the metadata: without them their columns would not be found."""
_APART: frozenset[Table] = frozenset({tables_watch.episode_events, tables_watch.watch_progress})

_CHAIN = bindparam("chain_id", type_=BigInteger)


def columns_naming_blocks() -> list[Column[int]]:
    """Every column that holds a block's id, of whatever table."""
    return [
        column
        for table in metadata.sorted_tables
        for column in table.columns
        if column.name == "block_id" or column.name.endswith("_block_id")
    ]


def _is_there(*conditions: ColumnElement[bool]) -> Exists:
    """Whether there is such a row. OFFSET 0 makes it a look-up for each block, whatever the planner thinks: a table
    that was small when the plan was made would be read whole for every few blocks."""
    return select(literal_column("1")).where(*conditions).offset(literal_column("0", Integer)).exists()


def _mentions() -> Iterator[Exists]:
    """Whatever may name a block, each a look-up by an index."""
    for column in columns_naming_blocks():
        if column.table not in _APART:
            yield _is_there(column == blocks.c.id)
    events = tables_watch.episode_events
    yield _is_there(
        events.c.chain_id == blocks.c.chain_id,
        events.c.block_number == blocks.c.number,
        events.c.retracted_at.is_(None),
        events.c.block_id.is_not(None),
        events.c.block_id == blocks.c.id,
    )
    progress = tables_watch.watch_progress
    yield _is_there(
        progress.c.chain_id == blocks.c.chain_id,
        or_(progress.c.block_id == blocks.c.id, blocks.c.id == func.any(progress.c.trail)),
    )


# One "or" of them all: the first that is so ends the asking, and the planner does not make twenty joins of it.
_IS_NAMED = or_(*_mentions())
_below = (
    select(blocks.c.number)
    .where(
        blocks.c.chain_id == _CHAIN,
        blocks.c.number > bindparam("after", type_=BigInteger),
        blocks.c.number < bindparam("limit_number", type_=BigInteger),
    )
    .order_by(blocks.c.number)
    .limit(literal_column(str(_BLOCKS), Integer))
    .subquery("below")
)
_RANGE = Query(select(func.max(_below.c.number)))


def _unnamed() -> Select[tuple[int]]:
    return select(blocks.c.id).where(~_IS_NAMED)


_HOLD = Query(
    _unnamed()
    .where(
        blocks.c.chain_id == _CHAIN,
        blocks.c.number > bindparam("after", type_=BigInteger),
        blocks.c.number <= bindparam("up_to", type_=BigInteger),
    )
    .with_for_update(of=blocks, skip_locked=True)
)
_DROP = Query(delete(blocks).where(blocks.c.id == func.any(bindparam("ids", type_=ARRAY(BigInteger))), ~_IS_NAMED))


async def drop_unnamed(session: WriteSession, chain_id: int, limit_number: int, after: int) -> tuple[int | None, int]:
    """Drop those of the next few blocks above `after` and below the limit that nothing names; the number of the last
    one looked at (None: there were no more), and how many were dropped.

    They are held first, and asked about again then: whoever was about to name one has done so by now, or cannot.
    """
    ((up_to,),) = await session.rows(_RANGE, chain_id=chain_id, after=after, limit_number=limit_number)
    if up_to is None:
        return None, 0
    held = [id for (id,) in await session.rows(_HOLD, chain_id=chain_id, after=after, up_to=up_to)]
    return up_to, await session.run(_DROP, ids=held) if held else 0
