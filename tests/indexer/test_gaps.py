"""Blocks nobody followed: searched at once, or left to the search between blocks and said so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.account import AccountSnapshot
from app.store.chains import load_chains
from app.store.postgres.engine import Database
from app.store.scans import load_scans
from tests.indexer.comparing import assert_equals_the_chain
from tests.indexer.model import CHAIN_ID, ModelChain, ModelReader, address
from tests.indexer.running import (
    QUICK,
    load_state,
    make_indexer,
    make_spec,
)

pytestmark = pytest.mark.database


async def test_a_gap_beyond_the_nodes_memory_but_short_enough_to_search_at_once_leaves_nothing_stale(
    database: Database,
) -> None:
    chain = ModelChain(seed=19)
    indexer = make_indexer(ModelReader(chain), database, spec=make_spec(state_depth=10))
    await indexer.run_until(0)
    chain.mine(18)
    await indexer.run_until(18)

    await assert_equals_the_chain(database, chain, range(18, 19))
    async with database.read() as session:
        assert await load_scans(session, CHAIN_ID, 10) == []


async def test_a_gap_beyond_the_nodes_memory_is_jumped_and_its_logs_are_searched(database: Database) -> None:
    chain = ModelChain(seed=9)
    spec = make_spec(state_depth=10)
    reader = ModelReader(chain)
    indexer = make_indexer(reader, database, spec=spec)
    chain.mine(10)
    await indexer.run_until(10, scanned=True)
    chain.mine()
    await indexer.run_until(11, scanned=True)
    chain.mine(50)
    await indexer.run_until(61, scanned=True)
    chain.mine()
    await indexer.run_until(62, scanned=True)

    await assert_equals_the_chain(database, chain, range(62, 63))
    searched = [what for method, what in reader.calls if method == "fetch_logs"]
    assert max(to_block - from_block + 1 for from_block, to_block in searched) <= QUICK.scan_most_blocks


async def test_a_change_inside_a_jumped_gap_is_found_for_an_account_known_from_an_earlier_search(
    database: Database,
) -> None:
    chain = ModelChain(seed=9)
    wallet, market = address("early"), address("market 0")
    nothing = lambda draft: None  # noqa: E731
    chain.mine(change=lambda draft: draft.hold(wallet, market, 100, 0))
    chain.mine(5, change=nothing)
    indexer = make_indexer(ModelReader(chain), database, spec=make_spec(state_depth=10))
    await indexer.run_until(6, scanned=True)
    chain.mine(change=nothing)
    await indexer.run_until(7)
    chain.mine(change=lambda draft: draft.hold(wallet, market, 250, 0))
    chain.mine(20, change=nothing)
    await indexer.run_until(28, scanned=True)
    chain.mine(change=nothing)
    await indexer.run_until(29)

    _, (account,) = await load_state(database, 29)
    assert isinstance(account, AccountSnapshot)
    assert [position.supplied_raw for position in account.positions] == [250]


async def test_accounts_that_may_have_changed_in_a_jumped_gap_are_not_passed_off_as_current(database: Database) -> None:
    async def trouble() -> str | None:
        async with database.read() as session:
            return (await load_chains(session))[0].trouble

    chain = ModelChain(seed=9)
    wallet, market = address("early"), address("market 0")
    nothing = lambda draft: None  # noqa: E731
    chain.mine(change=lambda draft: draft.hold(wallet, market, 100, 0))
    chain.mine(5, change=nothing)
    options = replace(QUICK, search_at_once_blocks=0, scan_most_blocks=4)
    indexer = make_indexer(ModelReader(chain), database, spec=make_spec(state_depth=10), options=options)
    await indexer.run_until(6, scanned=True)
    chain.mine(change=nothing)
    await indexer.run_until(7, scanned=True)
    assert await trouble() is None
    chain.mine(change=lambda draft: draft.hold(wallet, market, 250, 0))
    chain.mine(20, change=nothing)
    await indexer.run_until(28)
    assert "still to be searched" in str(await trouble())
    await indexer.run_until(28, scanned=True)
    assert "1 accounts they changed" in str(await trouble())
    chain.mine(change=nothing)
    await indexer.run_until(29, scanned=True)
    assert await trouble() is None


async def test_state_the_node_has_thrown_away_is_jumped_over(database: Database) -> None:
    chain = ModelChain(seed=10)
    reader = ModelReader(chain)
    indexer = make_indexer(reader, database)
    await indexer.run_until(0)
    chain.mine(30)
    reader.pruned_below = 29
    await indexer.run_until(30, scanned=True)
    chain.mine()
    await indexer.run_until(31)

    await assert_equals_the_chain(database, chain, range(31, 32))


async def test_with_a_sampling_step_logs_of_all_blocks_count(database: Database) -> None:
    chain = ModelChain(seed=11)
    indexer = make_indexer(ModelReader(chain), database, spec=make_spec(sampling_step=4))
    await indexer.run_until(0)
    chain.mine(21)
    await indexer.run_until(20)

    await assert_equals_the_chain(database, chain, range(4, 21, 4))
