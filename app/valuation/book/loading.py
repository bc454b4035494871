"""Filling the book with many accounts at once, without a loop over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.domain.account import AccountKey
from app.domain.units import BPS
from app.valuation.book.arrays import Flags, Floats, Indices, Positions
from app.valuation.book.bucket import Shape, width
from app.valuation.book.population import WHOLE_BPS, Population


@dataclass(frozen=True, slots=True)
class LegColumns:
    """Legs of many accounts, one place a leg."""

    owners: Positions
    """Which account: its place in the list of keys. Ascending."""
    columns: Indices
    collateral: Floats
    capacity: Floats
    requirement: Floats

    def chosen(self, which: Flags | Positions) -> LegColumns:
        """Some of them."""
        return LegColumns(
            self.owners[which],
            self.columns[which],
            self.collateral[which],
            self.capacity[which],
            self.requirement[which],
        )


def append_accounts(
    population: Population, keys: Sequence[AccountKey], legs: LegColumns, ledgers: Indices, *, truncates: bool
) -> None:
    """Add accounts that are not in the book yet; `ledgers`: number of each account's ledger.

    Raises:
        ValueError: a key twice, or in the book already. Nothing was changed then.
    """
    numbers = population.number_all(keys)
    is_debt = legs.requirement != 0
    is_supply = (legs.collateral != 0) | (legs.capacity != 0) | ~is_debt
    supplies, debts = legs.chosen(is_supply), legs.chosen(is_debt)
    supply_counts = np.bincount(supplies.owners, minlength=len(keys))
    debt_counts = np.bincount(debts.owners, minlength=len(keys))
    is_truncated = _has_mixed_thresholds(supplies, len(keys)) & (debt_counts > 0) & truncates
    supply_widths, debt_widths = _widths(supply_counts), _widths(debt_counts)
    # one number a shape: sorting rows of three takes ten times as long
    base = int(debt_widths.max(initial=0)) + 1
    distinct, kinds = np.unique((supply_widths * base + debt_widths) * 2 + is_truncated, return_inverse=True)
    rows = np.zeros(len(keys), np.intp)
    supply_places, debt_places = _places(supplies.owners, supply_counts), _places(debts.owners, debt_counts)
    for kind, number in enumerate(distinct.tolist()):
        which = kinds == kind
        members = np.flatnonzero(which)
        target, bucket = population.bucket(Shape(number // 2 // base, number // 2 % base, bool(number % 2)))
        start, stop = bucket.count, bucket.count + members.size
        bucket.reserve(stop)
        bucket.count = stop
        rows[members] = np.arange(start, stop)
        bucket.ids[start:stop], bucket.ledgers[start:stop] = numbers[members], ledgers[members]
        for array in (bucket.supply_columns, bucket.collateral, bucket.capacity):
            array[:, start:stop] = 0
        for array in (bucket.debt_columns, bucket.requirement):
            array[:, start:stop] = 0
        own = which[supplies.owners]
        at = (supply_places[own], rows[supplies.owners[own]])
        bucket.supply_columns[at] = supplies.columns[own]
        bucket.collateral[at], bucket.capacity[at] = supplies.collateral[own], supplies.capacity[own]
        bucket.is_signed |= bool(np.any(supplies.collateral[own] < 0) or np.any(supplies.capacity[own] < 0))
        own = which[debts.owners]
        at = (debt_places[own], rows[debts.owners[own]])
        bucket.debt_columns[at], bucket.requirement[at] = debts.columns[own], debts.requirement[own]
        bucket.is_signed |= bool(np.any(debts.requirement[own] < 0))
        population.settle(numbers[members], target, start)


def _widths(counts: Positions) -> Positions:
    by_count = np.array([width(count) for count in range(int(counts.max(initial=0)) + 1)])
    return by_count[counts]


def _places(owners: Positions, counts: Positions) -> Positions:
    """How many legs of the same owner come before each."""
    return np.arange(owners.size) - (np.cumsum(counts) - counts)[owners]


def _has_mixed_thresholds(supplies: LegColumns, accounts: int) -> Flags:
    """The opposite of `has_one_threshold`, for all accounts."""
    is_held = supplies.collateral != 0
    held = supplies.chosen(is_held)
    threshold = held.capacity / held.collateral * BPS
    whole = np.rint(threshold)
    counts = np.bincount(held.owners, minlength=accounts)
    is_first = np.zeros(held.owners.size, np.bool_)
    is_first[(np.cumsum(counts) - counts)[counts > 0]] = True
    differs = (np.abs(threshold - whole) > WHOLE_BPS) | (whole != whole[is_first][np.cumsum(is_first) - 1])
    mixed = np.bincount(held.owners[differs], minlength=accounts) > 0
    unheld = supplies.owners[~is_held & (supplies.capacity != 0)]
    mixed[unheld] = True
    return mixed
