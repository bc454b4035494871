"""Logs of the next range are asked for while the last ones are looked at: one range ahead, never believed too long."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest

from app.domain.chain import Address, Hash32, Log, LogFilter
from app.indexer.between.logs_ahead import LogsAhead, RangeAsked, RangeLogs
from app.store.postgres.engine import Database
from app.store.scans import load_backlog, load_scans
from tests.indexer.comparing import assert_equals_the_chain
from tests.indexer.model import CHAIN_ID, ModelChain, ModelReader
from tests.indexer.running import QUICK, load_state, make_indexer, when

BY_FIVE = replace(QUICK, scan_first_blocks=5, scan_most_blocks=5)
HEAD = ModelChain(seed=1).head.ref
FILTER = LogFilter(frozenset({Address(bytes(20))}), frozenset({Hash32(bytes(32))}))


class GatedReader(ModelReader):
    """Gives the logs of the range that begins with `held_from` once `gate` is open, as they were when asked for."""

    def __init__(self, chain: ModelChain, held_from: int) -> None:
        super().__init__(chain)
        self.held_from = held_from
        self.gate = asyncio.Event()

    @property
    def searched(self) -> list[Any]:
        """Ranges asked for, in order."""
        return [what for method, what in self.calls if method == "fetch_logs"]

    async def fetch_logs(self, log_filter: LogFilter, from_block: int, to_block: int) -> list[Log]:
        logs = await super().fetch_logs(log_filter, from_block, to_block)
        if from_block == self.held_from:
            await self.gate.wait()
        return logs


async def scan_start(database: Database) -> int:
    """The first block that no stored search has covered."""
    async with database.read() as session:
        (left,) = await load_scans(session, CHAIN_ID, 10)
    return left.from_block


async def has_searched(database: Database, blocks: int) -> None:
    """Wait until the store says so."""
    async with asyncio.timeout(60):
        while True:
            async with database.read() as session:
                found = await load_scans(session, CHAIN_ID, 10)
            if found and found[0].from_block == blocks + 1:
                return
            await asyncio.sleep(0.001)


async def end(task: asyncio.Task[None]) -> None:
    """Stop a process."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.database
async def test_one_range_is_asked_for_while_the_one_before_is_stored_and_no_more(database: Database) -> None:
    chain = ModelChain(seed=31)
    chain.mine(30)
    reader = GatedReader(chain, held_from=6)
    running = asyncio.create_task(make_indexer(reader, database, options=BY_FIVE).run_until(30, scanned=True))
    await has_searched(database, 5)
    assert reader.searched == [(1, 5), (6, 10)]
    reader.gate.set()
    await running
    assert reader.searched == [(first, first + 4) for first in range(1, 31, 5)]


@pytest.mark.database
async def test_a_head_is_stored_while_the_node_gathers_old_logs(database: Database) -> None:
    chain = ModelChain(seed=32)
    chain.mine(30)
    reader = GatedReader(chain, held_from=6)
    indexer = make_indexer(reader, database, options=BY_FIVE)
    running = asyncio.create_task(indexer.run_until(32, scanned=True))
    await has_searched(database, 5)
    chain.mine()
    await when(lambda: indexer.cursor is not None and indexer.cursor.number == 31)
    chain.mine()
    await when(lambda: indexer.cursor is not None and indexer.cursor.number == 32)
    assert not reader.gate.is_set()
    assert reader.searched == [(1, 5), (6, 10)]
    reader.gate.set()
    await running


@pytest.mark.database
async def test_logs_asked_for_before_a_fork_are_not_used(database: Database) -> None:
    chain = ModelChain(seed=33, wallets=30)
    chain.mine(9)
    reader = GatedReader(chain, held_from=6)
    indexer = make_indexer(reader, database, options=BY_FIVE)
    running = asyncio.create_task(indexer.run_until(12, scanned=True))
    await has_searched(database, 5)
    chain.reorg(3)
    chain.mine(3)
    await when(lambda: indexer.cursor is not None and indexer.cursor.number == 12)
    reader.gate.set()
    await running
    assert reader.searched.count((6, 9)) == 2
    for _ in range(3):  # whoever the search found is read with the next blocks
        chain.mine()
        await indexer.run_until(chain.head.ref.number)
    await assert_equals_the_chain(database, chain, range(chain.head.ref.number, chain.head.ref.number + 1))


@pytest.mark.database
async def test_logs_of_a_branch_that_was_left_are_not_queued_even_if_nobody_has_noticed(database: Database) -> None:
    chain = ModelChain(seed=34, wallets=30)
    chain.mine(9)
    reader = GatedReader(chain, held_from=6)
    indexer = make_indexer(reader, database, options=BY_FIVE)
    running = asyncio.create_task(indexer.run())
    await has_searched(database, 5)
    headers = reader.fetch_header
    seen = chain.head.ref.number

    async def as_before(at: Any) -> Any:  # the head's stream does not tell; who asks for the block by number sees it
        return await headers(old.hash if at == "latest" else at)

    old = chain.head.ref
    reader.fetch_header = as_before  # type: ignore[method-assign]
    chain.reorg(2)
    reader.calls.clear()
    reader.gate.set()
    await when(lambda: ("fetch_header", seen) in reader.calls)
    await when(lambda: len(reader.searched) >= 1)
    assert await scan_start(database) == 6
    await end(running)


@pytest.mark.database
async def test_a_process_killed_between_a_search_and_its_commit_has_searched_nothing(database: Database) -> None:
    chain = ModelChain(seed=35)
    chain.mine(30)
    reader = ModelReader(chain)
    searched = asyncio.Event()

    async def never(at: Any) -> Any:
        if at == 30 and any(method == "fetch_logs" for method, _ in reader.calls):
            searched.set()
            await asyncio.Event().wait()
        return await ModelReader.fetch_header(reader, at)

    reader.fetch_header = never  # type: ignore[method-assign]
    first = asyncio.create_task(make_indexer(reader, database, options=BY_FIVE).run())
    await searched.wait()
    await end(first)
    async with database.read() as session:
        backlog = await load_backlog(session, CHAIN_ID)
    assert (backlog.accounts, backlog.blocks) == (0, 30)
    assert asyncio.all_tasks() == {asyncio.current_task()}

    again = make_indexer(ModelReader(chain), database, options=BY_FIVE)
    await again.run_until(30, scanned=True)
    chain.mine(change=lambda draft: None)
    await again.run_until(31)
    _, accounts = await load_state(database, 31)
    assert {account.key.wallet for account in accounts} >= {wallet for wallet, _ in chain.head.state.holdings}


@pytest.mark.database
async def test_a_request_under_way_ends_with_the_process(database: Database) -> None:
    chain = ModelChain(seed=36)
    chain.mine(30)
    reader = GatedReader(chain, held_from=6)
    running = asyncio.create_task(make_indexer(reader, database, options=BY_FIVE).run())
    await has_searched(database, 5)
    await end(running)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def work(gate: asyncio.Event, done: list[str], name: str) -> Coroutine[Any, Any, RangeLogs]:
    async def fetch() -> RangeLogs:
        await gate.wait()
        done.append(name)
        return RangeLogs([], HEAD, 0.0)

    return fetch()


async def test_the_same_is_asked_for_once_and_something_else_takes_its_place() -> None:
    gate, done, ahead = asyncio.Event(), list[str](), LogsAhead()
    gate.set()
    await ahead.ask(RangeAsked(FILTER, 1, 5), work(gate, done, "first"))
    await ahead.ask(RangeAsked(FILTER, 1, 5), work(gate, done, "again"))
    await ahead.take(None)
    assert done == ["first"]
    await ahead.ask(RangeAsked(FILTER, 6, 10), work(gate, done, "lower"))
    await ahead.ask(RangeAsked(FILTER, 6, 12), work(gate, done, "wider"))
    assert ahead.blocks == 7
    await ahead.take(None)
    assert done == ["first", "wider"]
    assert ahead.blocks == 0


async def test_a_failure_is_told_once_and_the_range_can_be_asked_for_again() -> None:
    async def fails() -> RangeLogs:
        raise ConnectionError

    ahead, done, gate = LogsAhead(), list[str](), asyncio.Event()
    gate.set()
    await ahead.ask(RangeAsked(FILTER, 1, 5), fails())
    with pytest.raises(ConnectionError):
        await ahead.take(None)
    await ahead.ask(RangeAsked(FILTER, 1, 5), work(gate, done, "again"))
    await ahead.take(None)
    assert done == ["again"]


@pytest.mark.database
async def test_ranges_grow_fourfold_at_most_while_searches_are_quick(database: Database) -> None:
    chain = ModelChain(seed=37)
    chain.mine(30)
    reader = GatedReader(chain, held_from=0)
    options = replace(QUICK, scan_first_blocks=1, scan_seconds=3600.0)
    await make_indexer(reader, database, options=options).run_until(30, scanned=True)
    assert [to_block - from_block + 1 for from_block, to_block in reader.searched] == [1, 1, 4, 4, 16, 4]


@pytest.mark.database
async def test_slow_searches_make_no_range_shorter_than_the_first(database: Database) -> None:
    chain = ModelChain(seed=38)
    chain.mine(30)
    reader = GatedReader(chain, held_from=0)
    options = replace(QUICK, scan_first_blocks=7, scan_seconds=0.0)
    await make_indexer(reader, database, options=options).run_until(30, scanned=True)
    assert [to_block - from_block + 1 for from_block, to_block in reader.searched] == [7, 7, 7, 7, 2]


@pytest.mark.database
async def test_a_range_with_too_many_logs_is_followed_by_shorter_ones(database: Database) -> None:
    chain = ModelChain(seed=39)
    chain.mine(40)
    reader = GatedReader(chain, held_from=0)
    options = replace(QUICK, scan_first_blocks=10, scan_seconds=3600.0, scan_most_logs=1)
    await make_indexer(reader, database, options=options).run_until(40, scanned=True)
    sizes = [to_block - from_block + 1 for from_block, to_block in reader.searched]
    assert sizes[0] == 10
    assert max(sizes[2:]) < 10  # the second was asked for before the first was looked at
    assert sum(sizes) == 40
