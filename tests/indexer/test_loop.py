"""The Indexer over the model chain and a real Postgres: what is stored is what the chain says, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

import pytest

from app.domain.account import AccountSnapshot, Unreadable
from app.errors import Fatal
from app.indexer.loop import ROLE
from app.indexer.scan import ScanProgress
from app.store.blocks import load_head
from app.store.chains import load_chains
from app.store.engine import Database, WriteSession
from app.store.faults import DatabaseUnavailable
from app.store.locks import lock_key
from app.store.scans import load_scans
from tests.fakes.protocol import toy_deployment
from tests.indexer.conftest import MakeDatabase
from tests.indexer.model import CHAIN_ID, Draft, ModelChain, ModelReader, address
from tests.indexer.running import (
    QUICK,
    index_in_steps,
    load_state,
    make_indexer,
    make_spec,
    replace_canonical,
    straight_run,
    when,
)
from tests.indexer.tables import assert_same_tables, dump_tables

pytestmark = pytest.mark.database


async def assert_equals_the_chain(database: Database, chain: ModelChain, numbers: range) -> None:
    """At each of these blocks, every account the chain knows has the chain's own numbers."""
    for number in numbers:
        block = chain.canonical[number]
        state, accounts = await load_state(database, number)
        found = {account.key.wallet: account for account in accounts}
        priced = state.at(block.ref.timestamp, block.ref.number)
        for wallet in {wallet for wallet, _ in block.state.holdings}:
            account = found[wallet]
            if isinstance(account, AccountSnapshot):
                wanted = {
                    str(market): (held.supplied, held.borrowed, held.flag)
                    for (owner, market), held in block.state.holdings.items()
                    if owner == wallet and (held.supplied or held.borrowed or held.flag)
                }
                assert {
                    p.market: (p.supplied_raw, p.borrowed_raw, p.is_collateral) for p in account.positions
                } == wanted
                answer = block.state._truth(wallet, block.ref.timestamp)
                words = getattr(answer, "data", b"")
                truth = priced.truth(account)
                if truth is not None and state.confirmed_samples:
                    assert b"".join(value.to_bytes(32, "big") for value in truth) == words


async def test_every_account_at_every_block_equals_the_chain(database: Database) -> None:
    chain = ModelChain(seed=1)
    await index_in_steps(chain, database, 60)
    await assert_equals_the_chain(database, chain, range(61))


async def test_a_new_market_is_followed_from_the_very_block_of_its_first_deposit(database: Database) -> None:
    chain = ModelChain(seed=2)
    reader = ModelReader(chain)
    indexer = make_indexer(reader, database)
    chain.mine(3)
    await indexer.run_until(3)
    new, wallet = address("late market"), address("early bird")

    def list_and_deposit(draft: Draft) -> None:
        draft.list_market(new)
        draft.hold(wallet, new, 5_000, 0)

    chain.mine(change=list_and_deposit)
    await indexer.run_until(4)

    state, accounts = await load_state(database, 4)
    assert str(new) in state.thresholds
    found = next(account for account in accounts if account.key.wallet == wallet)
    assert isinstance(found, AccountSnapshot)
    assert [(p.market, p.supplied_raw) for p in found.positions] == [(str(new), 5_000)]


async def test_an_unreadable_account_is_unknown_until_a_later_read_succeeds(database: Database) -> None:
    chain = ModelChain(seed=3)
    reader = ModelReader(chain)
    indexer = make_indexer(reader, database)
    wallet = address("wallet with trouble")
    market = address("market 0")
    await indexer.run_until(0)
    chain.mine(change=lambda draft: draft.hold(wallet, market, 700, 0, flag=True))
    chain.mine(change=lambda draft: draft.break_wallet(wallet))
    chain.mine(change=lambda draft: draft.mend(wallet, silently=True))
    await indexer.run_until(3)
    _, (broken,) = await load_state(database, 2)
    _, (still_broken,) = await load_state(database, 3)
    assert isinstance(broken, Unreadable)
    assert isinstance(still_broken, Unreadable)

    nothing = lambda draft: None  # noqa: E731
    for number in range(4, 2 + QUICK.retry_unreadable_blocks + 1):
        chain.mine(change=nothing)
        await indexer.run_until(number)

    _, (well,) = await load_state(database, chain.head.ref.number)
    assert isinstance(well, AccountSnapshot)
    assert [p.supplied_raw for p in well.positions] == [700]


async def test_an_unreadable_account_is_read_again_where_the_log_pointed_to(database: Database) -> None:
    chain = ModelChain(seed=3)
    indexer = make_indexer(ModelReader(chain), database)
    wallet, market = address("wallet with trouble"), address("market 0")

    def deposit_and_break(draft: Draft) -> None:
        draft.hold(wallet, market, 700, 0)  # without a flag: only the log says where it is
        draft.break_wallet(wallet)

    await indexer.run_until(0)
    chain.mine(change=deposit_and_break)
    await indexer.run_until(1)
    for number in range(2, 2 + QUICK.retry_unreadable_blocks):
        chain.mine(change=lambda draft: None)
        await indexer.run_until(number)
    _, (account,) = await load_state(database, chain.head.ref.number)
    assert isinstance(account, Unreadable)

    for _ in range(QUICK.retry_unreadable_blocks):
        chain.mine(change=lambda draft: draft.mend(wallet, silently=True))
        await indexer.run_until(chain.head.ref.number)
    _, (account,) = await load_state(database, chain.head.ref.number)
    assert isinstance(account, AccountSnapshot)
    assert [position.supplied_raw for position in account.positions] == [700]


async def test_accounts_of_a_deployment_no_longer_followed_hold_up_nobody(database: Database) -> None:
    chain = ModelChain(seed=20)
    chain.mine(20)
    options = replace(QUICK, due_per_block=1)
    twins = [toy_deployment(id="a-twin"), toy_deployment()]
    await make_indexer(ModelReader(chain), database, deployments=twins, options=options).run_until(20, scanned=True)
    indexer = make_indexer(ModelReader(chain), database, options=options)
    for _ in range(15):
        chain.mine(change=lambda draft: None)
        await indexer.run_until(chain.head.ref.number)

    await assert_equals_the_chain(database, chain, range(chain.head.ref.number, chain.head.ref.number + 1))


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
        if method == "read" and reads % 17 == 0:
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


async def test_rules_are_compared_with_the_contract_and_again_when_its_code_changes(database: Database) -> None:
    chain = ModelChain(seed=17)
    indexer = make_indexer(ModelReader(chain), database)
    wallet, market = address("borrower"), address("market 0")
    await indexer.run_until(0)
    state, _ = await load_state(database, 0)
    assert state.confirmed_samples is None

    chain.mine(change=lambda draft: draft.hold(wallet, market, 999, 333, flag=True))
    await indexer.run_until(1)
    state, _ = await load_state(database, 1)
    assert (state.rounds_up, state.confirmed_samples) == (False, 1)

    chain.mine(change=lambda draft: (draft.flip_rounding(), draft.price(market, 101)))
    await indexer.run_until(2)
    state, _ = await load_state(database, 2)
    assert (state.rounds_up, state.confirmed_samples) == (True, 1)
