"""The clock of the machine jumps: what is stored is the same, and the status row goes on as a sign of life."""

from __future__ import annotations

import asyncio

import pytest

from app.store.chains import load_chains
from tests.indexer.conftest import MakeDatabase, Place
from tests.indexer.model import ModelChain, ModelReader
from tests.indexer.running import make_indexer, straight_run, when
from tests.indexer.tables import assert_same_tables, dump_tables

pytestmark = pytest.mark.database

HOUR = 3600


class JumpingClock:
    """Unix time as a machine has it whose clock is set now and then."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


async def test_whatever_the_clock_does_tables_are_those_of_a_straight_run_and_the_status_row_lives(
    make_database: MakeDatabase,
) -> None:
    chain, clock = ModelChain(seed=71), JumpingClock()
    jumping, straight = make_database(), make_database()
    reader = ModelReader(chain)
    indexer = make_indexer(reader, jumping.database, clock=clock)
    await indexer.run_until(chain.head.ref.number, scanned=True)
    running = asyncio.create_task(indexer.run())
    for jump in (+5 * HOUR, -9 * HOUR, +30 * HOUR, -2 * HOUR):
        chain.mine(3)
        await when(lambda: indexer.cursor == chain.head.ref)
        clock.now += jump
        await is_observed_at(jumping, clock.now)  # no block comes: this is the sign of life alone
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await straight_run(chain, straight.database)
    assert_same_tables(dump_tables(jumping.url), dump_tables(straight.url))


async def is_observed_at(place: Place, moment: float) -> None:
    """Wait until the status row says this moment."""
    while True:
        async with place.database.read() as session:
            (status,) = await load_chains(session)
        if status.observed_at == int(moment):
            return
        await asyncio.sleep(0.005)
