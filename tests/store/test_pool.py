"""Connections to read with: handed out again while they are good, and never left open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from sqlalchemy import func, select

from app.store.postgres import pool
from app.store.postgres.engine import Database
from app.store.postgres.session import Query

pytestmark = pytest.mark.database

_PID = Query(select(func.pg_backend_pid()))
_WAIT = Query(select(func.pg_sleep(60)))
_NAME = "a pool's test"


@pytest.fixture
async def readers(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, role=_NAME, readers=2)
    yield database
    await database.dispose()


async def _pid(database: Database) -> int:
    ((pid,),) = await database.rows(_PID)
    return int(pid)


async def _open(database: Database) -> int:
    """How many connections the server has from `readers`, as another client sees it."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
    async with database.write() as session:
        found = await session.connection.exec_driver_sql(count, (_NAME,))
        return int(found.scalar_one())


async def test_the_connection_used_last_is_used_again(readers: Database) -> None:
    first = await _pid(readers)
    assert await _pid(readers) == first
    async with readers.alone() as session:
        assert await session.rows(_PID) == [(first,)]
        other = await _pid(readers)
        assert other != first
    assert await _pid(readers) == first


async def test_an_old_connection_is_replaced(readers: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await _pid(readers)
    monkeypatch.setattr(pool, "_OLDEST_SECONDS", 0)
    assert await _pid(readers) != first


async def test_what_a_session_leaves_behind_is_undone(readers: Database) -> None:
    pid = await _pid(readers)

    async def fail() -> None:
        async with readers.read() as session:
            assert await session.rows(_PID) == [(pid,)]
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    async with readers.alone() as session:
        assert await session.rows(_PID) == [(pid,)]
        assert await session.rows(Query(select(func.now() == func.statement_timestamp()))) == [(True,)]


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_a_cancelled_query_leaves_room_and_no_answer(readers: Database, in_transaction: bool) -> None:
    async def wait() -> None:
        async with readers.read() if in_transaction else readers.alone() as session:
            await session.rows(_WAIT)

    waiting = [asyncio.create_task(wait()) for _ in range(2)]
    await asyncio.sleep(0.2)
    for task in waiting:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    for _ in range(3):
        async with readers.alone() as one, readers.alone() as two:
            assert await one.rows(_PID) != await two.rows(_PID)


async def test_nothing_stays_open_after_the_end_not_even_what_was_in_use_then(
    readers: Database, database: Database
) -> None:
    async with readers.alone() as session:
        await _pid(readers)
        assert await _open(database) == 2
        await readers.dispose()
        assert await session.rows(_PID)
    async with asyncio.timeout(10):
        while await _open(database):
            await asyncio.sleep(0.01)
    assert await _pid(readers)  # and it may begin anew
