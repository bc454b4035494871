"""Dropping old history: what is needed to answer at the limit block or any later one stays, and only that.

Of each key (a group of market numbers, an account's state, a position) the newest row at or below the limit stays, and
everything above it; so "the newest row at or below block N" is the same as before for every N from the limit on. Older
blocks can no longer be asked about: `history_limits` says so before the first row goes, and every reader heeds it.

Of `blocks` the rows below the limit go last, those that nothing names any more (`app.store.thin_blocks`).

It works through the keys by their ids, in transactions of a bounded number of rows, and locks nothing but rows that no
writer touches (a writer adds above the head, and a reorg drops above the limit). Where it was stopped does not matter:
a pass that is begun again finds the less to do.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from app.domain.chain import ChainId
from app.store.blocks import StoredBlock, load_block, load_head
from app.store.postgres.session import Query, ReadSession, WriteSession
from app.store.progress import load_first
from app.store.tables.chain import (
    account_due,
    account_states,
    accounts,
    deployments,
    log_scans,
    market_records,
    positions,
    record_keys,
    risk_totals,
    status_changes,
)
from app.store.tables.kept import history_limits
from app.store.thin_blocks import drop_unnamed

BATCH_ROWS = 2_000
"""Rows dropped at most in one transaction."""
_KEYS = 500
"""Accounts, or groups of market numbers, looked at in one."""

_CHAIN = bindparam("chain_id", type_=BigInteger)
_LIMIT = bindparam("limit_id", type_=BigInteger)
_AFTER = bindparam("after", type_=Integer)
_UP_TO = bindparam("up_to", type_=Integer)
_MOST = literal_column(str(BATCH_ROWS), Integer)


@dataclass(frozen=True, slots=True)
class _Stage:
    """One table's part of the work."""

    range: Query
    """The last id of the next few keys after one."""
    drop: Query


def _stage(table: Table, owner: Table, doomed: ColumnElement[bool]) -> _Stage:
    """Of `table`, whose first key column names a row of `owner`, drop what `doomed` says, a batch at a time."""
    keys = (
        select(owner.c.id)
        .where(owner.c.id > _AFTER)
        .order_by(owner.c.id)
        .limit(literal_column(str(_KEYS), Integer))
        .subquery("keys")
    )
    first = next(iter(table.primary_key.columns))
    owned: FromClause = owner
    if owner is not deployments:
        owned = owned.join(deployments, deployments.c.id == owner.c.deployment_id)
    owned = owned.join(table, first == owner.c.id)
    chosen = (
        select(*table.primary_key.columns)
        .select_from(owned)
        .where(deployments.c.chain_id == _CHAIN, owner.c.id > _AFTER, owner.c.id <= _UP_TO, doomed)
        .limit(_MOST)
        .subquery("chosen")
    )
    same = and_(*(column == chosen.c[column.name] for column in table.primary_key.columns))
    return _Stage(Query(select(func.max(keys.c.id))), Query(delete(table).where(same)))


def _history(table: Table, owner: Table) -> _Stage:
    """Of each key the rows below its newest one at or below the limit."""
    newer = table.alias("newer")
    same_key = (newer.c[c.name] == c for c in table.primary_key.columns if c.name != "block_id")
    between = (newer.c.block_id > table.c.block_id, newer.c.block_id <= _LIMIT)
    return _stage(table, owner, and_(table.c.block_id < _LIMIT, exists().where(*same_key, *between).correlate(table)))


_STAGES = (
    _history(market_records, record_keys),
    _history(positions, accounts),
    _history(account_states, accounts),
    _stage(account_due, accounts, account_due.c.read_at_block_id <= _LIMIT),
    _history(status_changes, accounts),
    _history(risk_totals, deployments),
)
_BLOCKS_STAGE = len(_STAGES)
_NOTE_LIMIT_VALUES = insert(history_limits).values(chain_id=_CHAIN, from_number=bindparam("number", type_=BigInteger))
_NOTE_LIMIT = Query(
    _NOTE_LIMIT_VALUES.on_conflict_do_update(
        index_elements=["chain_id"],
        set_={"from_number": func.greatest(history_limits.c.from_number, _NOTE_LIMIT_VALUES.excluded.from_number)},
    )
)
_UNSEARCHED = Query(
    select(func.min(log_scans.c.from_block))
    .select_from(log_scans.join(deployments, deployments.c.id == log_scans.c.deployment_id))
    .where(deployments.c.chain_id == _CHAIN)
)


@dataclass(frozen=True, slots=True)
class Place:
    """How far a pass has come."""

    stage: int = 0
    after: int = 0
    """Id of the last key that was looked at; of blocks, the number."""


async def find_limit(
    session: ReadSession, chain_id: ChainId, before_timestamp: int, finality_depth: int
) -> StoredBlock | None:
    """The newest stored block that is old enough and final, and not above old logs still to be searched (their
    accounts are told by whether anything is stored below them). None when there is nothing to drop below it."""
    head, first = await load_head(session, chain_id), await load_first(session, chain_id)
    if head is None or first is None:
        return None
    ((unsearched,),) = await session.rows(_UNSEARCHED, chain_id=chain_id)
    highest = head.ref.number - finality_depth
    if unsearched is not None:
        highest = min(highest, unsearched)
    found, low = None, first.ref.number
    while low <= highest:
        middle = await load_block(session, chain_id, (low + highest) // 2)
        if middle is None or middle.ref.timestamp <= before_timestamp:
            found, low = middle, (low + highest) // 2 + 1
        else:
            highest = middle.ref.number - 1
    return found if found is not None and found != first else None


async def note_limit(session: WriteSession, block: StoredBlock) -> None:
    """Have nobody ask about blocks below `block` any more. To be committed before anything is dropped."""
    await session.run(_NOTE_LIMIT, chain_id=block.ref.chain_id, number=block.ref.number)


async def thin_once(session: WriteSession, limit: StoredBlock, place: Place) -> tuple[Place | None, int]:
    """Drop at most BATCH_ROWS rows that no query at `limit` or later needs; where to go on (None: the pass is over),
    and how many rows were dropped. `limit` was noted before."""
    if place.stage == _BLOCKS_STAGE:
        reached, dropped = await drop_unnamed(session, limit.ref.chain_id, limit.ref.number, place.after)
        return (None if reached is None else Place(_BLOCKS_STAGE, reached)), dropped
    stage = _STAGES[place.stage]
    ((up_to,),) = await session.rows(stage.range, after=place.after)
    if up_to is None:
        following = place.stage + 1
        return Place(following, -1 if following == _BLOCKS_STAGE else 0), 0
    dropped = await session.run(
        stage.drop, chain_id=limit.ref.chain_id, limit_id=limit.id, after=place.after, up_to=up_to
    )
    return (place if dropped == BATCH_ROWS else Place(place.stage, up_to)), dropped
