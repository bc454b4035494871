"""The heartbeat: only while all is well, and never with its URL in the log."""

from __future__ import annotations

import logging

import pytest

from app.alerts.timers import TimerOptions, Timers
from app.store.postgres.engine import Database
from tests.alerts.receivers import receiving
from tests.alerts.timers.world import CHAIN, START, World

pytestmark = pytest.mark.database


async def test_it_beats_at_its_pace_while_every_chain_is_read_and_evaluated(database: Database) -> None:
    async with receiving() as one, receiving() as other:
        options = TimerOptions(heartbeat_urls=(f"{one.url}?secret", other.url))
        world = await World(database, options).begin()
        async with Timers(database, options) as timers:
            for later in (0, 10, 59, 60, 90):
                await world.follow(START + later)
                await timers.run_due(START + later)

    assert len(one.got) == len(other.got) == 2
    assert one.got[0].path == "/hook?secret"


async def test_it_stops_when_a_chain_is_stale_in_trouble_not_evaluated_or_missing(database: Database) -> None:
    async with receiving() as receiver:
        options = TimerOptions(heartbeat_urls=(receiver.url,), heartbeat_seconds=1)
        world = await World(database, options).begin()
        async with Timers(database, options) as timers:
            await timers.beat_if_due(START + 121)  # stale
            await world.follow(START + 130, trouble="no node answers")
            await timers.beat_if_due(START + 131)
            await world.follow(START + 200, evaluated=False)
            await timers.beat_if_due(START + 201)  # evaluated 71 s ago, not at the newest block
            more = TimerOptions(heartbeat_urls=(receiver.url,), chain_ids=frozenset({CHAIN, 10}))
            async with Timers(database, more) as of_two:
                await world.follow(START + 210)
                await of_two.beat_if_due(START + 210)
            assert receiver.got == []
            await timers.beat_if_due(START + 211)
        assert len(receiver.got) == 1


async def test_nothing_followed_is_nothing_to_vouch_for(database: Database) -> None:
    async with receiving() as receiver:
        async with Timers(database, TimerOptions(heartbeat_urls=(receiver.url,))) as timers:
            await timers.beat_if_due(START)
        assert receiver.got == []


async def test_failures_are_logged_without_the_url(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    async with receiving(status=500) as receiver:
        options = TimerOptions(heartbeat_urls=(f"{receiver.url}/hush", "http://127.0.0.1:1/hush"))
        await World(database, options).begin()
        with caplog.at_level(logging.INFO):
            async with Timers(database, options) as timers:
                await timers.beat_if_due(START)

    said = [record.getMessage() for record in caplog.records if record.name.startswith("app.alerts")]
    assert sorted(said) == [
        "heartbeat=1 failed='the receiver answered 500'",
        "heartbeat=2 failed='the host cannot be connected to'",
    ]
    assert "hush" not in repr(options)
