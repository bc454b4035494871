"""What is read before a block's logs are known, and what after it is stored: both save time, and change nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from app.chain.faults import Transport
from app.chain.reader import Header
from app.domain.chain import BlockRef, Log, LogFilter, ReadPlan
from app.store.postgres.engine import Database
from tests.indexer.comparing import assert_equals_the_chain
from tests.indexer.model import Draft, ModelChain, ModelReader, address
from tests.indexer.running import QUICK, load_state, make_indexer, when

pytestmark = pytest.mark.database

NEW = address("late market")
_TURNS = 200
"""Of the event loop: many more than reading a block of the model takes."""


class PacedReader(ModelReader):
    """Gives logs out once what is read ahead was answered, or has failed, or hangs; or after a while."""

    def __init__(self, chain: ModelChain) -> None:
        super().__init__(chain)
        self.spoils = ""
        """What becomes of whatever is read while logs are waited for: it `fails` or `hangs`."""
        self.spoilt = 0
        self.loses_logs = False
        self.read_ahead = 0
        """Blocks whose state was read while their logs were waited for."""
        self._are_logs_waited_for = False
        self._is_read = False

    async def fetch_block_logs(self, header: Header, log_filter: LogFilter) -> list[Log]:
        self._are_logs_waited_for, self._is_read = True, False
        try:
            for _ in range(_TURNS):
                if self._is_read:
                    self.read_ahead += 1
                    break
                await asyncio.sleep(0)
        finally:
            self._are_logs_waited_for = False
        if self.loses_logs:
            self.loses_logs = False
            raise Transport("the logs were lost")
        return await super().fetch_block_logs(header, log_filter)

    async def read_all(
        self, plans: Sequence[ReadPlan[Any]], block: BlockRef, meanwhile: Awaitable[object] | None = None
    ) -> list[Any]:
        is_ahead = self._are_logs_waited_for
        if is_ahead and self.spoils:
            self.spoilt += 1
            self._is_read = True
            if self.spoils == "hangs":
                await asyncio.Event().wait()
            raise Transport("the node hung up")
        try:
            return await super().read_all(plans, block, meanwhile)
        finally:
            self._is_read = is_ahead


async def _followed(database: Database, blocks: int = 3) -> tuple[ModelChain, PacedReader, Any]:
    """A chain, its reader and its indexer, which stands at block `blocks`."""
    chain = ModelChain(seed=31)
    reader = PacedReader(chain)
    indexer = make_indexer(reader, database)
    await indexer.run_until(0)
    for number in range(1, blocks + 1):
        chain.mine()
        await indexer.run_until(number)
    return chain, reader, indexer


def _list_and_reprice(draft: Draft) -> None:
    old = min(draft.state.markets)
    draft.price(old, 123_456_789)
    draft.list_market(NEW)
    draft.price(NEW, 42)
    draft.hold(address("early bird"), NEW, 5_000, 0)


async def test_what_moves_is_read_while_logs_are_waited_for(database: Database) -> None:
    chain, reader, _ = await _followed(database, 5)
    assert reader.read_ahead == 5
    await assert_equals_the_chain(database, chain, range(6))


async def test_a_market_added_in_the_very_block_read_ahead_is_read_in_full(database: Database) -> None:
    chain, _, indexer = await _followed(database)
    chain.mine(change=_list_and_reprice)
    await indexer.run_until(4)
    state, _ = await load_state(database, 4)
    assert str(NEW) in state.thresholds
    assert state.prices[str(NEW)] == 42
    await assert_equals_the_chain(database, chain, range(5))


@pytest.mark.parametrize("spoils", ["fails", "hangs"])
async def test_what_is_read_ahead_and_not_needed_holds_up_nothing(database: Database, spoils: str) -> None:
    chain, reader, indexer = await _followed(database)
    reader.spoils = spoils
    chain.mine(change=_list_and_reprice)
    await indexer.run_until(4)
    assert reader.spoilt == 1
    await assert_equals_the_chain(database, chain, range(5))


async def test_a_failure_of_what_is_needed_is_the_blocks(database: Database) -> None:
    chain, reader, indexer = await _followed(database)
    reader.spoils = "fails"
    chain.mine(change=lambda draft: draft.price(min(draft.state.markets), 987_654_321))
    running = asyncio.create_task(indexer.run_until(4))
    while reader.spoilt < 3:
        await asyncio.sleep(0)
    assert indexer.cursor.number == 3
    reader.spoils = ""
    await running
    await assert_equals_the_chain(database, chain, range(5))


@pytest.mark.parametrize("ends", ["logs are lost", "cancelled"])
async def test_nothing_read_ahead_outlives_its_block(database: Database, ends: str) -> None:
    chain, reader, indexer = await _followed(database)
    before = asyncio.all_tasks()
    reader.spoils, reader.loses_logs = "hangs", ends == "logs are lost"
    chain.mine()
    running = asyncio.create_task(indexer.run_until(4))
    while not reader.spoilt:
        await asyncio.sleep(0)
    if ends == "cancelled":
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    else:
        while reader.loses_logs:
            await asyncio.sleep(0)
        reader.spoils = ""
        await running
        await assert_equals_the_chain(database, chain, range(5))
    assert asyncio.all_tasks() == before


async def test_finality_is_asked_about_once_a_block_is_stored(database: Database) -> None:
    chain = ModelChain(seed=32)
    reader = ModelReader(chain)
    indexer = make_indexer(reader, database, options=replace(QUICK, finality_seconds=0.0))
    await indexer.run_until(0, scanned=True)
    for number in (1, 2, 3):
        reader.calls.clear()
        chain.mine()
        running = asyncio.create_task(indexer.run())
        await when(lambda: ("fetch_header", "finalized") in reader.calls)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert indexer.cursor == chain.head.ref, f"block {number} waited"
