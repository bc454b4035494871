"""Forks: whatever the chain replaces, the store is as if the replaced blocks had never been."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from app.errors import Fatal
from app.store.blocks import load_head
from app.store.chains import load_chains
from app.store.postgres.engine import Database
from tests.indexer.comparing import assert_equals_the_chain
from tests.indexer.conftest import MakeDatabase
from tests.indexer.model import CHAIN_ID, ModelChain, ModelReader
from tests.indexer.running import (
    index_in_steps,
    make_indexer,
    make_spec,
    replace_canonical,
    straight_run,
    when,
)
from tests.indexer.tables import assert_same_tables, dump_tables

pytestmark = pytest.mark.database


@pytest.mark.parametrize("depth", [1, 3, 20])
@pytest.mark.parametrize("seed", [1, 2])
async def test_after_a_fork_the_tables_are_those_of_a_straight_run(
    make_database: MakeDatabase, depth: int, seed: int
) -> None:
    chain = ModelChain(seed)
    forked, straight = make_database(), make_database()
    await index_in_steps(chain, forked.database, 30)
    chain.reorg(depth)
    await index_in_steps(chain, forked.database, 5)

    await straight_run(chain, straight.database)
    assert_same_tables(dump_tables(forked.url), dump_tables(straight.url))


async def test_forks_within_forks_leave_the_tables_of_a_straight_run(make_database: MakeDatabase) -> None:
    chain = ModelChain(seed=5)
    forked, straight = make_database(), make_database()
    reader = ModelReader(chain)
    indexer = make_indexer(reader, forked.database)
    random = Random(5)
    reads = 0

    def fork_while_reading(method: str) -> None:
        nonlocal reads
        reads += method == "read"
        if method == "read" and reads % 34 == 0:
            chain.reorg(random.randrange(1, min(12, len(chain.canonical))))

    await indexer.run_until(0)
    chain.mine(15)
    reader.fault = fork_while_reading
    for _ in range(40):
        chain.mine()
        await indexer.run_until(chain.head.ref.number)
    reader.fault = lambda _: None
    await indexer.run_until(chain.head.ref.number)
    while indexer.cursor != chain.head.ref:
        chain.mine()
        await indexer.run_until(chain.head.ref.number)

    await straight_run(chain, straight.database)
    assert_same_tables(dump_tables(forked.url), dump_tables(straight.url))


async def test_a_fork_that_replaces_everything_stored_starts_anew(make_database: MakeDatabase) -> None:
    chain = ModelChain(seed=6)
    chain.mine(40)
    forked = make_database()
    indexer = make_indexer(ModelReader(chain), forked.database)
    await indexer.run_until(40, scanned=True)
    chain.reorg(5)
    chain.mine()
    await indexer.run_until(41, scanned=True)
    chain.mine()
    await indexer.run_until(42, scanned=True)

    await assert_equals_the_chain(forked.database, chain, range(42, 43))
    assert [row[1] for row in dump_tables(forked.url)["blocks"]] == [41, 42]


async def test_a_fork_deeper_than_finality_stops_the_chain_and_says_so(database: Database) -> None:
    chain = ModelChain(seed=7)
    spec = make_spec(finality_depth=5)
    indexer = make_indexer(ModelReader(chain), database, spec=spec)
    for _ in range(15):
        chain.mine()
        await indexer.run_until(chain.head.ref.number)
    before = chain.head.ref.number
    chain.reorg(9)
    chain.mine()

    with pytest.raises(Fatal, match="not on the node's chain"):
        await indexer.run_until(chain.head.ref.number)

    async with database.read() as session:
        (status,) = await load_chains(session)
        head = await load_head(session, CHAIN_ID)
    assert status.trouble is not None
    assert "limit is 5" in status.trouble
    assert head is not None
    assert head.ref.number == before


async def test_a_node_that_falls_behind_changes_nothing(make_database: MakeDatabase) -> None:
    chain = ModelChain(seed=8)
    place = make_database()
    await index_in_steps(chain, place.database, 12)
    before = dump_tables(place.url)
    lagging = replace_canonical(chain)
    lagging.canonical = chain.canonical[:8]
    reader = ModelReader(lagging)
    running = asyncio.create_task(make_indexer(reader, place.database).run())
    await when(lambda: len(reader.calls) > 40)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert_same_tables(dump_tables(place.url), before)
