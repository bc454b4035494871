"""What the whole population looks like under one set of factors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from app.domain.account import AccountKey
from app.valuation.book.arrays import Flags, Floats, Indices, Positions
from app.valuation.book.bounds import health_bounds, in_doubt
from app.valuation.book.bucket import Bucket
from app.valuation.book.kernel import Scratch, Values, reprice
from app.valuation.book.population import Ledger, Population, StaleScreen

_BLOCK_ROWS = 65_536


class Ranked(NamedTuple):
    """One account and its approximate health."""

    key: AccountKey
    health: float


class Valued(NamedTuple):
    """One account's values, in whole units."""

    key: AccountKey
    collateral: float
    capacity: float
    requirement: float
    health: float
    """NaN without a requirement; all are NaN where not known."""


@dataclass(frozen=True, slots=True)
class Bands:
    """How many accounts are where. counts[i]: health in [edges[i-1], edges[i]); the ends are open."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    no_debt: int
    unknown: int


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """Sums over the accounts of one ledger whose factors are all known, in whole units of value."""

    accounts: int
    """All of them, the unknown included."""
    unknown: int
    indebted: int
    """With a requirement."""
    liquidatable: int
    """Health below 1 as the book sees it."""
    collateral: float
    capacity: float
    requirement: float


class Screen:
    """Health, collateral, capacity and requirement of every account, as floats: to rank and to pick, never to show as
    the contract's answer. Rows are in the book's own order; ask for keys, not for places."""

    def __init__(self, population: Population, factors: Floats, steps: Floats, widest_steps: Floats) -> None:
        self._population = population
        self._factors, self.steps, self.widest_steps = factors, steps, widest_steps
        self._version = population.version
        self.values = Values.empty(0)

    @property
    def health(self) -> Floats:
        """Capacity / requirement; NaN without a requirement and where a factor is not known."""
        return self.values.health

    @property
    def collateral(self) -> Floats:
        """NaN where not known, as capacity and requirement are."""
        return self.values.collateral

    @property
    def capacity(self) -> Floats:
        """With the average threshold truncated where the deployment does that (not without a requirement)."""
        return self.values.capacity

    @property
    def requirement(self) -> Floats:
        """Debt, or maintenance margin."""
        return self.values.requirement

    @property
    def unknown(self) -> Flags:
        """Accounts of which some factor is not known."""
        return np.isnan(self.capacity) | np.isnan(self.requirement)

    @property
    def factors(self) -> Floats:
        """The factors it was made with."""
        return self._factors

    @property
    def ledger_steps(self) -> Floats:
        """By number of the ledger: the smallest value that is counted in it."""
        return self._population.ledger_steps

    def fill(self, scratch: Scratch, recycled: Values | None) -> None:
        """Compute everything, into the arrays of an earlier screen if they fit."""
        rows = sum(bucket.count for bucket in self._population.buckets)
        fits = recycled is not None and recycled.health.size == rows
        self.values = recycled if recycled is not None and fits else Values.empty(rows)
        for bucket, start in self.spans():
            reprice(bucket, self._factors, self.values.part(start, start + bucket.count), scratch)

    def spans(self) -> Iterator[tuple[Bucket, int]]:
        """Every bucket and where its rows start.

        Raises:
            StaleScreen: accounts were changed after this screen was made, as everything here that names accounts.
        """
        self._require_fresh()
        start = 0
        for bucket in self._population.buckets:
            yield bucket, start
            start += bucket.count

    def keys(self, places: Positions) -> list[AccountKey]:
        """Whose places these are."""
        if not places.size:
            return []
        numbers = self._gather_ids()[places]
        return [self._population.key(number) for number in numbers.tolist()]

    def place(self, key: AccountKey) -> int:
        """Where an account is in the arrays.

        Raises:
            KeyError: not in the book.
        """
        own, row = self._population.place(key)
        return next(start + row for bucket, start in self.spans() if bucket is own)

    def below(self, line: float) -> list[Ranked]:
        """All accounts with health below `line`, lowest first; equal ones by key."""
        return self._ranked(np.flatnonzero(self.health < line))

    def riskiest(self, count: int) -> list[Ranked]:
        """The accounts with the lowest health, lowest first; equal ones by key."""
        known = np.flatnonzero(~np.isnan(self.health))
        if 0 < count < known.size:
            health = self.health[known]
            # all that are as low as the last one, so that which of equals is left out does not depend on places
            known = known[health <= np.partition(health, count - 1)[count - 1]]
        return self._ranked(known)[: max(count, 0)]

    def unknown_keys(self) -> list[AccountKey]:
        """Whoever some factor of is not known, in no particular order."""
        return self.keys(np.flatnonzero(self.unknown))

    def owing(self, less_than: float = np.inf) -> list[AccountKey]:
        """Whoever has a known requirement above 0 and below `less_than`, in no particular order."""
        return self.keys(np.flatnonzero((self.requirement > 0) & (self.requirement < less_than)))

    def valued(self, keys: Iterable[AccountKey] | None = None) -> list[Valued]:
        """The values of these accounts; None: of everybody who owes something, in no particular order.

        Raises:
            KeyError: not in the book.
        """
        if keys is not None:
            places = np.array([self.place(key) for key in keys], np.intp)
        else:
            places = np.flatnonzero(self.requirement > 0)
        columns = (self.collateral, self.capacity, self.requirement, self.health)
        return list(map(Valued, self.keys(places), *(column[places].tolist() for column in columns)))

    def bands_by_ledger(self, edges: Sequence[float]) -> dict[Ledger, tuple[int, ...]]:
        """`bands` of those with a health, ledger by ledger; those without accounts are left out."""
        ledgers, width = self._gather_ledgers(), len(edges) + 1
        known = ~np.isnan(self.health)
        places = np.searchsorted(np.asarray(edges, float), self.health[known], side="right")
        names = self._population.ledgers
        counts = np.bincount(ledgers[known] * width + places, minlength=len(names) * width).reshape(-1, width)
        return {names[number]: tuple(counts[number].tolist()) for number in np.unique(ledgers).tolist()}

    def bands(self, edges: Sequence[float]) -> Bands:
        """Accounts by health; `edges` ascending."""
        unknown = self.unknown
        places = np.searchsorted(np.asarray(edges, float), self.health[~np.isnan(self.health)], side="right")
        counts = np.bincount(places, minlength=len(edges) + 1)
        no_debt = int(np.count_nonzero(np.isnan(self.health) & ~unknown))
        return Bands(tuple(edges), tuple(counts.tolist()), no_debt, int(np.count_nonzero(unknown)))

    def totals(self) -> dict[Ledger, LedgerTotals]:
        """By deployment and unit, in order of appearance; ledgers without accounts are left out."""
        ledgers = self._gather_ledgers()
        count = len(self._population.ledgers)
        known = ~self.unknown
        of_known = ledgers[known]

        def number(which: Flags) -> list[int]:
            found: list[int] = np.bincount(ledgers[which], minlength=count).tolist()
            return found

        def total(values: Floats) -> list[float]:
            found: list[float] = np.bincount(of_known, weights=values[known], minlength=count).tolist()
            return found

        columns = zip(
            np.bincount(ledgers, minlength=count).tolist(),
            number(~known),
            number(known & (self.requirement > 0)),
            number(self.health < 1),
            total(self.collateral),
            total(self.capacity),
            total(self.requirement),
            strict=True,
        )
        found = [LedgerTotals(*column) for column in columns]
        return {
            ledger: totals for ledger, totals in zip(self._population.ledgers, found, strict=True) if totals.accounts
        }

    def to_confirm(self, lines: Sequence[float] = (1.0,)) -> list[AccountKey]:
        """The accounts of which floats cannot say on which side of one of `lines` the contract sees them, sorted.

        For every other account whose factors are known, the contract's exact health factor is on the same side of each
        line as `health` is. See `app.valuation.book.bounds`.
        """
        found: list[Positions] = []
        for bucket, start in self.spans():
            rows = self._rows_in_doubt(bucket, start, lines)
            if not rows.size:
                continue
            low, high = health_bounds(bucket, rows, self._factors, self.steps, self.ledger_steps)
            touched = np.zeros(rows.size, np.bool_)
            for line in lines:
                touched |= (low <= line) & (line <= high)
            found.append(rows[touched] + start)
        return sorted(self.keys(np.concatenate(found))) if found else []

    def health_bounds(self) -> tuple[Floats, Floats]:
        """Between what and what the contract's exact health factor is, for every account; NaN where health is."""
        low, high = np.empty_like(self.health), np.empty_like(self.health)
        for bucket, start in self.spans():
            for first in range(0, bucket.count, _BLOCK_ROWS):
                rows = np.arange(first, min(bucket.count, first + _BLOCK_ROWS))
                low[start + rows], high[start + rows] = health_bounds(
                    bucket, rows, self._factors, self.steps, self.ledger_steps
                )
        return low, high

    def imprecise(self, relative: float = 1e-9) -> list[AccountKey]:
        """The accounts whose exact health factor may differ from `health` by more than `relative`, sorted."""
        low, high = self.health_bounds()
        with np.errstate(invalid="ignore"):
            allowed = relative * np.abs(self.health)
            wide = (self.health - low > allowed) | (high - self.health > allowed)
        return sorted(self.keys(np.flatnonzero(wide)))

    def _rows_in_doubt(self, bucket: Bucket, start: int, lines: Sequence[float]) -> Positions:
        if not bucket.shape.debts:
            return np.zeros(0, np.intp)
        if bucket.is_signed:
            return np.arange(bucket.count)
        part = self.values.part(start, start + bucket.count)
        return np.flatnonzero(in_doubt(bucket, np.s_[: bucket.count], part, lines, self.widest_steps))

    def _ranked(self, places: Positions) -> list[Ranked]:
        health = self.health[places].tolist()
        return sorted(map(Ranked, self.keys(places), health), key=lambda ranked: (ranked.health, ranked.key))

    def _gather_ids(self) -> Positions:
        return self._joined([bucket.ids[: bucket.count] for bucket, _ in self.spans()])

    def _gather_ledgers(self) -> Positions:
        return self._joined([bucket.ledgers[: bucket.count] for bucket, _ in self.spans()])

    @staticmethod
    def _joined(parts: list[Indices]) -> Positions:
        return np.concatenate(parts).astype(np.intp) if parts else np.zeros(0, np.intp)

    def require_factors(self, factors: Floats) -> None:
        """That it was made with these factors.

        Raises:
            StaleScreen: it was not.
        """
        if not np.array_equal(self._factors, factors, equal_nan=True):
            raise StaleScreen("factors were changed after this screen was made, or prices moved in it")

    def _require_fresh(self) -> None:
        if self._population.version != self._version:
            raise StaleScreen("accounts were changed after this screen was made: reprice again")
