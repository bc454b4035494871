"""The monitor evaluates the watchlists at each block it stores a board of, and misses none when it ends in between."""

from __future__ import annotations

from typing import Any

import pytest

from app.book import Keeper
from app.store.blocks import StoredBlock, drop_blocks_above
from app.store.postgres.engine import Database
from app.store.watch.episodes import load_episodes, load_events
from app.watch.evaluate import Evaluator
from tests.book.lake import find_lake
from tests.fakes.site import DEVNET
from tests.monitor.running import make_monitor
from tests.monitor.test_monitor import Killed
from tests.watch.lake_lists import lake_evaluator, price_block, set_up_lists

pytestmark = pytest.mark.database


async def _watch(database: Database, block: StoredBlock, **overrides: Any) -> None:
    """A monitor's life up to this block."""
    await make_monitor(database, evaluator=lambda: lake_evaluator(database), **overrides).run_until(block.ref.number)


async def _story(database: Database) -> list[str]:
    async with database.read() as session:
        ids = [one.id for one in await load_episodes(session, limit=99)]
        events = sorted(await load_events(session, ids), key=lambda one: one.id)
    return [f"{one.event.kind.value} {one.event.block.number if one.event.block else '-'}" for one in events]


async def test_prices_open_escalate_and_clear_an_episode_block_by_block(database: Database) -> None:
    await set_up_lists(database)
    for number, price in enumerate((3000, 1400, 1300, 1200, 1600, 1700), 1):
        await _watch(database, await price_block(database, number, price))
    assert await _story(database) == ["opened 2", "escalated 4", "cleared 6"]


async def test_blocks_stored_at_once_are_one_evaluation(database: Database) -> None:
    await set_up_lists(database)
    await _watch(database, await price_block(database, 1, 3000))
    await price_block(database, 2, 900)
    await _watch(database, await price_block(database, 3, 3000))
    assert await _story(database) == []


async def test_a_monitor_that_ends_between_board_and_episodes_leaves_them_to_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await set_up_lists(database)
    block = await price_block(database, 1, 900)

    async def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Evaluator, "evaluate", killed)
        with pytest.raises(Killed):
            await _watch(database, block)
    assert await _story(database) == []
    await _watch(database, block)
    assert await _story(database) == ["opened 1"]


async def test_a_reorg_under_a_living_monitor_takes_its_episode_back(database: Database) -> None:
    await set_up_lists(database)
    monitor = make_monitor(database, evaluator=lambda: lake_evaluator(database))
    await price_block(database, 1, 3000)
    await monitor.run_until(1)
    await price_block(database, 2, 900)
    await monitor.run_until(2)
    async with database.write() as session:
        await drop_blocks_above(session, DEVNET, 1)
    await price_block(database, 3, 3000, fork=1)
    await monitor.run_until(3)
    assert await _story(database) == ["opened 2", "retracted 2"]


async def test_somebody_else_evaluating_the_same_blocks_changes_nothing(database: Database) -> None:
    await set_up_lists(database)
    for number, price in enumerate((3000, 900, 3000, 900), 1):
        block = await price_block(database, number, price)
        keeper = Keeper(database, DEVNET, adapters=find_lake)
        await keeper.load(block)
        await lake_evaluator(database).evaluate(keeper, await keeper.read())
        await _watch(database, block)
    assert await _story(database) == ["opened 2", "cleared 3", "opened 4"]
