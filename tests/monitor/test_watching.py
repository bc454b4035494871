"""The monitor evaluates the watchlists at each block it stores a board of, and misses none when it ends in between."""

from __future__ import annotations

from typing import Any

import pytest

from app.book import Keeper
from app.domain.account import AccountKey
from app.domain.batch import BlockBatch
from app.domain.units import WAD
from app.domain.watch import Member, Metric, Rule, Severity
from app.store.blocks import StoredBlock, commit_batch, drop_blocks_above
from app.store.deployments import register_deployments
from app.store.engine import Database
from app.store.episodes import load_episodes, load_events
from app.store.watch_members import add_members
from app.store.watch_rules import create_rule
from app.store.watchlists import create_list
from app.watch.evaluate import Evaluator
from app.watch.ledger import StoredLedger
from app.watch.measures import Measures
from tests.book.lake import find_lake
from tests.fakes.pond import DOLLAR, ETHER, USD8, pond_account, pond_deployment, pond_markets, pond_records
from tests.fakes.site import DEVNET, EPOCH, block_ref, wallet
from tests.monitor.running import make_monitor
from tests.monitor.test_monitor import Killed

pytestmark = pytest.mark.database

WHO = AccountKey("pond-devnet", wallet(1))


async def _set_up(database: Database) -> None:
    async with database.write() as session:
        await register_deployments(session, [pond_deployment()])
        list_id = await create_list(session, "treasury", "", EPOCH)
        await add_members(session, list_id, [Member(WHO.wallet)], EPOCH)
        levels = {Severity.WARNING: 12 * WAD // 10, Severity.CRITICAL: WAD}
        await create_rule(session, Rule(0, list_id, "health", Metric.HEALTH_FACTOR, levels, 13 * WAD // 10), EPOCH)


async def _grow(database: Database, number: int, ether_price: int, *, fork: int = 0) -> StoredBlock:
    """A wallet with one ether that owes 1,000 dollars: health is 80 % of the price in thousands."""
    account = pond_account(WHO.wallet, block_number=number, weth=ETHER, usdc_debt=1000 * DOLLAR)
    records = pond_records(weth=ether_price * USD8)
    ref = block_ref(number, fork=fork)
    async with database.write() as session:
        return await commit_batch(session, BlockBatch(ref, pond_markets(), records, (account,)))


def _evaluator(database: Database) -> Evaluator:
    return Evaluator(StoredLedger(database), Measures(database, adapters=find_lake), clock=lambda: EPOCH)


async def _watch(database: Database, block: StoredBlock, **overrides: Any) -> None:
    """A monitor's life up to this block."""
    await make_monitor(database, evaluator=lambda: _evaluator(database), **overrides).run_until(block.ref.number)


async def _story(database: Database) -> list[str]:
    async with database.read() as session:
        ids = [one.id for one in await load_episodes(session, limit=99)]
        events = sorted(await load_events(session, ids), key=lambda one: one.id)
    return [f"{one.event.kind.value} {one.event.block.number if one.event.block else '-'}" for one in events]


async def test_prices_open_escalate_and_clear_an_episode_block_by_block(database: Database) -> None:
    await _set_up(database)
    for number, price in enumerate((3000, 1400, 1300, 1200, 1600, 1700), 1):
        await _watch(database, await _grow(database, number, price))
    assert await _story(database) == ["opened 2", "escalated 4", "cleared 6"]


async def test_blocks_stored_at_once_are_one_evaluation(database: Database) -> None:
    await _set_up(database)
    await _watch(database, await _grow(database, 1, 3000))
    await _grow(database, 2, 900)
    await _watch(database, await _grow(database, 3, 3000))
    assert await _story(database) == []


async def test_a_monitor_that_ends_between_board_and_episodes_leaves_them_to_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _set_up(database)
    block = await _grow(database, 1, 900)

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
    await _set_up(database)
    monitor = make_monitor(database, evaluator=lambda: _evaluator(database))
    await _grow(database, 1, 3000)
    await monitor.run_until(1)
    await _grow(database, 2, 900)
    await monitor.run_until(2)
    async with database.write() as session:
        await drop_blocks_above(session, DEVNET, 1)
    await _grow(database, 3, 3000, fork=1)
    await monitor.run_until(3)
    assert await _story(database) == ["opened 2", "retracted 2"]


async def test_somebody_else_evaluating_the_same_blocks_changes_nothing(database: Database) -> None:
    await _set_up(database)
    for number, price in enumerate((3000, 900, 3000, 900), 1):
        block = await _grow(database, number, price)
        keeper = Keeper(database, DEVNET, adapters=find_lake)
        await keeper.load(block)
        await _evaluator(database).evaluate(keeper, await keeper.read())
        await _watch(database, block)
    assert await _story(database) == ["opened 2", "cleared 3", "opened 4"]
