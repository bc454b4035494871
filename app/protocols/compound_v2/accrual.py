"""A deployment's markets with interest accrued to one block, on the terms of each pool.

Every product is cut off where the contracts' own Exp arithmetic cuts it off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from app.domain.units import WAD
from app.protocols.compound_v2.raw import CORE_POOL, Numbers, Raw
from app.protocols.compound_v2.rules import Rules

MAX_RATE = 5 * 10**12
"""A market whose borrow rate is above this reverts instead of accruing: its stored numbers stay in force."""


class Row(NamedTuple):
    """What one market counts for in an account of one pool."""

    rate: int
    """Exchange rate."""
    borrow_index: int
    price: int | None
    """The oracle's; None when it has none, which fails the account."""
    threshold: int
    factor: int
    """Weight for borrowing."""
    listed: bool
    weight: int
    """Collateral value of one cToken unit, weighed, 18 decimals more; 0 without a price."""


@dataclass(frozen=True, slots=True)
class Books:
    """A market's books as of a block."""

    exchange_rate: int
    borrow_index: int
    total: int
    """Everything the cTokens stand for, in the underlying."""
    supply: int
    frozen: bool
    """The market cannot accrue."""


class Accrued:
    """Raw state, rules and a block; whatever is derived from them is computed once, when first needed."""

    __slots__ = ("_books", "_rows", "block_number", "now", "raw", "rules", "stored", "timestamp")

    def __init__(self, raw: Raw, rules: Rules, timestamp: int, block_number: int, *, stored: bool = False) -> None:
        """With `stored` nothing is accrued: the numbers as the contracts' views give them."""
        self.raw = raw
        self.rules = rules
        self.timestamp = timestamp
        self.block_number = block_number
        self.now = timestamp if rules.by_seconds else block_number
        self.stored = stored
        self._rows: dict[int, dict[str, Row | None]] = {}
        self._books: dict[str, Books | None] = {}

    def rows(self, pool: int) -> Mapping[str, Row | None]:
        """What every market counts for in an account of that pool; None where a needed read failed."""
        rows = self._rows.get(pool)
        if rows is None:
            rows = self._rows[pool] = {listing.code: self._row(listing.code, pool) for listing in self.raw.listings}
        return rows

    def books(self, code: str) -> Books | None:
        """The market's books as of the block; None when they could not be read.

        Raises:
            ValueError: the block lies before the market's last accrual.
        """
        if code not in self._books:
            numbers, share = self.raw.numbers.get(code), self.raw.by_code[code].reserve_factor
            self._books[code] = None if numbers is None or share is None else self._accrue(numbers, share)
        return self._books[code]

    def factors(self, code: str, pool: int) -> tuple[bool, int, int] | None:
        """Listed, threshold and collateral factor for an account of that pool; None when something was not read.

        Source: `MarketFacet.getLiquidationParams`; membership always goes by the core pool's listing.
        """
        words = self.raw.by_code[code].words
        if words is None or len(words) != self.rules.market_words:
            return None
        listed, at = bool(words[0]), self.rules.threshold_word
        if pool != CORE_POOL and self.rules.pools:
            chosen = self.raw.pools.get(pool)
            if chosen is None or chosen.active is None:
                return None
            if chosen.active:
                special = chosen.markets.get(code)
                if special is None or chosen.falls_back is None:
                    return None
                if special[0] or not chosen.falls_back:
                    words = special
        return listed, words[at], words[1]

    def weight(self, threshold: int, rate: int, price: int) -> int:
        """Weighed value of one cToken unit, floored product by product in the rules' order."""
        if self.rules.price_first:
            return threshold * (rate * price // WAD) // WAD
        return threshold * rate // WAD * price // WAD

    def with_price(self, code: str, price: int) -> Accrued:
        """The same with another oracle price for one market, in the oracle's own unit."""
        raw = replace(self.raw, prices={**self.raw.prices, code: price})
        other = Accrued(raw, self.rules, self.timestamp, self.block_number, stored=self.stored)
        other._books = self._books
        return other

    def _row(self, code: str, pool: int) -> Row | None:
        books, factors = self.books(code), self.factors(code, pool)
        if books is None or factors is None:
            return None
        listed, threshold, factor = factors
        price = self.raw.prices.get(code) or None
        weight = self.weight(threshold, books.exchange_rate, price) if price else 0
        return Row(books.exchange_rate, books.borrow_index, price, threshold, factor, listed, weight)

    def _accrue(self, numbers: Numbers, reserve_factor: int) -> Books:
        """`VToken.accrueInterest` and `exchangeRateStoredInternal` with the present rate."""
        elapsed = self.now - numbers.accrued_at
        if elapsed < 0:
            raise ValueError(f"interest cannot be accrued back from {numbers.accrued_at} to {self.now}")
        cash, frozen = numbers.cash + numbers.extra, numbers.rate > MAX_RATE
        stored_total = cash + numbers.borrows - numbers.reserves
        if self.stored or frozen or not elapsed:
            return Books(numbers.exchange_rate, numbers.borrow_index, stored_total, numbers.supply, frozen)
        growth = numbers.rate * elapsed
        interest = growth * numbers.borrows // WAD
        total = stored_total + interest - interest * reserve_factor // WAD
        rate = total * WAD // numbers.supply if numbers.supply else numbers.exchange_rate
        index = growth * numbers.borrow_index // WAD + numbers.borrow_index
        return Books(rate, index, total, numbers.supply, frozen)
