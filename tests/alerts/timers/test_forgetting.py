"""Forgetting as the sending process does it: in bursts, once a while, one process at a time."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import ValidationError

from app.alerts.timers import TimerOptions
from app.alerts.timers.forgetting import Forgetting
from app.commands.delivery import timer_options
from app.settings import Settings
from app.store.postgres.engine import Database
from app.store.watch.forget import SHORTEST_DAYS, take_turn
from tests.alerts.timers.world import START, World
from tests.store.test_forget import Rows

pytestmark = pytest.mark.database

DAY = 86_400
EVERY = TimerOptions().forget_every_seconds


async def fill(database: Database, episodes: int = 3) -> None:
    """Episodes that were over long before START."""
    async with database.write() as session:
        rows = await Rows(session).begin()
        for _ in range(episodes):
            await rows.told()


async def left(database: Database) -> int:
    return len(await World(database).episodes())


async def test_a_pass_is_made_once_a_while_and_at_once_at_first(database: Database) -> None:
    await fill(database)
    forgetting = Forgetting(database, TimerOptions())
    assert await forgetting.run(START) > 0
    assert await left(database) == 0
    async with database.write() as session:
        rows = Rows(session)
        rows.list_id = 1
        await rows.episode()
    assert await forgetting.run(START + EVERY - 1) == 0
    assert await forgetting.run(START + EVERY) == 1
    assert await forgetting.run(START - DAY) == 0, "a clock set back: at once, and there is nothing left"


async def test_a_burst_is_bounded_and_the_next_goes_on(database: Database) -> None:
    await fill(database)
    forgetting = Forgetting(database, TimerOptions(forget_seconds=0.0))
    bursts = 0
    while await left(database):
        await forgetting.run(START)
        bursts += 1
    for _ in range(5):
        await forgetting.run(START)
    assert bursts >= 1
    assert await forgetting.run(START + 1) == 0


async def test_while_another_process_is_at_it_nothing_is_done_and_nothing_waited_for(database: Database) -> None:
    await fill(database)
    forgetting = Forgetting(database, TimerOptions())
    async with database.write() as other:
        assert await take_turn(other)
        async with asyncio.timeout(10):
            assert await forgetting.run(START) == 0
    assert await forgetting.run(START + 1) > 0, "the pass was not given up"
    assert await left(database) == 0


async def test_two_at_once_forget_the_same_as_one(database: Database) -> None:
    await fill(database, 8)
    both = [Forgetting(database, TimerOptions()) for _ in range(2)]
    for now in range(START, START + 20):
        await asyncio.gather(*(one.run(now) for one in both))
    assert await left(database) == 0


async def test_whoever_takes_turns_forgets_too(database: Database) -> None:
    world = await World(database).begin()
    old = await world.open_episode(opened_at=START - 400 * DAY)
    async with database.write() as session:
        rows = Rows(session)
        rows.list_id = world.list_id
        gone = await rows.episode()
    await world.turn(START)
    assert [one.id for one in await world.episodes()] == [old], gone


def test_how_long_is_set_in_days() -> None:
    options = timer_options(Settings(alert_retention_days=30, change_log_days=60))
    assert (options.told_seconds, options.changed_seconds) == (30 * DAY, 60 * DAY)
    for name in ("alert_retention_days", "change_log_days"):
        Settings.model_validate({name: SHORTEST_DAYS})
        with pytest.raises(ValidationError):
            Settings.model_validate({name: SHORTEST_DAYS - 1})
