"""Leases: who may say what became of a message, and what is taken in which order."""

from __future__ import annotations

import pytest

from app.store.postgres.engine import Database
from app.store.watch.outbox import Attempt, load_attempts, load_delivery, store_messages
from app.store.watch.sending import Settled, claim, load_waiting, release, settle
from tests.store.watch_rows import NOW, add_channel, message

pytestmark = pytest.mark.database


async def test_whoever_lost_the_lease_may_say_only_that_it_was_taken(database: Database) -> None:
    async with database.write() as session:
        new = message(await add_channel(session))
        await store_messages(session, [new], NOW)
        (first,) = await claim(session, NOW, lease_until=NOW + 60, per_channel=8)
        assert await claim(session, NOW + 59, lease_until=NOW + 99, per_channel=8) == []
        (second,) = await claim(session, NOW + 60, lease_until=NOW + 120, per_channel=8)
        assert second.leased_until == NOW + 120
        lost = Settled(new.id, first.leased_until, "pending", counts=True, send_after=NOW + 500)
        assert not await settle(session, lost, Attempt(new.id, NOW + 61, 5, 500, "no"))
        await release(session, [first])
        held = await load_delivery(session, new.id)
        assert held is not None
        assert (held.state, held.attempts, held.send_after) == ("pending", 0, NOW)
        assert await claim(session, NOW + 61, lease_until=NOW + 121, per_channel=8) == []
        taken = Settled(new.id, first.leased_until, "delivered", counts=True, send_after=None)
        assert await settle(session, taken, Attempt(new.id, NOW + 62, 5, 200, None))
        late = Settled(new.id, second.leased_until, "dead", counts=True, send_after=None)
        assert not await settle(session, late, Attempt(new.id, NOW + 63, 5, 500, "no"))
        held = await load_delivery(session, new.id)
        assert held is not None
        assert (held.state, held.attempts, held.delivered_at, held.last_error) == ("delivered", 1, NOW + 62, None)
        assert len(await load_attempts(session, [new.id])) == 3, "every try is a row"


async def test_a_claim_takes_a_few_of_each_channel_the_oldest_first(database: Database) -> None:
    async with database.write() as session:
        first, second = await add_channel(session, "a"), await add_channel(session, "b")
        ids: dict[int, list[str]] = {first: [], second: []}
        for at in range(5):
            for channel in (first, second):
                new = message(channel, send_after=NOW)
                await store_messages(session, [new], NOW + at)
                ids[channel].append(new.id)
        taken = await claim(session, NOW + 9, lease_until=NOW + 69, per_channel=3)
        for channel in (first, second):
            assert [one.id for one in taken if one.channel.id == channel] == ids[channel][:3]
        rest = await claim(session, NOW + 9, lease_until=NOW + 69, per_channel=3, busy=[first])
        assert [one.id for one in rest] == ids[second][3:]
        (only,) = await claim(session, NOW + 9, lease_until=NOW + 69, per_channel=3, only=ids[first][4])
        assert only.id == ids[first][4]


async def test_what_waits_is_counted_and_the_next_moment_known(database: Database) -> None:
    async with database.write() as session:
        assert await load_waiting(session) == (None, 0)
        channel = await add_channel(session)
        await store_messages(session, [message(channel), message(channel, send_after=NOW + 90)], NOW)
        assert await load_waiting(session) == (NOW, 2)
        await claim(session, NOW, lease_until=NOW + 60, per_channel=8)
        assert await load_waiting(session) == (NOW + 60, 2)
