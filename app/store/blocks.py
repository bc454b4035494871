"""Blocks: the cursor, the commit of everything one block adds, and the way back when a chain forks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Integer, bindparam, delete, func, literal_column, select, true
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import insert

from app.domain.account import AccountKey
from app.domain.batch import BlockBatch
from app.domain.chain import BlockRef, ChainId, Hash32
from app.domain.market import Market, MarketRecord
from app.errors import Fatal
from app.store.commit_accounts import commit_accounts
from app.store.commit_markets import ask_records, commit_markets, commit_records
from app.store.deployments import ask_known
from app.store.footing import NOTHING_KNOWN, Footing
from app.store.postgres.engine import Asked, Query, ReadSession, Row, WriteSession
from app.store.states import ask_newest
from app.store.tables.chain import blocks
from app.store.tables.kept import first_whole

BLOCKS_CHANNEL = "waterline_blocks"
"""NOTIFY channel: `<chain id>:<newest stored block number>` after each commit and after each rollback."""

UNREADABLE_RETRY_BLOCKS = 20
"""An account that could not be read is due again this many blocks later."""


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block with everything read at it in the database. `id` orders like the number inside one chain."""

    id: int
    ref: BlockRef


class BatchRefused(Fatal):
    """A batch does not follow from what is stored: committing it would store something false."""


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
_INSERT = Query(
    insert(blocks)
    .values({name: bindparam(name) for name in ("chain_id", "number", "hash", "parent_hash", "timestamp")})
    # A block that does not fit is refused with a better message than the constraint's.
    .on_conflict_do_nothing()
    .returning(blocks.c.id)
)
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


async def commit_batch(
    session: WriteSession,
    batch: BlockBatch,
    *,
    retry_unreadable_after: int = UNREADABLE_RETRY_BLOCKS,
    footing: Footing | None = None,
) -> StoredBlock:
    """Store everything `batch` adds: all of it or, if anything fails, nothing.

    Kept is only what differs from the newest stored state. Accounts read are no longer due; unreadable ones are due
    again `retry_unreadable_after` blocks later. Listeners of BLOCKS_CHANNEL hear of it after the commit.

    Raises:
        BatchRefused (Fatal): the block is not above the stored head, does not name it as parent though it is the
            next one, or the batch names a deployment or market the database does not know.
        LockLost, CursorMoved (Retryable): the `footing` is not there any more.
    """
    ref = batch.block
    _require_distinct(batch)
    keys = [state.key for state in batch.accounts]
    parts: list[Market | MarketRecord | AccountKey] = [
        *batch.markets,
        *batch.records,
        *keys,
    ]
    slugs = sorted({one.deployment_id for one in parts})
    known = footing.known if footing is not None else NOTHING_KNOWN
    unknown_keys = [key for key in keys if key not in known.keys]
    unknown_slugs = [slug for slug in slugs if slug not in known.slugs]
    asked: list[Asked] = [
        (_HEAD, {"chain_id": ref.chain_id}),
        (_INSERT, _block_values(ref)),
        ask_records(batch.records),
    ]
    asked += [footing.ask_held()] if footing is not None else []
    asked += [ask_newest(unknown_keys)] if unknown_keys else []
    asked += [ask_known(unknown_slugs)] if unknown_slugs else []
    head, inserted, record_rows, *more = await session.rows_of_all(*asked)
    stood = stored_block(head[0]) if head else None
    if footing is not None:
        footing.require(more.pop(0), stood.id if stood is not None else None)
    _require_fit(stood, ref)
    account_rows = [*known.state_rows, *(more.pop(0) if unknown_keys else ())]
    named_rows = [row for row in known.deployment_rows if row[0] in slugs] + (more.pop(0) if unknown_slugs else [])
    block = StoredBlock(inserted[0][0], ref)
    deployment_ids, market_ids = _require_known(named_rows, slugs, ref.chain_id)
    statements = await commit_markets(session, block.id, deployment_ids, market_ids, batch.markets)
    statements += await commit_records(session, block.id, deployment_ids, batch.records, record_rows)
    statements += await commit_accounts(
        session,
        block.id,
        deployment_ids,
        market_ids,
        batch.accounts,
        account_rows,
        retry_from=ref.number + retry_unreadable_after,
    )
    await session.rows_of_all(*statements, (_NOTIFY, {"payload": f"{ref.chain_id}:{ref.number}"}))
    return block


async def drop_blocks_above(session: WriteSession, chain_id: ChainId, number: int) -> int:
    """Undo every block above `number`, with all rows that came with them; how many blocks were dropped.

    The tables are then as if those blocks had never been stored: accounts, markets and record keys that only they
    introduced are gone, and accounts read only at them are due again.
    """
    dropped = await session.run(_DROP, chain_id=chain_id, number=number)
    if dropped:
        head = await load_head(session, chain_id)
        await session.rows(_NOTIFY, payload=f"{chain_id}:{head.ref.number if head else -1}")
    return dropped


def stored_block(row: Row) -> StoredBlock:
    """A row of (id, chain_id, number, hash, parent_hash, timestamp) as a value."""
    block_id, chain_id, number, block_hash, parent_hash, timestamp = row
    return StoredBlock(block_id, BlockRef(chain_id, number, Hash32(block_hash), Hash32(parent_hash), timestamp))


def _require_fit(head: StoredBlock | None, ref: BlockRef) -> None:
    if head is None:
        return
    if ref.number <= head.ref.number:
        raise BatchRefused(f"block {ref.number} of chain {ref.chain_id} is not above the stored {head.ref.number}")
    if ref.number == head.ref.number + 1 and ref.parent_hash != head.ref.hash:
        raise BatchRefused(
            f"block {ref.number} of chain {ref.chain_id} has parent {ref.parent_hash}, stored is {head.ref.hash}"
        )


def _require_distinct(batch: BlockBatch) -> None:
    """Two states of one thing at one block would contradict each other."""
    markets = len({(one.deployment_id, one.code) for one in batch.markets})
    records = len({(one.deployment_id, one.kind, one.subject) for one in batch.records})
    accounts = len({state.key for state in batch.accounts})
    if (markets, records, accounts) != (len(batch.markets), len(batch.records), len(batch.accounts)):
        raise BatchRefused(f"the batch of block {batch.block.number} names something twice")


def _require_known(
    rows: Sequence[Row], slugs: Sequence[str], chain_id: ChainId
) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """Surrogate ids of deployments by slug, and of their markets by (slug, code)."""
    deployment_ids: dict[str, int] = {}
    market_ids: dict[tuple[str, str], int] = {}
    for slug, deployment_id, chain, code, market_id in rows:
        if chain != chain_id:
            raise BatchRefused(f"deployment {slug} is on chain {chain}, the block on chain {chain_id}")
        deployment_ids[slug] = deployment_id
        if code is not None:
            market_ids[slug, code] = market_id
    if missing := [slug for slug in slugs if slug not in deployment_ids]:
        raise BatchRefused(f"deployment {missing[0]} was never registered")
    return deployment_ids, market_ids


def _block_values(ref: BlockRef) -> dict[str, int | bytes]:
    return {
        "chain_id": ref.chain_id,
        "number": ref.number,
        "hash": bytes(ref.hash),
        "parent_hash": bytes(ref.parent_hash),
        "timestamp": ref.timestamp,
    }
