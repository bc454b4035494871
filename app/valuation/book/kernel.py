"""The arithmetic over columns: sums of coefficient x factor, the truncated average threshold, health.

Everything runs in blocks of rows, into arrays that exist already: a block is large enough for the calls themselves not
to count and small enough for what is used again to stay in the third-level cache. The
order of operations is the same in `reprice` and in `value_pairs`, so both give the same floats bit by bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.domain.units import BPS
from app.valuation.book.arrays import Flags, Floats, Indices, Positions
from app.valuation.book.bucket import Bucket

BLOCK_ROWS = 98_304

ONE_BPS = 1 / BPS


@dataclass(frozen=True, slots=True)
class Values:
    """Of a run of accounts; all arrays as long."""

    collateral: Floats
    capacity: Floats
    """With the truncation of its deployment, as health is."""
    requirement: Floats
    health: Floats
    """NaN without a requirement and where a factor is not known."""

    @classmethod
    def empty(cls, rows: int) -> Values:
        """Not filled in yet."""
        return cls(np.empty(rows), np.empty(rows), np.empty(rows), np.empty(rows))

    def part(self, start: int, stop: int) -> Values:
        """A view of some rows."""
        return Values(
            self.collateral[start:stop],
            self.capacity[start:stop],
            self.requirement[start:stop],
            self.health[start:stop],
        )


class Scratch:
    """Arrays of one block, used again and again."""

    def __init__(self) -> None:
        self._places: Positions = np.empty(BLOCK_ROWS, np.intp)
        self._factors: Floats = np.empty(BLOCK_ROWS)
        self._products: Floats = np.empty(BLOCK_ROWS)
        self._flags: Flags = np.empty(BLOCK_ROWS, np.bool_)

    def gather(self, factors: Floats, columns: Indices) -> Floats:
        """factors[columns]; valid until the next call."""
        places, found = self._places[: columns.size], self._factors[: columns.size]
        np.copyto(places, columns)
        # "clip" is the mode in which numpy writes into `out` without a buffer; columns are always within bounds
        factors.take(places, out=found, mode="clip")
        return found

    def add_product(self, factors: Floats, coefficients: Floats, total: Floats, *, first: bool) -> None:
        """total += factors x coefficients; `first` starts the sum."""
        if first:
            np.multiply(factors, coefficients, out=total)
        else:
            products = self._products[: total.size]
            np.multiply(factors, coefficients, out=products)
            np.add(total, products, out=total)

    def finish(self, out: Values, *, is_truncated: bool) -> None:
        """Truncate the average threshold and divide."""
        if is_truncated:
            average = self._products[: out.health.size]
            np.divide(out.capacity, out.collateral, out=average)
            np.multiply(average, BPS, out=average)
            np.floor(average, out=average)
            np.multiply(average, out.collateral, out=average)
            np.multiply(average, ONE_BPS, out=average)
            # the smaller one; without collateral there is no average (NaN), and capacity stays as it is
            np.fmin(average, out.capacity, out=out.capacity)
        _divide(out, self._flags[: out.health.size])


def _divide(out: Values, flags: Flags) -> None:
    np.divide(out.capacity, out.requirement, out=out.health)
    np.less_equal(out.requirement, 0, out=flags)
    if flags.any():
        np.copyto(out.health, np.nan, where=flags)


def reprice(bucket: Bucket, factors: Floats, out: Values, scratch: Scratch) -> None:
    """Value every account of the bucket into `out`, row by row in the same order."""
    supplies, debts, is_truncated = bucket.shape
    if not supplies:
        out.collateral.fill(0.0)
        out.capacity.fill(0.0)
    if not debts:
        out.requirement.fill(0.0)
        out.health.fill(np.nan)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for start in range(0, bucket.count, BLOCK_ROWS):
            stop = min(bucket.count, start + BLOCK_ROWS)
            part = out.part(start, stop)
            for term in range(supplies):
                found = scratch.gather(factors, bucket.supply_columns[term, start:stop])
                scratch.add_product(found, bucket.collateral[term, start:stop], part.collateral, first=term == 0)
                scratch.add_product(found, bucket.capacity[term, start:stop], part.capacity, first=term == 0)
            for term in range(debts):
                found = scratch.gather(factors, bucket.debt_columns[term, start:stop])
                scratch.add_product(found, bucket.requirement[term, start:stop], part.requirement, first=term == 0)
            if debts:
                scratch.finish(part, is_truncated=is_truncated)


def value_pairs(bucket: Bucket, rows: Positions, table: Floats, lines: Positions) -> Values:
    """Value some accounts, each under a factor vector of its own: `table[lines[i]]` is that of `rows[i]`."""
    supplies, debts, is_truncated = bucket.shape
    flat, base = table.reshape(-1), lines * table.shape[1]
    zeros = np.zeros(rows.size)
    collateral, capacity, requirement = zeros, zeros, zeros
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for term in range(supplies):
            found = flat[base + bucket.supply_columns[term].take(rows)]
            held, carried = found * bucket.collateral[term].take(rows), found * bucket.capacity[term].take(rows)
            collateral, capacity = (collateral + held, capacity + carried) if term else (held, carried)
        for term in range(debts):
            owed = flat[base + bucket.debt_columns[term].take(rows)] * bucket.requirement[term].take(rows)
            requirement = requirement + owed if term else owed
        if is_truncated:
            capacity = np.fmin(np.floor(capacity / collateral * BPS) * collateral * ONE_BPS, capacity)
        health = np.where(requirement > 0, capacity / requirement, np.nan)
    return Values(collateral, capacity, requirement, health)
