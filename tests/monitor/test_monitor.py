"""The board, the totals and the changes of status are those of the newest block, whatever happened on the way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from app.domain.risk import RiskStatus
from app.monitor import loop
from app.monitor.metrics import MonitorMetrics
from app.monitor.options import MonitorOptions
from app.store import risk
from app.store.blocks import StoredBlock
from app.store.postgres.engine import Database
from app.store.postgres.session import WriteSession
from app.store.risk_reads import load_changes
from tests.book.tape import Tape
from tests.fakes.pond import DOLLAR, ETHER, USD8, pond_account, pond_records
from tests.fakes.site import DEVNET, Site, open_site, wallet
from tests.monitor.running import QUICK, count, make_monitor, replayed, require_current, statuses_at, stored_board
from tests.store.dump import empty

pytestmark = pytest.mark.database


class Killed(BaseException):
    """Ends a monitor as the end of its process would: nothing of it catches this."""


async def _live(url: str, seed: int, steps: list[str]) -> None:
    """Carry the steps out with monitors that come and go; whenever one has caught up, everything has to fit."""
    database = Database(url)
    try:
        tape = Tape(database, seed)
        first = await tape.grow()
        monitor = make_monitor(database)
        await monitor.run_until(first.ref.number)
        start = await statuses_at(database, first)
        for step in steps:
            match step:
                case "grow":
                    await tape.grow()
                case "drop":
                    await tape.drop(tape.dice.randrange(1, 4))
                    await tape.grow()
                case "restart":
                    monitor = make_monitor(database)
                case _:
                    monitor.written = None
                    await monitor.run_until(tape.blocks[-1].ref.number)
                    await require_current(database, tape.blocks[-1])
                    known = await replayed(database, start)
                    now = await statuses_at(database, tape.blocks[-1])
                    assert {k: s for k, s in known.items() if s is not RiskStatus.NO_DEBT} == {
                        k: s for k, s in now.items() if s is not RiskStatus.NO_DEBT
                    }
    finally:
        await database.dispose()


_steps = st.lists(
    st.sampled_from(["grow", "grow", "grow", "look", "look", "drop", "restart"]), min_size=4, max_size=20
).map(lambda steps: [*steps, "look"])


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), steps=_steps)
def test_what_is_stored_is_that_of_the_newest_block_after_any_sequence(
    database_url: str, seed: int, steps: list[str]
) -> None:
    empty(database_url)
    asyncio.run(_live(database_url, seed, steps))


@pytest.mark.parametrize(
    "place", ["hold_block", "load_account_ids", "store_board", "store_totals", "store_changes", "store_snapshots",
              "forget_snapshots"],
)  # fmt: skip
async def test_a_monitor_killed_at_any_line_leaves_a_whole_board_and_the_next_one_goes_on(
    database: Database, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    tape = Tape(database, 5)
    for _ in range(8):
        await tape.grow()
    before = tape.blocks[-1]
    await make_monitor(database).run_until(before.ref.number)
    start = await statuses_at(database, before)
    whole = await stored_board(database, before)
    for _ in range(3):
        await tape.grow()
    with monkeypatch.context() as patched:
        patched.setattr(loop, place, _killing(getattr(loop, place), after=place == "forget_snapshots"))
        with pytest.raises(Killed):
            await make_monitor(database).run_until(tape.blocks[-1].ref.number)
    if place == "forget_snapshots":
        await require_current(database, tape.blocks[-1])
    else:
        assert await stored_board(database, before) == whole
    await tape.grow()
    await make_monitor(database).run_until(tape.blocks[-1].ref.number)
    await require_current(database, tape.blocks[-1])
    known, now = await replayed(database, start), await statuses_at(database, tape.blocks[-1])
    assert {key: known.get(key, RiskStatus.NO_DEBT) for key in now} == now


def _killing(real: Any, *, after: bool) -> Any:
    async def killed(*arguments: Any, **named: Any) -> Any:
        if after:
            await real(*arguments, **named)
        raise Killed

    return killed


async def test_a_block_that_vanishes_while_its_board_is_made_leaves_none(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = Tape(database, 5)
    monitor = make_monitor(database)
    first = await tape.grow()
    running = asyncio.create_task(monitor.run())
    try:
        await _written(monitor, tape)
        start = await statuses_at(database, first)
        for _ in range(4):
            await tape.grow()
            await _written(monitor, tape)
        real, is_dropped = risk.hold_block, asyncio.Event()

        async def hold_block(session: WriteSession, block: StoredBlock) -> bool:
            if not is_dropped.is_set():
                await tape.drop(2)
                is_dropped.set()
            return await real(session, block)

        monkeypatch.setattr(loop, "hold_block", hold_block)
        await tape.grow()
        await asyncio.wait_for(is_dropped.wait(), 120)
        await _written(monitor, tape)
        await require_current(database, tape.blocks[-1])
        await tape.grow()
        await _written(monitor, tape)
        await require_current(database, tape.blocks[-1])
        known, now = await replayed(database, start), await statuses_at(database, tape.blocks[-1])
        assert {key: known.get(key, RiskStatus.NO_DEBT) for key in now} == now
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_second_monitor_stands_by_and_takes_over(database: Database) -> None:
    tape = Tape(database, 2)
    await tape.grow()
    first, second = make_monitor(database), make_monitor(database)
    leading = asyncio.create_task(first.run())
    await _written(first, tape)
    standing_by = asyncio.create_task(second.run())
    try:
        await tape.grow()
        await _written(first, tape)
        assert second.written is None
        leading.cancel()
        await asyncio.gather(leading, return_exceptions=True)
        await tape.grow()
        await _written(second, tape)
        await require_current(database, tape.blocks[-1])
    finally:
        for task in (leading, standing_by):
            task.cancel()
        await asyncio.gather(leading, standing_by, return_exceptions=True)


async def test_a_block_is_heard_of_without_looking(database: Database) -> None:
    tape = Tape(database, 2)
    await tape.grow()
    options = MonitorOptions(poll_seconds=600)
    monitor = make_monitor(database, options=options)
    running = asyncio.create_task(monitor.run())
    try:
        for _ in range(5):
            await _written(monitor, tape)
            await tape.grow()
        await tape.drop(2)
        await _written(monitor, tape)
        assert await stored_board(database, tape.blocks[-1])
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def _written(monitor: loop.Monitor, tape: Tape) -> None:
    async with asyncio.timeout(120):
        while monitor.written != tape.blocks[-1]:
            await asyncio.sleep(0.002)


async def test_blocks_that_came_at_once_are_folded_into_the_newest_and_counted(database: Database) -> None:
    tape = Tape(database, 2)
    metrics = MonitorMetrics(CollectorRegistry())
    monitor = make_monitor(database, metrics=metrics)
    await tape.grow()
    await monitor.run_until(1)
    for _ in range(4):
        await tape.grow()
    await monitor.run_until(5)
    assert metrics.blocks_folded.labels(str(DEVNET))._value.get() == 3
    assert metrics.board_block.labels(str(DEVNET))._value.get() == 5
    assert metrics.blocks_behind.labels(str(DEVNET))._value.get() == 0


@pytest.fixture
async def site(database: Database) -> Any:
    opened = open_site(database)
    await opened.register()
    yield opened
    await opened.client.aclose()


async def test_a_change_of_status_says_from_to_and_the_contracts_own_health_factor(
    site: Site, database: Database
) -> None:
    ann, bob = wallet(1), wallet(2)
    monitor = make_monitor(database)
    await site.commit(1, [pond_account(ann, weth=ETHER, usdc_debt=2000 * DOLLAR)])
    await monitor.run_until(1)
    await site.commit(2, [pond_account(bob, block_number=2, weth=ETHER, usdc_debt=100 * DOLLAR)])
    await monitor.run_until(2)
    await site.commit(3, records=pond_records(weth=2499 * USD8))
    await monitor.run_until(3)
    await site.commit(4, records=pond_records(weth=None))
    await monitor.run_until(4)
    async with database.read() as session:
        found = [(one.block.ref.number, one.change) for one in await load_changes(session, DEVNET, (2**62, 0), 10)]
        narrowed = await load_changes(session, DEVNET, (2**62, 0), 10, after=RiskStatus.LIQUIDATABLE)
    healthy, liquidatable, unknown = RiskStatus.HEALTHY, RiskStatus.LIQUIDATABLE, RiskStatus.UNKNOWN
    assert sorted((n, c.key.wallet, c.before, c.after, c.health_factor_wad) for n, c in found) == sorted(
        [
            (2, bob, None, healthy, 24 * 10**18),
            (3, ann, healthy, liquidatable, 999600000000000000),
            (4, ann, liquidatable, unknown, None),
            (4, bob, healthy, unknown, None),
        ]
    )
    assert [one.change.key.wallet for one in narrowed] == [ann]


async def test_everybody_whose_oracle_falls_silent_is_told_of_on_the_board_or_not(
    site: Site, database: Database
) -> None:
    monitor = make_monitor(database)
    owing = [pond_account(wallet(one), weth=ETHER, usdc_debt=1000 * DOLLAR) for one in range(3 * QUICK.board_lines)]
    await site.commit(1, owing)
    await monitor.run_until(1)
    await site.commit(2, records=pond_records(weth=None))
    await monitor.run_until(2)
    async with database.read() as session:
        found = [one.change for one in await load_changes(session, DEVNET, (2**62, 0), 100)]
    assert {change.key for change in found} == {account.key for account in owing}
    assert {change.after for change in found} == {RiskStatus.UNKNOWN}
    block = await site.commit(3, records=pond_records())
    await monitor.run_until(3)
    async with database.read() as session:
        back = [one.change for one in await load_changes(session, DEVNET, (2**62, 0), 100) if one.block == block]
    assert {change.key for change in back} == {account.key for account in owing}
    assert {(one.before, one.after, one.health_factor_wad) for one in back} == {
        (RiskStatus.UNKNOWN, RiskStatus.HEALTHY, 24 * 10**17)
    }


async def test_totals_get_a_row_where_something_changed_and_each_hour(
    site: Site, database: Database, database_url: str
) -> None:
    monitor = make_monitor(database)
    await site.commit(1, [pond_account(wallet(1), weth=ETHER, usdc_debt=2000 * DOLLAR)])
    await monitor.run_until(1)
    assert (count(database_url, "risk_totals"), count(database_url, "risk_snapshots")) == (1, 1)
    for number in range(2, 8):
        await site.commit(number, records=pond_records(weth=(3000 + number) * USD8))
        await monitor.run_until(number)
    assert count(database_url, "risk_totals") == 1
    await site.commit(100, records=pond_records(weth=3100 * USD8))
    await monitor.run_until(100)
    assert count(database_url, "risk_totals") == 2
    await site.commit(101, records=pond_records(weth=1000 * USD8))
    await monitor.run_until(101)
    assert (count(database_url, "risk_totals"), count(database_url, "risk_snapshots")) == (3, 2)
    await site.commit(101 + 3600, records=pond_records(weth=1000 * USD8))
    await monitor.run_until(101 + 3600)
    assert (count(database_url, "risk_totals"), count(database_url, "risk_snapshots")) == (4, 3)


async def test_snapshots_are_kept_for_a_limited_time_and_deleted_piece_by_piece(
    site: Site, database: Database, database_url: str
) -> None:
    options = MonitorOptions(retention_seconds=10_000, forget_rows=2, snapshot_seconds=3600)
    monitor = make_monitor(database, options=options)
    owing = [pond_account(wallet(one), weth=ETHER, usdc_debt=2000 * DOLLAR) for one in range(3)]
    await site.commit(1, owing)
    await monitor.run_until(1)
    for number in (4_000, 8_000, 9_000):
        await site.commit(number, bare=True)
        await monitor.run_until(number)
    assert count(database_url, "risk_snapshots") == 9
    left = []
    for number in (20_000, 20_001, 20_002, 20_003, 20_004):
        await site.commit(number, bare=True)
        await monitor.run_until(number)
        left.append(count(database_url, "risk_snapshots"))
    assert left == [10, 8, 6, 4, 3]


async def test_everything_goes_with_its_block(site: Site, database: Database, database_url: str) -> None:
    await site.commit(1, [pond_account(wallet(1), weth=ETHER, usdc_debt=2000 * DOLLAR)])
    await make_monitor(database).run_until(1)
    await site.commit(2, records=pond_records(weth=1000 * USD8))
    await make_monitor(database).run_until(2)
    assert count(database_url, "status_changes") == 1
    await site.drop_above(0)
    tables = ("risk_progress", "risk_board", "risk_totals", "status_changes", "risk_snapshots")
    assert [count(database_url, table) for table in tables] == [0] * 5


async def test_every_liquidatable_account_is_on_the_board_however_many_there_are(
    site: Site, database: Database
) -> None:
    owing = [pond_account(wallet(one), weth=ETHER, usdc_debt=2500 * DOLLAR) for one in range(QUICK.board_lines + 5)]
    safe = [pond_account(wallet(100 + one), weth=ETHER, usdc_debt=2300 * DOLLAR) for one in range(4)]
    block = await site.commit(1, [*owing, *safe])
    await make_monitor(database).run_until(1)
    board = await stored_board(database, block)
    assert {line.key.wallet for line in board} == {account.key.wallet for account in owing}
    assert all(line.health.status is RiskStatus.LIQUIDATABLE and line.is_exact for line in board)
