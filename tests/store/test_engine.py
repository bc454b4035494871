"""Sessions, failures, locks and listening, on a real server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import BigInteger, Text, bindparam, func, insert, literal_column, make_url, select

from app.errors import Fatal, Refused, Retryable
from app.store.deployments import load_deployments, register_deployments
from app.store.postgres.engine import Database, require_server_version
from app.store.postgres.faults import DatabaseUnavailable, SchemaMismatch, StoreBroken
from app.store.postgres.locks import AdvisoryLock, LockHeld, LockLost, lock_key
from app.store.postgres.session import Query
from app.store.tables.chain import chains
from tests.store.builders import deployment

pytestmark = pytest.mark.database

_PID = Query(select(func.pg_backend_pid()))
_NOTE = Query(insert(chains).values(chain_id=bindparam("number", type_=BigInteger), observed_at=1))
_NOTES = Query(select(chains.c.chain_id))
_BROKEN = Query(select(literal_column("1 / 0")))


def _setting(name: str) -> Query:
    return Query(select(func.current_setting(name)))


async def test_a_reading_session_is_one_moment_and_cannot_write(database: Database) -> None:
    async with database.read() as session:
        assert await session.rows(_setting("transaction_isolation")) == [("repeatable read",)]
        assert await session.rows(_setting("application_name")) == [("waterline",)]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await session.rows(Query(insert(chains).values(chain_id=1, observed_at=1).returning(chains.c.chain_id)))


async def test_a_writing_session_keeps_nothing_when_its_block_raises(database: Database) -> None:
    async def fail() -> None:
        async with database.write() as session:
            await register_deployments(session, [deployment()])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.read() as session:
        assert await load_deployments(session) == []


async def test_sessions_have_time_limits(database: Database) -> None:
    async with database.read() as session:
        assert await session.rows(_setting("statement_timeout")) == [("20s",)]
    async with database.write() as session:
        assert await session.rows(_setting("lock_timeout")) == [("15s",)]


async def test_questions_and_answers_larger_than_any_socket_buffer_pass_in_one_round_trip(database: Database) -> None:
    echo = Query(select(bindparam("text", type_=Text)))
    texts = [letter * 3_000_000 for letter in "abc"]
    async with asyncio.timeout(60), database.read() as session:
        answers = await session.rows_of_all(*((echo, {"text": text}) for text in texts))
    assert answers == [[(text,)] for text in texts]


async def _ask_two(database: Database) -> None:
    async with database.write() as session:
        await session.rows_of_all((_PID, {}), (_setting("application_name"), {}))


async def test_queries_cancelled_on_the_way_leave_no_answers_to_whoever_uses_the_connection_next(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> Iterator[None]:
        raise asyncio.CancelledError
        yield

    database = Database(database_url, writers=1)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(psycopg.AsyncPipeline, "_exit_gen", interrupted)
            with pytest.raises(asyncio.CancelledError):
                await _ask_two(database)
        async with database.write() as session:
            assert await session.rows(Query(select(literal_column("42")))) == [(42,)]
            await session.copy("chains", ["chain_id", "observed_at"], "1\t1\n")
    finally:
        await database.dispose()


async def test_a_driver_that_complains_when_it_is_cancelled_does_not_hide_the_cancellation(database: Database) -> None:
    is_reading = asyncio.Event()

    async def read_and_try_again() -> None:
        with suppress(DatabaseUnavailable):
            async with database.read():
                is_reading.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    raise psycopg.OperationalError("the connection is closed") from None

    reading = asyncio.create_task(read_and_try_again())
    await is_reading.wait()
    reading.cancel()
    await asyncio.wait((reading,))
    assert reading.cancelled()


async def test_busy_connections_are_retryable(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.store.postgres.engine._POOL_WAIT_SECONDS", 0.05)
    database = Database(database_url, readers=1)
    async with database.read():
        with pytest.raises(DatabaseUnavailable, match="busy"):
            async with database.read():
                pass
    await database.dispose()


async def test_a_connection_the_server_ended_is_replaced_unseen(database: Database) -> None:
    async with database.read() as session:
        ((pid,),) = await session.rows(_PID)
    async with database.write() as session:
        await session.rows(Query(select(func.pg_terminate_backend(pid))))
    await asyncio.sleep(0.1)
    async with database.read() as session:
        assert await session.rows(_PID) != [(pid,)]


async def test_a_connection_lost_on_the_way_is_retryable(database: Database) -> None:
    with pytest.raises(Retryable):
        async with database.write() as session:
            await session.rows(Query(select(func.pg_terminate_backend(func.pg_backend_pid()))))
    async with database.write() as session:
        assert await session.rows(_PID)


async def test_a_database_or_user_that_is_not_there_is_refused_without_its_name(postgres_url: str) -> None:
    for user, name, reason in (("postgres", "nodb", "no such database"), ("nobody", "postgres", "no such user")):
        url = make_url(postgres_url).set(username=user, database=name)
        database = Database(url.render_as_string(hide_password=False))
        with pytest.raises(Refused, match=reason) as raised:
            async with database.read():
                pass
        assert "nodb" not in str(raised.value)
        assert "nobody" not in str(raised.value)
        await database.dispose()


async def test_missing_tables_say_what_to_run(postgres_url: str) -> None:
    database = Database(postgres_url)
    with pytest.raises(SchemaMismatch, match="waterline migrate"):
        async with database.read() as session:
            await load_deployments(session)
    await database.dispose()


async def test_a_statement_that_can_never_work_is_fatal(database: Database) -> None:
    with pytest.raises(StoreBroken, match="22012") as caught:
        async with database.read() as session:
            await session.rows(Query(select(literal_column("1 / 0"))))
    assert isinstance(caught.value, Fatal)


async def test_nothing_shows_the_password() -> None:
    database = Database("postgresql://me:hunter2@127.0.0.1:1/db?application_name=x")
    assert repr(database) == "Database(127.0.0.1:1/db)"
    for use in (database.read, database.write):
        with pytest.raises(DatabaseUnavailable) as caught:
            async with use():
                pass
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    await database.dispose()


@pytest.mark.parametrize("url", ["mysql://a:hunter2@b/c", "hunter2", "postgresql://a:hunter2@b:port/c"])
def test_a_url_that_is_none_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(Refused) as caught:
        Database(url)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_an_old_server_is_refused() -> None:
    require_server_version(150_000)
    with pytest.raises(Refused, match="PostgreSQL 14 is too old"):
        require_server_version(140_012)


async def test_a_lock_has_one_holder_a_chain_and_role(database: Database) -> None:
    async with database.lock(1, "indexer") as held:
        with pytest.raises(LockHeld):
            async with database.lock(1, "indexer"):
                pass
        async with database.lock(2, "indexer"), database.lock(1, "monitor"), held.write() as session:
            assert await session.rows(_NOTES) == []
    async with database.lock(1, "indexer"):
        pass


async def test_a_transaction_of_a_lock_is_whole_and_its_failure_leaves_the_lock(database: Database) -> None:
    async def fail_in_the_database(held: AdvisoryLock) -> None:
        async with held.write() as session:
            await session.run(_NOTE, number=2)
            await session.rows_of_all((_NOTE, {"number": 3}), (_BROKEN, {}))

    async def fail_outside(held: AdvisoryLock) -> None:
        async with held.write() as session:
            await session.run(_NOTE, number=4)
            raise KeyError

    async with database.lock(1, "indexer") as held:
        async with held.write() as session:
            await session.run(_NOTE, number=1)
        with pytest.raises(StoreBroken):
            await fail_in_the_database(held)
        with pytest.raises(KeyError):
            await fail_outside(held)
        async with held.write() as session:
            assert await session.rows(_NOTES) == [(1,)]
        with pytest.raises(LockHeld):
            async with database.lock(1, "indexer"):
                pass


@pytest.mark.parametrize("when", ["before", "between", "after"])
async def test_nothing_is_stored_by_whoever_has_lost_the_lock(database: Database, database_url: str, when: str) -> None:
    def end() -> None:
        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory'")

    async def write(held: AdvisoryLock) -> None:
        async with held.write() as session:
            await session.run(_NOTE, number=1)
            if when == "between":
                end()
            await session.run(_NOTE, number=2)
            if when == "after":
                end()

    async with database.lock(1, "indexer") as held:
        if when == "before":
            end()
        for _ in range(2):
            with pytest.raises(LockLost):
                await write(held)
    assert await database.rows(_NOTES) == []


async def test_a_cancelled_transaction_of_a_lock_leaves_no_answers_behind(database: Database) -> None:
    async def wait(held: AdvisoryLock) -> None:
        async with held.write() as session:
            await session.rows_of_all((_NOTE, {"number": 1}), (Query(select(func.pg_sleep(60))), {}))

    async with database.lock(1, "indexer") as held:
        task = asyncio.create_task(wait(held))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await database.rows(_NOTES) == []
        with suppress(LockLost):  # the connection may be of no more use; if it is, nothing is left in it
            async with held.write() as session:
                assert await session.rows(_NOTES) == []


async def test_a_killed_holder_gives_the_lock_up(database: Database, database_url: str) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, database_url], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(LockHeld):
        async with database.lock(1, "indexer"):
            pass
    holder.kill()
    holder.wait()
    holder.stdout.close()
    async with asyncio.timeout(60):
        while True:
            try:
                async with database.lock(1, "indexer"):
                    return
            except LockHeld:
                await asyncio.sleep(0.01)


_HOLDER = """
import asyncio, sys
from app.store.postgres.engine import Database

async def main():
    async with Database(sys.argv[1]).lock(1, "indexer"):
        print("held", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_lock_keys_never_change() -> None:
    # Two versions of the program must fight over the same number.
    assert lock_key("1:indexer") == 3053972670210241207
    assert lock_key("migrations") == -8071663132034056764


async def _notify(database: Database, *payloads: str) -> None:
    async with database.write() as session:
        for payload in payloads:
            await session.rows(Query(select(func.pg_notify("news", payload))))


async def test_listening_works_without_entering_and_ends_with_its_connection(database: Database) -> None:
    listener = database.listen("news")
    first = asyncio.create_task(anext(listener))
    while not first.done():
        await _notify(database, "hello")
        await asyncio.sleep(0.01)
    assert await first == "hello"
    await listener.aclose()
    await listener.aclose()


async def test_a_slow_listener_keeps_the_newest(database: Database) -> None:
    async with database.listen("news", capacity=2) as payloads:
        await _notify(database, "1", "2", "3", "4")
        await asyncio.sleep(0.2)
        assert [await anext(payloads), await anext(payloads)] == ["3", "4"]


async def test_a_listener_whose_connection_ends_says_so(database: Database, database_url: str) -> None:
    async with database.listen("news") as payloads:
        with psycopg.connect(database_url) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        with pytest.raises(DatabaseUnavailable):
            await asyncio.wait_for(anext(payloads), 60)


async def test_a_cancelled_listener_leaves_no_connection(database: Database, database_url: str) -> None:
    listening = asyncio.create_task(anext(listener := database.listen("news")))
    await asyncio.sleep(0.2)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    left = (1,)
    async with asyncio.timeout(60):
        while left != (0,):  # the server's end of a closed connection takes a moment
            with psycopg.connect(database_url) as other:
                left = other.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'").fetchone()
    await listener.aclose()
