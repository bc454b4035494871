"""Keys are found by their id, end for ever, and their use is noted now and then; each change has its line."""

from __future__ import annotations

from contextlib import suppress

import pytest

from app.store.postgres.engine import Database
from app.store.watch.change_log import Change, changing, load_changes
from app.store.watch.keys import NOTED_EVERY_SECONDS, ApiKey, KeyRing, Scope, load_keys, revoke_key, store_key

pytestmark = pytest.mark.database

HASH = bytes(range(32))


async def test_a_key_is_found_as_it_was_stored_and_its_end_is_final(database: Database) -> None:
    ring = KeyRing(database)
    async with database.write() as session:
        await store_key(session, "abc", "desk", HASH, [Scope.WATCH_READ, Scope.OPS], 100)
    scopes = frozenset({Scope.WATCH_READ, Scope.OPS})
    assert await ring.find("abc") == ApiKey("abc", "desk", HASH, scopes, 100, None, None)
    assert await ring.find("abd") is None
    async with database.write() as session:
        assert await revoke_key(session, "abc", 200)
        assert not await revoke_key(session, "abc", 300)
        assert not await revoke_key(session, "abd", 300)
        assert [key.revoked_at for key in await load_keys(session)] == [200]


async def test_use_is_noted_once_a_minute(database: Database) -> None:
    ring = KeyRing(database)
    async with database.write() as session:
        await store_key(session, "abc", "desk", HASH, [Scope.OPS], 100)
    for now, noted in ((1000, 1000), (1059, 1000), (1000 + NOTED_EVERY_SECONDS, 1060)):
        key = await ring.find("abc")
        assert key is not None
        await ring.note_use(key, now)
        again = await ring.find("abc")
        assert again is not None
        assert again.last_used_at == noted


async def test_a_change_has_its_line_and_one_that_fails_has_none(database: Database) -> None:
    async with changing(database, "cli", "key.create", 5) as change:
        await store_key(change.session, "abc", "desk", HASH, [Scope.OPS], 5)
        change.note("key:abc", name="desk", scopes=["ops"])
    async with changing(database, "cli", "key.revoke", 6):
        pass
    with suppress(RuntimeError):
        async with changing(database, "cli", "key.revoke", 7) as change:
            change.note("key:abc")
            await revoke_key(change.session, "abc", 7)
            raise RuntimeError
    async with changing(database, "key:abc desk", "watchlist.create", 8) as change:
        change.note("watchlist:1", members=3, is_paused=False)
    async with database.read() as session:
        newest, oldest = await load_changes(session, 10)
        assert oldest == Change(oldest.id, 5, "cli", "key.create", "key:abc", {"name": "desk", "scopes": ["ops"]})
        assert (newest.actor, newest.detail) == ("key:abc desk", {"members": 3, "is_paused": False})
        assert await load_changes(session, 1) == [newest]
        assert await load_changes(session, 10, before=newest.id) == [oldest]
        assert await load_changes(session, 10, actor="cli") == [oldest]
        assert await load_changes(session, 10, subject="watchlist:1") == [newest]
        (key,) = await load_keys(session)
        assert key.revoked_at is None
