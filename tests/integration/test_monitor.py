"""Every protocol on one chain, followed by an indexer, and a monitor beside it: at every block the board is right.

Book and exact rule agree on the verdict of every account, floats are as near to the contract's health factor as they
say, and whoever the contracts call liquidatable is on the board of that very block.
"""

from __future__ import annotations

import asyncio
import math
import os
import resource
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from app.book import Keeper, Reading
from app.domain.account import AccountKey
from app.domain.risk import Health, RiskStatus
from app.domain.units import WAD
from app.monitor.loop import Monitor
from app.monitor.options import MonitorOptions
from app.store.accounts import load_accounts
from app.store.blocks import StoredBlock
from app.store.postgres.engine import Database
from app.store.risk_reads import load_board, load_changes
from app.valuation.assess import quick_health
from devnet.world import NEIGHBOURS, World
from tests.fixtures.devnet import WorldFactory
from tests.integration.contracts import words_of
from tests.integration.following import Following, following

pytestmark = [pytest.mark.devnet, pytest.mark.database, pytest.mark.timeout(7200)]

BLOCKS = int(os.environ.get("MONITOR_BLOCKS", "25"))
WALLETS = int(os.environ.get("MONITOR_WALLETS", "60"))
DAY = 86_400
RELATIVE = 1e-9


class Watch:
    """A keeper of the test's own that walks beside the monitor, and what was compared."""

    def __init__(self, followed: Following, monitor: Monitor) -> None:
        self._followed, self._monitor = followed, monitor
        self._world, self._database = followed.world, followed.database
        self._keeper = Keeper(followed.database, followed.world.chain_id)
        self.compared: Counter[tuple[str, str]] = Counter()
        """Verdicts by deployment and status."""
        self.wide: Counter[str] = Counter()
        """Accounts by deployment whose floats are further off than `RELATIVE`, within what rounding explains."""
        self.seconds: list[float] = []
        """From the indexer's commit to the board."""

    async def board_of_head(self) -> StoredBlock:
        """Wait for the board of the world's newest block."""
        started = time.perf_counter()
        async with asyncio.timeout(120):
            while self._monitor.written is None or self._monitor.written.ref != self._followed.indexer.cursor:
                await asyncio.sleep(0.0005)
        self.seconds.append(time.perf_counter() - started)
        assert self._monitor.written.ref.number == self._world.block_number
        return self._monitor.written

    async def compare(self, block: StoredBlock) -> None:
        """Book, exact rule, board and contracts at this block."""
        if self._keeper.at is None:
            await self._keeper.load(block)
        else:
            await self._keeper.rewind()
            await self._keeper.advance(block)
        reading = await self._keeper.read()
        exact = await self._exact(block)
        for key, health in exact.items():
            assert reading.status(key) is health.status, f"block {block.ref.number}, {key}: {health}"
            self.compared[key.deployment_id, health.status.value] += 1
        self._compare_floats(reading, exact)
        await self._compare_board(block, exact)

    async def _exact(self, block: StoredBlock) -> dict[AccountKey, Health]:
        found: dict[AccountKey, Health] = {}
        async with self._database.read() as session:
            for name, kept in self._keeper.kept.items():
                accounts = await load_accounts(session, name, block)
                found |= {account.key: quick_health(kept.state, account) for account in accounts}
        return found

    def _compare_floats(self, reading: Reading, exact: dict[AccountKey, Health]) -> None:
        screen = reading.screen
        low, high = screen.health_bounds()
        for key, health in exact.items():
            if health.health_factor_wad is None or key in reading.exact_only:
                continue
            factor, place = health.health_factor_wad / WAD, screen.place(key)
            approximate = float(screen.health[place])
            if math.isclose(approximate, factor, rel_tol=RELATIVE):
                continue
            where = f"{key}: exact {factor!r}, book {approximate!r}, bounds {low[place]!r} {high[place]!r}"
            assert low[place] - 1e-15 <= factor <= high[place] * (1 + 1e-15), where
            self.wide[key.deployment_id] += 1

    async def _compare_board(self, block: StoredBlock, exact: dict[AccountKey, Health]) -> None:
        async with self._database.read() as session:
            board = {line.key: line.health for line in await load_board(session, block)}
        assert board
        for key, health in board.items():
            assert health == exact[key], f"block {block.ref.number}, {key}"
        doomed = {key for key, health in exact.items() if health.status is RiskStatus.LIQUIDATABLE}
        assert {key for key, health in board.items() if health.status is RiskStatus.LIQUIDATABLE} == doomed
        said = words_of(self._world, self._world.wallets)
        called = {AccountKey(*name) for name, word in said.items() if word.liquidatable}
        assert called <= board.keys(), f"block {block.ref.number}: missing {called - board.keys()}"
        self.compared["contracts", "liquidatable"] += len(called)


async def live(world: World, watch: Watch, followed: Following, blocks: int) -> Counter[str]:
    """Let the world live, comparing at every block; what happened."""
    happened: Counter[str] = Counter()
    for number in range(1, blocks + 1):
        if number % 20 == 0:
            world.time_jump(3 * DAY)
        if number % 12 == 0:
            world.set_price("WETH", world.prices()["WETH"] * 94 // 100)
        if number % 17 == 0:
            await asyncio.to_thread(world.reorg, 3)
            happened["forks"] += 1
        step = await asyncio.to_thread(world.step)
        await followed.caught_up()
        await watch.compare(await watch.board_of_head())
        happened["actions"] += len(step.succeeded)
        happened["liquidations"] += sum(label.startswith("liquidat") for label in step.succeeded)
    return happened


async def test_the_board_is_right_at_every_block_with_every_protocol(
    make_world: WorldFactory, database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world(seed=12, wallets=WALLETS, protocols=tuple(NEIGHBOURS))
    async with following(world, database, tmp_path) as followed:
        monitor = Monitor(database, world.chain_id, options=MonitorOptions(poll_seconds=5))
        running = asyncio.create_task(monitor.run())
        watch = Watch(followed, monitor)
        try:
            happened = await live(world, watch, followed, BLOCKS)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        async with database.read() as session:
            changes = await load_changes(session, world.chain_id, (2**62, 0), 100_000)
    assert happened["liquidations"] > 0
    assert watch.compared["contracts", "liquidatable"] > 0
    assert any(one.change.after is RiskStatus.LIQUIDATABLE for one in changes)
    seconds = sorted(watch.seconds)
    with capsys.disabled():
        print(
            f"\nmonitor: {sum(watch.compared.values()):,} verdicts over {BLOCKS} blocks {dict(watch.compared)}, "
            f"further off than {RELATIVE} but within bounds: {dict(watch.wide)}; {len(changes)} changes of status; "
            f"commit to board ms: median {1000 * seconds[len(seconds) // 2]:.1f}, worst {1000 * seconds[-1]:.1f}; "
            f"memory of the whole test {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB "
            f"({dict(happened)})"
        )
