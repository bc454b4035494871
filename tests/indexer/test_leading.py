"""One writer a chain: locks, take-overs, and commits whose outcome nobody knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.indexer.loop import ROLE
from app.store.postgres.engine import Database
from app.store.postgres.faults import DatabaseUnavailable
from app.store.postgres.locks import lock_key
from app.store.postgres.session import WriteSession
from tests.indexer.conftest import MakeDatabase
from tests.indexer.model import CHAIN_ID, ModelChain, ModelReader
from tests.indexer.running import (
    index_in_steps,
    make_indexer,
    straight_run,
    when,
)
from tests.indexer.tables import assert_same_tables, dump_tables

pytestmark = pytest.mark.database


async def test_a_second_instance_stands_by_and_takes_over(make_database: MakeDatabase) -> None:
    chain = ModelChain(seed=15)
    place = make_database()
    first_reader, second_reader = ModelReader(chain), ModelReader(chain)
    first = asyncio.create_task(make_indexer(first_reader, place.database).run())
    await when(lambda: any(method == "read" for method, _ in first_reader.calls))
    second_indexer = make_indexer(second_reader, place.database)
    second = asyncio.create_task(second_indexer.run())
    for _ in range(5):
        chain.mine()
        await asyncio.sleep(0.05)
    assert not second_reader.calls

    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    chain.mine()
    await when(lambda: second_indexer.cursor == chain.head.ref)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)


async def test_an_instance_whose_lock_was_taken_away_writes_nothing_more(make_database: MakeDatabase) -> None:
    chain = ModelChain(seed=16)
    place = make_database()
    reader = ModelReader(chain)
    indexer = make_indexer(reader, place.database)
    running = asyncio.create_task(indexer.run())
    await when(lambda: indexer.cursor == chain.head.ref)
    usurper = place.connect()
    key = lock_key(f"{CHAIN_ID}:{ROLE}")
    while not usurper.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()[0]:
        usurper.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks"
            " WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()"
        )
    stood_at = indexer.cursor
    chain.mine(3)
    await asyncio.sleep(0.2)
    assert indexer.cursor == stood_at
    assert not running.done()

    usurper.close()
    await when(lambda: indexer.cursor == chain.head.ref)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class ForgetfulDatabase(Database):
    """Commits, and then says now and then that the connection was lost."""

    writes = 0

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        async with super().write() as session:
            yield session
        self.writes += 1
        if self.writes % 5 == 0:
            raise DatabaseUnavailable("the connection was lost after the commit")


async def test_a_commit_whose_outcome_is_unknown_is_looked_up(make_database: MakeDatabase) -> None:
    chain = ModelChain(seed=18)
    place, straight = make_database(), make_database()
    forgetful = ForgetfulDatabase(place.url)
    await index_in_steps(chain, forgetful, 12)
    await forgetful.dispose()

    await straight_run(chain, straight.database)
    assert_same_tables(dump_tables(place.url), dump_tables(straight.url))
