"""Digests: one a local day and route, whoever writes it, and never silent about what is not current."""

from __future__ import annotations

import asyncio
import json

import pytest

from app.alerts.timers import Timers
from app.alerts.timers.digests import digest_body
from app.alerts.timers.sight import Sight
from app.domain.account import AccountKey
from app.domain.units import WAD
from app.store.postgres.engine import Database
from app.store.watch.digests import ListSums, WorstAccount
from tests.alerts.timers.world import CHAIN, START, WALLET, World

DAY = 86_400


@pytest.mark.database
async def test_a_digest_is_written_once_a_local_day(database: Database) -> None:
    minute = (START % DAY) // 60
    world = await World(database).begin(digest_minute=minute + 10)
    await world.open_episode()
    for later in (0, 300, 660, 700, 3_600, DAY + 660):
        await world.follow(START + later)
        async with Timers(database) as one, Timers(database) as other:
            await asyncio.gather(one.run_due(START + later), other.run_due(START + later))

    told = await world.told("digest")
    assert [one.created_at - START for one in told] == [660, DAY + 660]
    body = json.loads(json.dumps(told[0].body))
    assert body["type"] == "digest"
    data = body["data"]
    assert (data["watchlist"], data["members"], data["accounts"], data["open_count"]) == ("treasury", 1, 0, 1)
    assert data["chains"][0]["stale_reason"] is None
    assert "1 wallet, 0 accounts" in data["text"]
    assert "critical: 0x1111…1111" in data["text"]


@pytest.mark.database
async def test_the_day_begins_where_the_reader_is(database: Database) -> None:
    world = await World(database).begin(digest_minute=0, timezone="Asia/Tokyo")
    midnight = START - (START + 9 * 3_600) % DAY + DAY
    for at in (START, midnight - 1, midnight):
        await world.follow(at)
        await world.turn(at)

    assert [one.created_at for one in await world.told("digest")] == [START, midnight]


def test_what_is_not_current_is_said_and_numbers_stay_exact() -> None:
    worst = WorstAccount(AccountKey("pool", WALLET), CHAIN, "A pool", "liquidatable", WAD - 1, WAD + 1)
    sums = ListSums(3, {"liquidatable": 1, "other": 4}, (worst,), 2)

    data = digest_body("treasury", sums, [], [Sight(CHAIN, None, None, None, START)], START)["data"]

    assert isinstance(data, dict)
    assert data["worst"][0]["health_factor"] == "0.999999999999999999"
    assert data["worst"][0]["utilization"] == "1.000000000000000001"
    assert "3 wallets, 5 accounts: 1 liquidatable, 4 without debt or not known" in data["text"]
    assert "Ethereum: NOT CURRENT, nothing of this chain is indexed yet" in data["text"]
    assert "100.01 % of the limit used, health factor 0.9999" in data["text"]
