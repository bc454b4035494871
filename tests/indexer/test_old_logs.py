"""The search of old logs: bounded, resumed, shared."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from app.indexer.between.scan import ScanProgress
from app.store.postgres.engine import Database
from app.store.scans import load_scans
from tests.fakes.protocol import toy_deployment
from tests.indexer.comparing import assert_equals_the_chain
from tests.indexer.model import CHAIN_ID, ModelChain, ModelReader
from tests.indexer.running import (
    QUICK,
    load_state,
    make_indexer,
    when,
)

pytestmark = pytest.mark.database


async def test_accounts_found_by_a_search_are_read_a_bounded_number_a_block(database: Database) -> None:
    chain = ModelChain(seed=12, wallets=40)
    chain.mine(80)
    options = replace(QUICK, due_per_block=3)
    indexer = make_indexer(ModelReader(chain), database, options=options)
    progress: list[ScanProgress] = []
    indexer = make_indexer(ModelReader(chain), database, options=options, on_scan=progress.append)
    await indexer.run_until(80, scanned=True)
    wallets = {wallet for wallet, _ in chain.head.state.holdings}
    assert len(wallets) > 20
    assert progress[-1].blocks_done == progress[-1].blocks_total == 80

    read = [0]
    while True:
        chain.mine(change=lambda draft: None)
        await indexer.run_until(chain.head.ref.number)
        _, accounts = await load_state(database, chain.head.ref.number)
        assert len(accounts) - read[-1] <= 3
        if len(accounts) == read[-1]:
            break
        read.append(len(accounts))

    await assert_equals_the_chain(database, chain, range(chain.head.ref.number, chain.head.ref.number + 1))


async def test_found_accounts_are_read_the_faster_the_quicker_blocks_are(database: Database) -> None:
    chain = ModelChain(seed=12, wallets=40)
    chain.mine(80)
    options = replace(QUICK, due_per_block=3, due_most_per_block=1_000, due_seconds=3600.0)
    indexer = make_indexer(ModelReader(chain), database, options=options)
    await indexer.run_until(80, scanned=True)
    read = []
    for _ in range(3):
        chain.mine(change=lambda draft: None)
        await indexer.run_until(chain.head.ref.number)
        _, accounts = await load_state(database, chain.head.ref.number)
        read.append(len(accounts))
    wallets = {wallet for wallet, _ in chain.head.state.holdings}
    assert read[0] <= 3
    assert read[2] >= len(wallets) > 20


async def test_a_search_goes_on_where_a_stopped_process_left_it(database: Database) -> None:
    chain = ModelChain(seed=13)
    chain.mine(60)
    reader = ModelReader(chain)
    options = replace(QUICK, scan_first_blocks=5, scan_most_blocks=5)
    first = asyncio.create_task(make_indexer(reader, database, options=options).run())
    await when(lambda: sum(method == "fetch_logs" for method, _ in reader.calls) >= 4)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    async with database.read() as session:
        (left,) = await load_scans(session, CHAIN_ID, 10)
    assert left.from_block > 10

    again = ModelReader(chain)
    await make_indexer(again, database, options=options).run_until(60, scanned=True)
    searched = [what for method, what in again.calls if method == "fetch_logs"]
    assert searched[0] == (left.from_block, left.from_block + 4)


async def test_two_deployments_share_one_search(database: Database) -> None:
    chain = ModelChain(seed=14)
    chain.mine(30)
    reader = ModelReader(chain)
    twins = [toy_deployment(), toy_deployment(id="toy-twin", start_block=11)]
    await make_indexer(reader, database, deployments=twins).run_until(30, scanned=True)

    searched = [what for method, what in reader.calls if method == "fetch_logs"]
    blocks = [number for from_block, to_block in searched for number in range(from_block, to_block + 1)]
    assert blocks == list(range(1, 31))
