"""The commit of everything one block adds: all of it or nothing, and in as few round trips as it can be done in."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, bindparam
from sqlalchemy.dialects.postgresql import insert

from app.domain.account import AccountKey, AccountSnapshot
from app.domain.batch import BlockBatch
from app.domain.chain import BlockRef
from app.domain.market import Market, MarketRecord
from app.errors import Fatal
from app.store.blocks import StoredBlock, ask_head, stored_block, tell_of
from app.store.commit_accounts import commit_accounts
from app.store.commit_markets import commit_markets, commit_records
from app.store.footing import IF_IT_STANDS, Footing, Known, ask_new_ids, new_ids, raising_moved
from app.store.names import Names, ask_names, names_of
from app.store.postgres.bulk import FEW
from app.store.postgres.session import Asked, Query, Row, WriteSession
from app.store.tables.chain import blocks

UNREADABLE_RETRY_BLOCKS = 20
"""An account that could not be read is due again this many blocks later."""

SPARE_IDS = 100
"""So many new accounts in a block find their ids fetched already."""

_INSERT = Query(
    insert(blocks)
    .values(
        {name: bindparam(name) for name in ("number", "hash", "parent_hash", "timestamp")}
        | {"chain_id": bindparam("chain_id", type_=BigInteger).op("/")(IF_IT_STANDS)}
    )
    .returning(blocks.c.id)
)


class BatchRefused(Fatal):
    """A batch does not follow from what is stored: committing it would store something false."""


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

    A block of which everything is known beforehand (`footing`) and that brings neither a market nor very many rows is
    one round trip.

    Raises:
        BatchRefused (Fatal): the block is not above the stored head, does not name it as parent though it is the
            next one, or the batch names a deployment or market the database does not know.
        CursorMoved (Retryable): the `footing` is not what is stored any more.
    """
    ref = batch.block
    _require_distinct(batch)
    slugs = _slugs_of(batch)
    footing = footing or await _found_footing(session, ref, slugs)
    _require_fit(footing.cursor, ref)
    _require_registered(footing.names, slugs, ref)
    await footing.known.look_up(session, [state.key for state in batch.accounts])
    await footing.known.name_unseen(session, footing.spare_ids)
    opening: list[Asked] = [(_INSERT, _block_values(ref, footing.cursor))]
    block_id: int | None = None
    with raising_moved():
        if batch.markets or _is_large(batch):
            opening, block_id = [], _id_in(await session.rows_of_all(*opening))
        statements = await commit_markets(session, footing.names, batch.markets)
        statements += commit_records(batch.records)
        statements += await commit_accounts(
            session,
            block_id,
            footing,
            batch.accounts,
            retry_from=ref.number + retry_unreadable_after,
        )
        spare = footing.spare_ids
        missing = 0 if spare is None or len(spare) > SPARE_IDS // 2 else SPARE_IDS - len(spare)
        statements += [ask_new_ids(missing)] if missing else []
        found = await session.rows_of_all(*opening, tell_of(ref.chain_id, ref.number), *statements)
        if spare is not None and missing:
            spare += new_ids(found[-1])
    return StoredBlock(_id_in(found) if block_id is None else block_id, ref)


async def _found_footing(session: WriteSession, ref: BlockRef, slugs: Iterable[str]) -> Footing:
    """What the store says now, for a writer who has looked up nothing and is alone."""
    head, names = await session.rows_of_all(ask_head(ref.chain_id), ask_names(list(slugs)))
    return Footing(stored_block(head[0]) if head else None, names_of(names), Known())


def _id_in(found: list[list[Row]]) -> int:
    """What the block's insertion gave, which was asked first."""
    ((block_id,),) = found[0]
    return int(block_id)


def _is_large(batch: BlockBatch) -> bool:
    """Whether it may have more rows of a kind than one statement takes: then they follow the block, by COPY."""
    rows = 0
    for state in batch.accounts:
        rows += 1 + (len(state.positions) + len(state.perps) if isinstance(state, AccountSnapshot) else 0)
    return rows > FEW


def _slugs_of(batch: BlockBatch) -> list[str]:
    """The deployments a batch speaks of."""
    named: list[Market | MarketRecord | AccountKey] = [*batch.markets, *batch.records]
    named += [state.key for state in batch.accounts]
    return sorted({one.deployment_id for one in named})


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


def _require_registered(names: Names, slugs: Iterable[str], ref: BlockRef) -> None:
    for slug in slugs:
        if slug not in names.deployment_ids:
            raise BatchRefused(f"deployment {slug} was never registered")
        if (chain_id := names.chain_ids[slug]) != ref.chain_id:
            raise BatchRefused(f"deployment {slug} is on chain {chain_id}, the block on chain {ref.chain_id}")


def _block_values(ref: BlockRef, cursor: StoredBlock | None) -> dict[str, int | bytes | None]:
    return {
        "chain_id": ref.chain_id,
        "number": ref.number,
        "hash": bytes(ref.hash),
        "parent_hash": bytes(ref.parent_hash),
        "timestamp": ref.timestamp,
        "cursor_id": None if cursor is None else cursor.id,
    }
