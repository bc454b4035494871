"""What a writer stands on: the commit itself checks it; what was looked up before changes nothing that is stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from app.domain.batch import BlockBatch
from app.store.blocks import StoredBlock
from app.store.commit import SPARE_IDS, commit_batch
from app.store.footing import CursorMoved, Footing, Known
from app.store.names import load_names
from app.store.postgres.engine import Database
from app.store.postgres.locks import AdvisoryLock, LockLost
from app.store.postgres.session import WriteSession
from tests.store.actions import account_at, begin, commit, drop_above, head_of
from tests.store.builders import CHAIN, SLUG, batch, key, market, position, record, snapshot, unreadable
from tests.store.dump import dump, empty

pytestmark = pytest.mark.database

_CHANGED = (
    snapshot("ann", 3, position("eth", 6)),
    snapshot("bob", 3, position("eth", 7)),
    unreadable("cat", 3),
    snapshot("dan", 3, position("dai", 1)),
)


async def _begin_with_accounts(database: Database) -> StoredBlock:
    await begin(database, "eth", "usdc")
    held = (snapshot("ann", 2, position("eth", 5)), snapshot("bob", 2, position("eth", 7)), unreadable("cat", 2, "x"))
    return await commit(database, batch(2, accounts=held))


async def _footing(database: Database, cursor: StoredBlock | None, *looked_up: str) -> Footing:
    known = Known()
    async with database.read() as session:
        names = await load_names(session, [SLUG])
        await known.look_up(session, [key(wallet) for wallet in looked_up])
    return Footing(cursor, names, known, [])


async def _commit(
    database: Database, what: BlockBatch, lock: AdvisoryLock, cursor: StoredBlock | None, *looked_up: str
) -> StoredBlock:
    footing = await _footing(database, cursor, *looked_up)
    async with lock.write() as session:
        stored = await commit_batch(session, what, footing=footing)
    assert len(set(footing.spare_ids or ())) == SPARE_IDS
    return stored


@pytest.mark.parametrize("looked_up", [(), ("ann",), ("ann", "bob", "cat", "dan", "eve")])
async def test_what_was_looked_up_before_changes_nothing_that_is_stored(
    database: Database, database_url: str, looked_up: tuple[str, ...]
) -> None:
    next_batch = batch(3, markets=(market("dai"),), accounts=_CHANGED)
    await _begin_with_accounts(database)
    await commit(database, next_batch)
    asked = dump(database_url)
    empty(database_url)
    cursor = await _begin_with_accounts(database)
    async with database.lock(CHAIN, "indexer") as lock:
        await _commit(database, next_batch, lock, cursor, *looked_up)
    assert dump(database_url) == asked


async def test_a_block_of_which_everything_is_known_takes_one_round_trip(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def counted(name: str) -> Any:
        ask = getattr(WriteSession, name)

        async def counting(session: WriteSession, *arguments: Any, **named: Any) -> Any:
            asked.append(name)
            return await ask(session, *arguments, **named)

        return counting

    first = await _begin_with_accounts(database)
    new = tuple(snapshot(f"new {n}", 3, position("eth", n)) for n in range(1, 9))
    records = (record("price", "eth", 5), record("index", "usdc", 7))
    async with database.lock(CHAIN, "indexer") as lock:
        third = await _commit(database, batch(3, accounts=(snapshot("fay", 3, position("eth", 1)),)), lock, first)
        wallets = ["ann", "bob", "cat", *(f"new {n}" for n in range(1, 9))]
        footing = replace(await _footing(database, third, *wallets), spare_ids=[10_000 + n for n in range(20)])
        for name in ("rows", "rows_of_all", "run"):
            monkeypatch.setattr(WriteSession, name, counted(name))
        async with lock.write() as session:
            what = batch(4, accounts=(*_CHANGED[:3], *new), records=records)
            fourth = await commit_batch(session, what, footing=footing)
    assert asked == ["rows_of_all"]
    assert len(footing.spare_ids or ()) == SPARE_IDS
    assert await account_at(database, "new 8", fourth) == replace(new[-1], block_number=4)


async def test_nothing_is_committed_after_a_block_that_is_not_the_newest_any_more(database: Database) -> None:
    before = await begin(database, "eth")
    async with database.lock(CHAIN, "indexer") as lock:
        for cursor in (None, replace(before, id=before.id + 1)):
            with pytest.raises(CursorMoved):
                await _commit(database, batch(2), lock, cursor)
        assert await drop_above(database, 0) == 1
        again = await commit(database, batch(1, markets=(market("eth"),)))
        with pytest.raises(CursorMoved):  # the same block, but everything looked up at it before is gone
            await _commit(database, batch(2), lock, before)
        assert await head_of(database) == again
        await _commit(database, batch(2), lock, again)


@pytest.mark.parametrize("taken", [False, True])
async def test_nothing_is_committed_without_the_lock(database: Database, database_url: str, taken: bool) -> None:
    before = await begin(database, "eth")
    async with database.lock(CHAIN, "indexer") as lock, database.lock(CHAIN, "monitor"):
        _end_holder(database_url, lock._connection.info.backend_pid)
        if taken:
            async with database.lock(CHAIN, "indexer"):
                with pytest.raises(LockLost):
                    await _commit(database, batch(2), lock, before)
        else:
            with pytest.raises(LockLost):
                await _commit(database, batch(2), lock, before)
    assert await head_of(database) == before


def _end_holder(url: str, pid: int) -> None:
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (pid,))
        found: Any = True
        while found:
            found = other.execute("SELECT 1 FROM pg_locks WHERE pid = %s", (pid,)).fetchone()
