"""The books the API answers for whole markets from: one a chain, loaded when first asked for, moved when asked again.

A book belongs to one reader at a time: a chain's lock is held while anything is worked out from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from app.book import BlockReplaced, Keeper, LedgerSums, Reading, ledger_sums
from app.book.market import risk_market
from app.domain.account import AccountKey, AccountSnapshot
from app.domain.chain import ChainId
from app.protocols.base import Adapter
from app.store.blocks import StoredBlock
from app.store.book import is_stored, load_states
from app.store.postgres.engine import Database
from app.valuation.book import Book
from app.valuation.groups import AssetGroups
from app.valuation.market_risk import RiskMarket


@dataclass(frozen=True, slots=True)
class BookAt:
    """One chain's book at a block. Good as long as its chain's lock is held."""

    block: StoredBlock
    reading: Reading
    market: RiskMarket
    sums: tuple[LedgerSums, ...]


@dataclass(slots=True)
class _Held:
    keeper: Keeper
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: BookAt | None = None


class ChainBooks:
    """Every chain's book, as far as somebody asked for it. Memory: what the accounts of those chains take."""

    def __init__(self, database: Database, find_adapter: Callable[[str], Adapter], groups: AssetGroups) -> None:
        self._database, self._find_adapter, self._groups = database, find_adapter, groups
        self._held: dict[ChainId, _Held] = {}

    @asynccontextmanager
    async def standing(self, blocks: Mapping[ChainId, StoredBlock]) -> AsyncIterator[list[BookAt]]:
        """Each chain's book at the given block, or at a later one where it is further on already.

        Raises:
            BlockReplaced: a block is no longer stored: ask again with the newest ones.
        """
        async with AsyncExitStack() as locks:
            found = []
            for chain_id in sorted(blocks):  # always in this order, or two readers could wait for each other
                held = self._held.get(chain_id)
                if held is None:
                    keeper = Keeper(self._database, chain_id, adapters=self._find_adapter)
                    held = self._held[chain_id] = _Held(keeper)
                await locks.enter_async_context(held.lock)
                found.append(await self._move(held, blocks[chain_id]))
            yield found

    async def states_of(self, book: BookAt, keys: frozenset[AccountKey]) -> list[AccountSnapshot]:
        """The raw states of some accounts at the book's block; those that could not be read are left out."""
        async with self._database.read() as session:
            found = await load_states(session, sorted(keys), book.block)
        return [state for state in found if isinstance(state, AccountSnapshot)]

    async def _move(self, held: _Held, to: StoredBlock) -> BookAt:
        keeper = held.keeper
        if held.at is not None and await self._is_good(held.at.block, to):
            return held.at
        held.at = None
        try:
            await _go(keeper, to)
        except BlockReplaced:
            if keeper.at is not None:
                await keeper.rewind()
            await _go(keeper, to)
        reading = await keeper.read()
        held.at = await asyncio.to_thread(self._book_at, keeper.book, reading)
        return held.at

    async def _is_good(self, at: StoredBlock, to: StoredBlock) -> bool:
        """Whether a book at `at` answers whoever saw `to` as the newest block: another may have moved it on since."""
        if at == to or at.ref.number <= to.ref.number:
            return at == to
        async with self._database.read() as session:
            return await is_stored(session, at)

    def _book_at(self, book: Book, reading: Reading) -> BookAt:
        sums = tuple(ledger_sums(reading))
        market = risk_market(book, reading, self._find_adapter, self._groups)
        return BookAt(reading.block, reading, market, sums)


async def _go(keeper: Keeper, to: StoredBlock) -> None:
    """Bring the keeper to a block it may stand at, below, or not have been loaded for."""
    if keeper.at == to:
        return
    if keeper.at is None or keeper.at.ref.number >= to.ref.number:
        await keeper.load(to)
    else:
        await keeper.advance(to)
