"""The outbox: each key once, found again page by page, and the dead brought back under their own id."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest
from sqlalchemy import update

from app.store.postgres.engine import Database
from app.store.tables.watch import outbox
from app.store.watch.outbox import (
    OUTBOX_CHANNEL,
    load_attempts,
    load_deliveries,
    load_delivery,
    new_message_id,
    replay,
    store_messages,
)
from tests.store.watch_rows import NOW, add_channel, add_episode, add_event, add_list, message

pytestmark = pytest.mark.database


async def test_a_message_is_stored_once_a_key_and_whoever_sends_is_woken(database: Database) -> None:
    async with database.listen(OUTBOX_CHANNEL) as payloads:
        async with database.write() as session:
            channel = await add_channel(session)
            first = message(channel, key="one")
            assert await store_messages(session, [first, message(channel)], NOW) == 2
            assert await store_messages(session, [message(channel, key="one")], NOW) == 0
            assert await store_messages(session, [], NOW) == 0
            assert await store_messages(session, [message(channel + 9)], NOW) == 0
        assert await asyncio.wait_for(anext(payloads), 60) == "2"
    async with database.read() as session:
        found = await load_deliveries(session, limit=9)
    assert len(found) == 2
    (kept,) = (one for one in found if one.id == first.id)
    assert (kept.body, kept.state, kept.attempts, kept.created_at) == (first.body, "pending", 0, NOW)
    assert (kept.episode_id, kept.watchlist_id, kept.delivered_at) == (None, None, None)


async def test_deliveries_are_found_by_list_channel_and_state_page_by_page(database: Database) -> None:
    async with database.write() as session:
        watchlist, log, other = await add_list(session), await add_channel(session), await add_channel(session, "b")
        episode = await add_episode(session, watchlist)
        event = await add_event(session, episode)
        ids = []
        for at in range(5):
            new = [message(log), message(other, event)]
            ids += [one.id for one in new]
            await store_messages(session, new, NOW + at)
        await session.connection.execute(update(outbox).where(outbox.c.id == ids[0]).values(state="dead"))
    async with database.read() as session:
        newest = await load_deliveries(session, limit=4)
        assert await load_delivery(session, newest[0].id) == newest[0]
        assert await load_delivery(session, "msg_none") is None
        assert [one.id for one in newest] == ids[:5:-1]
        last = newest[-1]
        rest = await load_deliveries(session, before=(last.created_at, last.id), limit=9)
        assert [one.id for one in rest] == ids[5::-1]
        of_list = await load_deliveries(session, watchlist_id=watchlist, limit=9)
        assert [one.id for one in of_list] == ids[::-2]
        assert {(one.episode_id, one.watchlist_id) for one in of_list} == {(episode, watchlist)}
        assert {one.id for one in await load_deliveries(session, channel_id=log, limit=9)} == set(ids[::2])
        assert [one.id for one in await load_deliveries(session, state="dead", limit=9)] == [ids[0]]
        assert await load_attempts(session, ids) == []


async def test_only_the_dead_are_replayed_and_keep_their_id(database: Database) -> None:
    async with database.write() as session:
        channel = await add_channel(session)
        dead, waiting = message(channel), replace(message(channel), send_after=NOW + 5)
        await store_messages(session, [dead, waiting], NOW)
        values = {"state": "dead", "attempts": 9, "last_error": "no"}
        await session.connection.execute(update(outbox).where(outbox.c.id == dead.id).values(values))
        assert await replay(session, dead.id, NOW + 100)
        assert not await replay(session, dead.id, NOW + 100)
        assert not await replay(session, waiting.id, NOW + 100)
        found = {one.id: one for one in await load_deliveries(session, limit=9)}
    again = found[dead.id]
    assert (again.state, again.attempts, again.send_after, again.last_error) == ("pending", 0, NOW + 100, None)
    assert found[waiting.id].send_after == NOW + 5


def test_ids_are_as_long_as_said_and_differ() -> None:
    ids = {new_message_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch("msg_[a-z2-7]{26}", one) for one in ids)
