"""Channels and routes: as they were written, and gone with what they belong to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.watch import Severity
from app.errors import Refused
from app.store.postgres.engine import Database
from app.store.watch.channels import (
    NewChannel,
    NewRoute,
    change_channel,
    delete_channel,
    delete_route,
    disable_channel,
    enable_channel,
    hold_channel,
    load_channel,
    load_channel_named,
    load_channels,
    load_list_routes,
    load_routes,
    rename_channel,
    store_channel,
    store_route,
)
from app.store.watch.outbox import load_deliveries, store_messages
from tests.store.watch_rows import NOW, add_channel, add_list, message

pytestmark = pytest.mark.database

HOOK = NewChannel("hook", "webhook", {"host": "hooks.example", "port": 443}, b"sealed MARKER")


async def test_a_channel_is_loaded_as_it_was_stored_and_shows_no_secret(database: Database) -> None:
    async with database.write() as session:
        id = await store_channel(session, HOOK, NOW)
        with pytest.raises(Refused, match="a channel 'hook' already"):
            await store_channel(session, HOOK, NOW)
        await add_channel(session)
    async with database.read() as session:
        found = await load_channel(session, id)
        assert found is not None
        assert await load_channel_named(session, "hook") == found
        assert [one.name for one in await load_channels(session)] == ["hook", "log"]
        assert await load_channel(session, id + 9) is None
    assert (found.kind, found.settings, found.sealed) == (HOOK.kind, HOOK.settings, HOOK.sealed)
    assert (found.is_enabled, found.disabled_reason, found.created_at) == (True, None, NOW)
    assert "MARKER" not in repr(found) + repr(HOOK)


async def test_a_channel_can_be_changed_renamed_and_removed(database: Database) -> None:
    async with database.write() as session:
        id, other = await store_channel(session, HOOK, NOW), await add_channel(session)
        assert await change_channel(session, id, {"host": "other.example"}, None)
        assert not await change_channel(session, id + 9, {}, None)
        assert not await rename_channel(session, id, "log")
        assert await rename_channel(session, id, "new")
        found = await hold_channel(session, id)
        assert found is not None
        assert (found.name, found.settings, found.sealed) == ("new", {"host": "other.example"}, None)
        await store_messages(session, [message(other)], NOW)
        assert await delete_channel(session, other)
        assert not await delete_channel(session, other)
        assert await load_deliveries(session, limit=9) == []


async def test_a_disabled_channel_says_why_and_buries_what_waited(database: Database) -> None:
    async with database.write() as session:
        id = await add_channel(session)
        await store_messages(session, [message(id)], NOW)
        assert await disable_channel(session, id, "the receiver answered 410")
        assert not await disable_channel(session, id, "again")
        found = await load_channel(session, id)
        assert found is not None
        assert (found.is_enabled, found.disabled_reason) == (False, "the receiver answered 410")
        (delivery,) = await load_deliveries(session, limit=9)
        assert (delivery.state, delivery.last_error) == (
            "dead",
            "the channel was disabled: the receiver answered 410",
        )
        assert await enable_channel(session, id)
        found = await load_channel(session, id)
        assert found is not None
        assert (found.is_enabled, found.disabled_reason) == (True, None)


async def test_routes_join_lists_to_enabled_channels_once(database: Database) -> None:
    async with database.write() as session:
        first, second = await add_list(session, "a"), await add_list(session, "b")
        log, off = await add_channel(session), await add_channel(session, "off")
        full = NewRoute(first, log, Severity.WARNING, "Europe/Berlin", 1320, 420, Severity.CRITICAL, 600, 480)
        id = await store_route(session, replace(full, min_severity=Severity.INFO))
        assert await store_route(session, full) == id
        plain = await store_route(session, NewRoute(second, log))
        await store_route(session, NewRoute(first, off))
        await disable_channel(session, off, "gone")
        with pytest.raises(Refused, match="no watchlist"):
            await store_route(session, NewRoute(first + 9, log))
    async with database.read() as session:
        found = await load_routes(session)
        assert [one.id for one in found] == [id, plain]
        assert {name: getattr(found[0], name) for name in full.__slots__} == {
            name: getattr(full, name) for name in full.__slots__
        }
        assert isinstance(found[0].quiet_override, Severity)
        assert found[1].quiet_override is None
        assert await load_routes(session, [second]) == found[1:]
        assert await load_routes(session, []) == []
        assert [one.channel_id for one in await load_list_routes(session, first)] == [log, off]
    async with database.write() as session:
        assert await delete_route(session, first, log)
        assert not await delete_route(session, first, log)
        await delete_channel(session, log)
        assert await load_routes(session) == []
