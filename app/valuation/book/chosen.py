"""The accounts of some wallets among a book's: which they are as accounts come and go, and what a screen says of them.

Everything here costs as much as there are accounts chosen, not as there are in the book; but for the first time, and
when more came between two looks than the population remembers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.domain.account import AccountKey
from app.domain.chain import Address
from app.valuation.book.arrays import Flags, Floats, Indices, Positions
from app.valuation.book.bounds import health_bounds, in_doubt
from app.valuation.book.bucket import Bucket
from app.valuation.book.kernel import Values
from app.valuation.book.population import Ledger, Population
from app.valuation.book.screen import Screen

ROUNDED = 1e-12
"""By how much a line is widened, relatively: for the rounding of the line itself, of the bounds' own arithmetic, and of
the contract's last digit."""


class Chosen:
    """The accounts of some wallets. Bounded by what these wallets have in the book."""

    def __init__(self, population: Population, wallets: Collection[Address]) -> None:
        """Nobody is found yet: `fill` does that."""
        self._population = population
        self._place_of = {wallet: place for place, wallet in enumerate(dict.fromkeys(wallets))}
        self._numbers: Indices = np.zeros(0, np.int32)
        self._owners: Indices = np.zeros(0, np.int32)
        self._arrivals = -1

    @property
    def wallets(self) -> Collection[Address]:
        """Whose accounts these are."""
        return self._place_of.keys()

    def fill(self, numbers_of: Callable[[Address], Sequence[int]]) -> None:
        """Take everybody anew: `numbers_of` gives the numbers of a wallet's accounts."""
        found = [(number, place) for wallet, place in self._place_of.items() for number in numbers_of(wallet)]
        table = np.array(found, np.int32).reshape(-1, 2)
        self._numbers, self._owners = table[:, 0].copy(), table[:, 1].copy()
        self._arrivals = self._population.arrivals

    def at(self, screen: Screen, unvalued: Collection[str] = ()) -> ChosenAt:
        """Who is there now, on a screen of the book as it is. `unvalued`: deployments of which nothing is known.

        Raises:
            StaleScreen: accounts were changed after the screen was made.
        """
        self._keep_up()
        bucket_of, row_of = self._population.places_of(self._numbers)
        parts = []
        for number, (bucket, start) in enumerate(screen.spans()):
            which = np.flatnonzero((bucket_of == number) & (row_of >= 0))
            if which.size:
                rows = row_of[which].astype(np.intp)
                parts.append(Part(bucket, rows, rows + start, self._owners[which]))
        ledgers = self._population.ledgers
        valued = np.array([one.deployment_id not in unvalued for one in ledgers], np.bool_)
        return ChosenAt(screen, self._population, tuple(parts), valued, self._place_of)

    def _keep_up(self) -> None:
        news = None if self._arrivals < 0 else self._population.arrived_since(self._arrivals)
        if news is None:
            choose(self._population, [self])
            return
        self._arrivals = self._population.arrivals
        if not news:
            return
        # a number may have been another account's before
        stays = ~np.isin(self._numbers, np.array(news, np.int32))
        holders = {number: self._population.holder(number) for number in news}
        added = [
            (number, self._place_of[key.wallet])
            for number, key in holders.items()
            if key is not None and key.wallet in self._place_of
        ]
        if added or not stays.all():
            table = np.array(added, np.int32).reshape(-1, 2)
            self._numbers = np.concatenate([self._numbers[stays], table[:, 0]])
            self._owners = np.concatenate([self._owners[stays], table[:, 1]])


def choose(population: Population, lists: Sequence[Chosen]) -> None:
    """Fill several at once: one look at everybody in the book."""
    wanted: dict[Address, list[int]] = {wallet: [] for one in lists for wallet in one.wallets}
    for key, number in population.items():
        own = wanted.get(key.wallet)
        if own is not None:
            own.append(number)
    for one in lists:
        one.fill(lambda wallet: wanted[wallet])


@dataclass(frozen=True, slots=True)
class Part:
    """Chosen accounts of one bucket."""

    bucket: Bucket
    rows: Positions
    """In the bucket."""
    places: Positions
    """On the screen."""
    owners: Indices
    """Place of each one's wallet."""

    def kept(self, which: Flags) -> Part:
        """Some of them."""
        return Part(self.bucket, self.rows[which], self.places[which], self.owners[which])

    def ledgers(self) -> Indices:
        """Number of each one's ledger."""
        return self.bucket.ledgers[self.rows]

    def values(self, screen: Screen) -> Values:
        """What the screen says of them."""
        values = screen.values
        columns = (values.collateral, values.capacity, values.requirement, values.health)
        return Values(*(column[self.places] for column in columns))


@dataclass(frozen=True, slots=True)
class ChosenAt:
    """The chosen accounts on one screen. Good as long as the screen is."""

    screen: Screen
    population: Population
    parts: tuple[Part, ...]
    valued: Flags
    """By number of the ledger: whether anything of its deployment is known."""
    place_of: dict[Address, int]

    def __len__(self) -> int:
        return sum(part.rows.size for part in self.parts)

    def of(self, deployment_ids: Collection[str]) -> ChosenAt:
        """Only those of some deployments."""
        return self.in_ledgers(lambda ledger: ledger.deployment_id in deployment_ids)

    def in_ledgers(self, is_one: Callable[[Ledger], bool]) -> ChosenAt:
        """Only those of some ledgers."""
        return self._only(np.array([is_one(ledger) for ledger in self.population.ledgers], np.bool_))

    def known(self) -> ChosenAt:
        """Only those of whom every factor is known."""
        known = self._only(self.valued)
        return known.where(lambda part: ~known._unknown(part))

    def unknown(self) -> ChosenAt:
        """The others."""
        return self.where(lambda part: ~self.valued[part.ledgers()] | self._unknown(part))

    def exposed(self) -> ChosenAt:
        """Only those that owe something or have a position."""
        return replace(self, parts=tuple(part for part in self.parts if part.bucket.shape.debts))

    def deployments(self) -> set[str]:
        """Of which they are."""
        ledgers = self.population.ledgers
        numbers = {number for part in self.parts for number in np.unique(part.ledgers()).tolist()}
        return {ledgers[number].deployment_id for number in numbers}

    def keys(self) -> list[AccountKey]:
        """Who they are, in no particular order."""
        key = self.population.key
        return [key(number) for part in self.parts for number in part.bucket.ids[part.rows].tolist()]

    def riskiest_first(self) -> list[AccountKey]:
        """Who they are, by health; equal ones in no particular order."""
        keys = self.keys()
        health = [self.screen.health[part.places] for part in self.parts]
        return [keys[place] for place in np.argsort(np.concatenate(health), kind="stable").tolist()] if keys else []

    def where(self, test: Callable[[Part], Flags]) -> ChosenAt:
        """Only those that pass a test."""
        return replace(self, parts=self._kept(test))

    def union(self, *others: ChosenAt) -> ChosenAt:
        """These and those of others on the same screen, each once."""
        merged: dict[int, list[Part]] = {}
        for part in (part for one in (self, *others) for part in one.parts):
            merged.setdefault(id(part.bucket), []).append(part)
        return replace(self, parts=tuple(_merged(parts) for parts in merged.values()))

    def wallets_without(self, others: Iterable[Address] = ()) -> int:
        """How many wallets have none of these accounts and are not among `others`."""
        has: Flags = np.zeros(len(self.place_of), np.bool_)
        for part in self.parts:
            has[part.owners] = True
        places = [self.place_of[wallet] for wallet in others if wallet in self.place_of]
        has[np.array(places, np.intp)] = True
        return int(np.count_nonzero(~has))

    def health_at_most(self, line: float) -> list[AccountKey]:
        """Everybody whose exact health factor may be at or below `line`: all others' is above it."""
        raised = line + ROUNDED * abs(line) + ROUNDED
        return self.where(lambda part: self._may_be_below(part, raised)).keys()

    def _may_be_below(self, part: Part, line: float) -> Flags:
        if not part.bucket.shape.debts:
            return np.zeros(part.rows.size, np.bool_)
        values = part.values(self.screen)
        found: Flags = values.health <= line
        doubtful = np.flatnonzero(in_doubt(part.bucket, part.rows, values, (line,), self.screen.widest_steps))
        if doubtful.size:
            low, _ = self._bounds(part, doubtful)
            found[doubtful] = low <= line
        return found

    def _bounds(self, part: Part, which: Positions) -> tuple[Floats, Floats]:
        screen = self.screen
        return health_bounds(part.bucket, part.rows[which], screen.factors, screen.steps, screen.ledger_steps)

    def _unknown(self, part: Part) -> Flags:
        found: Flags = np.isnan(self.screen.capacity[part.places]) | np.isnan(self.screen.requirement[part.places])
        return found

    def _only(self, by_ledger: Flags) -> ChosenAt:
        return self.where(lambda part: by_ledger[part.ledgers()])

    def _kept(self, choose_of: Callable[[Part], Flags]) -> tuple[Part, ...]:
        return tuple(self._nonempty(part.kept(choose_of(part)) for part in self.parts))

    @staticmethod
    def _nonempty(parts: Iterable[Part]) -> Iterator[Part]:
        return (part for part in parts if part.rows.size)


def _merged(parts: Sequence[Part]) -> Part:
    places, first = np.unique(np.concatenate([part.places for part in parts]), return_index=True)
    rows, owners = np.concatenate([part.rows for part in parts]), np.concatenate([part.owners for part in parts])
    return Part(parts[0].bucket, rows[first], places, owners[first])
