"""Seeded trouble of every kind at once: failing reads, lost database connections, forks, and death at any await.

Whatever happened, the tables must be those of a straight run over the chain as it ended. These seeds found defects
before there was `tests.simulation`, where new seeds belong; deaths here come at awaits counted one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from random import Random
from typing import Any

import pytest

from app.chain.faults import Transport
from tests.indexer.conftest import MakeDatabase, Place
from tests.indexer.model import ModelChain, ModelReader
from tests.indexer.running import make_indexer, straight_run
from tests.indexer.tables import assert_same_tables, dump_tables

pytestmark = pytest.mark.database

SEEDS = (
    126,  # a failed read forgot the market its log had named, and a later one found nothing
    130,  # a market that only a dropped fork had listed was still asked, and made an account unreadable
    139,  # a connection ended by the server between two statements was taken for a defect
)
QUIET_SEEDS = (201, 202)
"""Of chains with changes no log tells of, and a pool that refuses to answer now and then."""
ROUNDS = 25


class DiesAtAwait:
    """Runs a coroutine and cancels it the n-th time it waits for anything."""

    def __init__(self, running: Coroutine[Any, Any, None], at: int) -> None:
        self._running = running
        self._left = at

    def __await__(self) -> Generator[Any, Any, None]:
        inner = self._running.__await__()
        given: Any = None
        error: BaseException | None = None
        while True:
            try:
                waits_for = inner.send(given) if error is None else inner.throw(error)
            except StopIteration:
                return
            self._left -= 1
            if self._left == 0:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            given, error = None, None
            try:
                given = yield waits_for
            except BaseException as raised:
                error = raised


async def run_a_life(chain: ModelChain, place: Place, random: Random, reader: ModelReader) -> None:
    """One process: it follows the chain and, more often than not, dies on the way."""
    indexer = make_indexer(reader, place.database)

    async def life() -> None:
        running: Coroutine[Any, Any, None] = indexer.run_until(chain.head.ref.number)
        if random.random() < 0.6:
            await DiesAtAwait(running, random.randrange(1, 400))
        else:
            await running

    task = asyncio.create_task(life())
    await asyncio.gather(task, return_exceptions=True)
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_goes_wrong_the_tables_are_those_of_a_straight_run(
    make_database: MakeDatabase, seed: int
) -> None:
    await assert_trouble_leaves_no_trace(make_database, ModelChain(seed))


@pytest.mark.parametrize("seed", QUIET_SEEDS)
async def test_changes_without_logs_and_refusals_leave_the_tables_of_a_straight_run_too(
    make_database: MakeDatabase, seed: int
) -> None:
    await assert_trouble_leaves_no_trace(make_database, ModelChain(seed, quiet=True))


async def assert_trouble_leaves_no_trace(make_database: MakeDatabase, chain: ModelChain) -> None:
    """Follow a growing chain through every kind of trouble, and compare."""
    random = Random(chain.seed)
    troubled, straight = make_database(), make_database()
    reader = ModelReader(chain)
    await make_indexer(reader, troubled.database).run_until(0)

    def trouble(method: str) -> None:
        dice = random.random()
        if dice < 0.02:
            raise Transport("the node hung up")
        if dice < 0.03 and len(chain.canonical) > 9:
            chain.reorg(random.randrange(1, 9))
        if dice > 0.98:
            with troubled.connect() as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )

    reader.fault = trouble
    for _ in range(ROUNDS):
        chain.mine(random.randrange(1, 4))
        if random.random() < 0.2:
            chain.reorg(random.randrange(1, min(12, len(chain.canonical))))
        await run_a_life(chain, troubled, random, reader)
    reader.fault = lambda _: None
    chain.mine()
    await make_indexer(reader, troubled.database).run_until(chain.head.ref.number, scanned=True)

    await straight_run(chain, straight.database)
    assert_same_tables(dump_tables(troubled.url), dump_tables(straight.url))
