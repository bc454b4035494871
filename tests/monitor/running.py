"""Running a Monitor over the lake, and what the tables must hold then."""

from __future__ import annotations

from typing import Any

import psycopg

from app.book import Keeper, ledger_sums
from app.domain.account import AccountKey
from app.domain.risk import RiskStatus
from app.monitor.derived import as_totals, board_lines, counts_of
from app.monitor.loop import Monitor
from app.monitor.options import MonitorOptions
from app.store.blocks import StoredBlock
from app.store.postgres.engine import Database
from app.store.risk import BoardLine
from app.store.risk_reads import load_board, load_changes, load_totals_at
from tests.book.lake import find_lake
from tests.book.tape import SECOND
from tests.fakes.site import DEVNET

POOLS = ("pond-devnet", SECOND)
QUICK = MonitorOptions(
    board_lines=8, unknown_lines=3, poll_seconds=0.05, standby_seconds=0.01, first_pause_seconds=0.0,
    longest_pause_seconds=0.0,
)  # fmt: skip


def make_monitor(database: Database, **overrides: Any) -> Monitor:
    """A monitor of the lake's chain with short pauses and a small board."""
    arguments: dict[str, Any] = {"options": QUICK, **overrides}
    return Monitor(database, DEVNET, keeper=lambda: Keeper(database, DEVNET, adapters=find_lake), **arguments)


async def statuses_at(database: Database, block: StoredBlock) -> dict[AccountKey, RiskStatus]:
    """The verdict on every account at a block."""
    keeper = Keeper(database, DEVNET, adapters=find_lake)
    await keeper.load(block)
    reading = await keeper.read()
    return {key: reading.status(key) for pool in POOLS for key in keeper.keys_of(pool)}


async def stored_board(database: Database, block: StoredBlock) -> list[BoardLine]:
    """The board that is stored of this block."""
    async with database.read() as session:
        return await load_board(session, block)


async def require_current(database: Database, block: StoredBlock) -> None:
    """Board and totals are those of this block, made anew from the store."""
    keeper = Keeper(database, DEVNET, adapters=find_lake)
    await keeper.load(block)
    reading = await keeper.read(QUICK.board_lines)
    assert await stored_board(database, block) == board_lines(reading, QUICK.board_lines, QUICK.unknown_lines)
    totals = {name: counts_of(one) for name, one in as_totals(ledger_sums(reading)).items()}
    async with database.read() as session:
        for pool in POOLS:
            stored = (await load_totals_at(session, pool, [block]))[block.id]
            counts = {(one.deployment_id, one.measure): counts_of(one) for one, _ in stored}
            assert counts == {name: found for name, found in totals.items() if name[0] == pool}


async def replayed(database: Database, start: dict[AccountKey, RiskStatus]) -> dict[AccountKey, RiskStatus]:
    """The verdicts that the stored changes lead to from `start`; every change has to fit the one before. (Of
    accounts that come owing nothing there is no change.)"""
    async with database.read() as session:
        found = await load_changes(session, DEVNET, (2**62, 0), 100_000)
    now = dict(start)
    for one in reversed(found):
        is_new = one.change.key not in now and one.change.before in (None, RiskStatus.NO_DEBT)
        assert is_new or now[one.change.key] is one.change.before, one
        now[one.change.key] = one.change.after
    return now


def count(url: str, table: str) -> int:
    """Rows of a table."""
    with psycopg.connect(url) as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])
