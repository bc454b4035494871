"""What the monitor derives at a block, written: the board, totals, changes of status, snapshots. All of it can be made
again from the rest of the store, and goes with its block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Integer, bindparam, delete, func, literal_column, select, true, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, insert

from app.domain.account import AccountKey
from app.domain.chain import Address, ChainId
from app.domain.risk import Health, RiskStatus
from app.store.blocks import BLOCK_COLUMNS, StoredBlock, stored_block
from app.store.postgres.session import Query, ReadSession, WriteSession
from app.store.postgres.types import copy_text, integer_array
from app.store.states import given_keys, key_parameters
from app.store.tables.chain import (
    accounts,
    blocks,
    deployments,
    risk_board,
    risk_progress,
    risk_snapshots,
    risk_totals,
    status_changes,
)

_CHAIN = bindparam("chain_id", type_=BigInteger)
_BLOCK = bindparam("block_id", type_=BigInteger)
_ONE = literal_column("1", Integer)

_HOLD = Query(
    select(blocks.c.id)
    .where(blocks.c.id == _BLOCK, blocks.c.hash == bindparam("block_hash"))
    .with_for_update(read=True, key_share=True)
)
_ACCOUNT_IDS = Query(
    select(deployments.c.slug, accounts.c.wallet, accounts.c.unit, accounts.c.id).select_from(given_keys())
)
_DEPLOYMENT_IDS = Query(select(deployments.c.slug, deployments.c.id).where(deployments.c.chain_id == _CHAIN))
_CLEAR_BOARD = Query(delete(risk_board).where(risk_board.c.chain_id == _CHAIN))
_progress = insert(risk_progress).values(chain_id=_CHAIN, block_id=_BLOCK)
_NOTE_PROGRESS = Query(
    _progress.on_conflict_do_update(index_elements=["chain_id"], set_={"block_id": _progress.excluded.block_id})
)
_PROGRESS = Query(
    select(*BLOCK_COLUMNS)
    .select_from(risk_progress.join(blocks, blocks.c.id == risk_progress.c.block_id))
    .where(risk_progress.c.chain_id == _CHAIN)
)
_newest_totals = (
    select(risk_totals.c.block_id)
    .where(risk_totals.c.deployment_id == deployments.c.id)
    .order_by(risk_totals.c.block_id.desc())
    .limit(_ONE)
    .lateral("newest")
)
_NEWEST_DERIVED = Query(
    select(*BLOCK_COLUMNS)
    .select_from(deployments.join(_newest_totals, true()).join(blocks, blocks.c.id == _newest_totals.c.block_id))
    .where(deployments.c.chain_id == _CHAIN)
    .order_by(blocks.c.id.desc())
    .limit(_ONE)
)
_NEXT_BLOCKS = Query(
    select(blocks.c.id, blocks.c.number, blocks.c.timestamp)
    .where(blocks.c.chain_id == _CHAIN, blocks.c.number > bindparam("after_number", type_=BigInteger))
    .order_by(blocks.c.number)
    .limit(bindparam("most", type_=Integer))
)
_given_blocks = func.unnest(bindparam("block_ids", type_=ARRAY(BigInteger))).column_valued("old")
_doomed = (
    select(risk_snapshots.c.account_id, risk_snapshots.c.block_id)
    .where(risk_snapshots.c.block_id.in_(select(_given_blocks)))
    .limit(bindparam("most", type_=Integer))
)
_FORGET_SNAPSHOTS = Query(
    delete(risk_snapshots).where(tuple_(risk_snapshots.c.account_id, risk_snapshots.c.block_id).in_(_doomed))
)


@dataclass(frozen=True, slots=True)
class BoardLine:
    """One account among the riskiest."""

    key: AccountKey
    health: Health
    """The contract's own verdict and numbers; of an unknown account only the verdict."""
    currency: str | None
    value_decimals: int
    is_exact: bool
    """Whether the exact rule was asked; not where an oracle or a read is silent and there is nothing to ask it."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the accounts of a deployment that are counted in one measure: floats of whole units."""

    deployment_id: str
    measure: str
    """Names the measure inside the deployment: a currency, or the address of the token that is the measure."""
    currency: str | None
    liquidatable: int
    unknown: int
    healthy: int
    no_debt: int
    bands: tuple[int, ...]
    collateral: float | None
    """None, as the other sums, where what would be added up is not known to be one token."""
    capacity: float | None
    requirement: float | None


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A verdict that turned between two boards."""

    key: AccountKey
    before: RiskStatus | None
    """None: not known before."""
    after: RiskStatus
    health_factor_wad: int | None
    """The contract's own, where the exact rule was asked and there is one."""


@dataclass(frozen=True, slots=True)
class RiskSnapshot:
    """One account as the book's floats have it, in whole units."""

    key: AccountKey
    collateral: float
    requirement: float
    health: float | None


async def hold_block(session: WriteSession, block: StoredBlock) -> bool:
    """Whether this very block is stored; if so nobody can take it away before this transaction has ended."""
    return bool(await session.rows(_HOLD, block_id=block.id, block_hash=bytes(block.ref.hash)))


async def load_account_ids(session: ReadSession, keys: Sequence[AccountKey]) -> dict[AccountKey, int]:
    """Surrogate ids of those of these accounts that are known."""
    if not keys:
        return {}
    rows = await session.rows(_ACCOUNT_IDS, **key_parameters(keys))
    return {AccountKey(slug, Address(wallet), unit): account for slug, wallet, unit, account in rows}


async def store_board(
    session: WriteSession, block: StoredBlock, lines: Sequence[BoardLine], ids: dict[AccountKey, int]
) -> None:
    """Put a chain's board of this block in place of the one before, and say that it is of this block."""
    chain_id = block.ref.chain_id
    await session.rows_of_all(
        (_CLEAR_BOARD, {"chain_id": chain_id}), (_NOTE_PROGRESS, {"chain_id": chain_id, "block_id": block.id})
    )
    rows = [
        (
            chain_id,
            rank,
            block.id,
            ids[line.key],
            line.health.status.value,
            line.health.health_factor_wad,
            line.health.utilization_wad,
            line.health.collateral_value,
            line.health.debt_value,
            line.health.notional_value,
            line.currency,
            line.value_decimals,
            line.is_exact,
        )
        for rank, line in enumerate(lines, 1)
    ]
    await _copy(session, "risk_board", [column.name for column in risk_board.columns], rows)


async def store_totals(session: WriteSession, block: StoredBlock, totals: Sequence[Totals]) -> None:
    """Add totals as of this block."""
    if not totals:
        return
    rows_of_ids = await session.rows(_DEPLOYMENT_IDS, chain_id=block.ref.chain_id)
    ids = {slug: deployment_id for slug, deployment_id, *_ in rows_of_ids}
    rows = [
        (
            ids[one.deployment_id],
            block.id,
            one.measure,
            one.currency,
            one.liquidatable,
            one.unknown,
            one.healthy,
            one.no_debt,
            one.bands,
            one.collateral,
            one.capacity,
            one.requirement,
        )
        for one in totals
    ]
    await _copy(session, "risk_totals", [column.name for column in risk_totals.columns], rows)


async def store_changes(
    session: WriteSession, block: StoredBlock, changes: Sequence[StatusChange], ids: dict[AccountKey, int]
) -> None:
    """Add the changes of status that this block brought."""
    rows = [
        (ids[one.key], block.id, one.before and one.before.value, one.after.value, one.health_factor_wad)
        for one in changes
    ]
    await _copy(session, "status_changes", [column.name for column in status_changes.columns], rows)


async def store_snapshots(
    session: WriteSession, block: StoredBlock, snapshots: Sequence[RiskSnapshot], ids: dict[AccountKey, int]
) -> None:
    """Add snapshots of accounts at this block."""
    rows = [(ids[one.key], block.id, one.collateral, one.requirement, one.health) for one in snapshots]
    await _copy(session, "risk_snapshots", [column.name for column in risk_snapshots.columns], rows)


async def load_board_block(session: ReadSession, chain_id: ChainId) -> StoredBlock | None:
    """The block a chain's board is of; None before the first, and after a reorg until it is made anew."""
    rows = await session.rows(_PROGRESS, chain_id=chain_id)
    return stored_block(rows[0]) if rows else None


async def load_newest_derived(session: ReadSession, chain_id: ChainId) -> StoredBlock | None:
    """The newest block that left anything of the board behind: up to it every change of status is stored, and from it
    to the newest board there was none. None when there is nothing."""
    board = await load_board_block(session, chain_id)
    if board is not None:
        return board
    rows = await session.rows(_NEWEST_DERIVED, chain_id=chain_id)
    return stored_block(rows[0]) if rows else None


async def forget_snapshots(
    session: WriteSession, chain_id: ChainId, after_number: int, before_timestamp: int, *, blocks: int, rows: int
) -> tuple[int, int]:
    """Delete snapshots of blocks older than `before_timestamp`, of at most so many blocks above `after_number` and at
    most so many rows.

    Returns the number up to which none are left, to go on from the next time, and how many rows were deleted.
    """
    found = await session.rows(_NEXT_BLOCKS, chain_id=chain_id, after_number=after_number, most=blocks)
    old = [(block_id, number) for block_id, number, timestamp in found if timestamp < before_timestamp]
    if not old:
        return after_number, 0
    deleted = await session.run(_FORGET_SNAPSHOTS, block_ids=[block_id for block_id, _ in old], most=rows)
    return (after_number if deleted == rows else old[-1][1]), deleted


async def _copy(session: WriteSession, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = "".join("\t".join(map(_field, row)) + "\n" for row in rows)
    if text:
        await session.copy(table, columns, text)


def _field(value: Any) -> str:
    """A value as COPY takes it."""
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return copy_text(value)
    return integer_array(value) if isinstance(value, tuple) else repr(value)
