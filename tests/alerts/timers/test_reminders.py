"""Reminders: again and again until somebody acknowledges, never at night, never twice."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import update

from app.alerts.timers import Timers
from app.domain.watch import Severity
from app.store.postgres.engine import Database
from app.store.tables.watch import episodes, outbox
from app.store.watch.episodes import acknowledge
from tests.alerts.timers.world import START, World, kinds

pytestmark = pytest.mark.database


async def _calm(world: World, *times: int) -> None:
    """Turns at these times, with the chain current at each and everything delivered after it."""
    for at in times:
        await world.follow(START + at)
        async with Timers(world.database) as one, Timers(world.database) as other:
            await asyncio.gather(one.run_due(START + at), other.run_due(START + at))
        await world.deliver()


async def test_an_open_episode_is_repeated_until_it_is_acknowledged(database: Database) -> None:
    world = await World(database).begin(repeat_seconds=600)
    episode_id = await world.open_episode()

    await _calm(world, 599, 601, 800, 1_201)
    async with database.write() as session:
        assert await acknowledge(session, episode_id, "key:a", START + 1_210)
    await _calm(world, 2_500)

    assert kinds(await world.events()) == ["opened", "reminded", "reminded"]
    told = await world.told("episode.reminded")
    assert [one.created_at - START for one in told] == [601, 1_201]
    data = told[0].body["data"]
    assert data["as_of"]["block_number"] == 100  # type: ignore[index]
    assert data["value"] == "1"  # type: ignore[index]
    assert data["subject"]["label"] == "cold"  # type: ignore[index]
    assert "still open since" in data["text"]  # type: ignore[index]


async def test_nobody_is_reminded_of_what_is_over_muted_or_too_mild(database: Database) -> None:
    world = await World(database).begin(repeat_seconds=600, min_severity=Severity.WARNING)
    ids = [await world.open_episode(Severity.INFO) for _ in range(1)]
    async with database.write() as session:
        run = session.connection.execute
        await run(update(episodes).where(episodes.c.id == ids[0]).values(severity=2, state="cleared"))
    muted = await world.open_episode()
    async with database.write() as session:
        await session.connection.execute(update(episodes).where(episodes.c.id == muted).values(announced_at=None))
        await session.connection.execute(update(episodes).where(episodes.c.id == muted).values(state="open"))

    await _calm(world, 700)

    assert await world.told("episode.reminded") == []


async def test_quiet_hours_hold_reminders_back_and_do_not_pile_them_up(database: Database) -> None:
    minute = (START % 86_400) // 60
    world = await World(database).begin(
        repeat_seconds=600, quiet_from_minute=minute, quiet_to_minute=(minute + 120) % 1_440
    )
    await world.open_episode()

    await _calm(world, 700, 1_400, 3_600, 7_300, 7_310)

    assert [one.created_at - START for one in await world.told("episode.reminded")] == [7_300]


async def test_what_overrides_quiet_hours_is_repeated_in_them(database: Database) -> None:
    minute = (START % 86_400) // 60
    world = await World(database).begin(
        repeat_seconds=600,
        quiet_from_minute=minute,
        quiet_to_minute=(minute + 120) % 1_440,
        quiet_override=Severity.CRITICAL,
    )
    await world.open_episode(Severity.CRITICAL)

    await _calm(world, 700)

    assert len(await world.told("episode.reminded")) == 1


async def test_a_receiver_that_takes_nothing_is_not_given_more(database: Database) -> None:
    world = await World(database).begin(repeat_seconds=600)
    await world.open_episode()
    async with database.write() as session:
        await session.connection.execute(update(outbox).values(state="pending"))

    await world.follow(START + 700)
    await world.turn(START + 700)

    assert await world.told("episode.reminded") == []
