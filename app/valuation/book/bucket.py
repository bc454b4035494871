"""Accounts of one shape in columns: as many terms each, so that no loop over accounts has to branch.

A leg becomes one or two terms: a supply term (what it adds to collateral and capacity) and a debt term (what it adds
to the requirement). Most legs are one or the other, and what is not stored is not multiplied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from app.valuation.book.arrays import Floats, Indices, grown
from app.valuation.book.factors import CONSTANT_COLUMN

_EXACT_WIDTHS = 4


class Supply(NamedTuple):
    """Value of collateral and capacity by one factor."""

    column: int
    collateral: float
    capacity: float


class Debt(NamedTuple):
    """Requirement by one factor."""

    column: int
    requirement: float


class Shape(NamedTuple):
    """What accounts of one bucket have in common."""

    supplies: int
    debts: int
    is_truncated: bool
    """Whether the average threshold is truncated to whole bps. Only where that can make a difference: among thresholds
    that differ, in an account that owes something."""


def width(terms: int) -> int:
    """Places for so many terms: exactly as many up to 4, then powers of two and half of them, so that wide accounts do
    not make a bucket each."""
    if terms <= _EXACT_WIDTHS:
        return terms
    power = 1 << (terms - 1).bit_length()
    return power * 3 // 4 if terms <= power * 3 // 4 else power


def _no_indices() -> Indices:
    return np.zeros(0, np.int32)


@dataclass(slots=True)
class Bucket:
    """Columns [term, row]; only rows below `count` mean anything. Rows are kept dense: the last fills a gap."""

    shape: Shape
    count: int = 0
    supply_columns: Indices = field(init=False)
    collateral: Floats = field(init=False)
    capacity: Floats = field(init=False)
    debt_columns: Indices = field(init=False)
    requirement: Floats = field(init=False)
    ids: Indices = field(default_factory=_no_indices)
    """Number of each row's account in the book."""
    ledgers: Indices = field(default_factory=_no_indices)
    """Number of each row's ledger."""
    is_signed: bool = False
    """Whether a coefficient below 0 was ever stored: then sums may cancel out."""

    def __post_init__(self) -> None:
        supplies, debts, _ = self.shape
        self.supply_columns = np.zeros((supplies, 0), np.int32)
        self.collateral = np.zeros((supplies, 0))
        self.capacity = np.zeros((supplies, 0))
        self.debt_columns = np.zeros((debts, 0), np.int32)
        self.requirement = np.zeros((debts, 0))

    @property
    def nbytes(self) -> int:
        """Of all columns, spare room included."""
        columns = (self.supply_columns, self.collateral, self.capacity, self.debt_columns, self.requirement)
        return sum(array.nbytes for array in (*columns, self.ids, self.ledgers))

    def reserve(self, rows: int) -> None:
        """Make room for so many rows in all."""
        if rows <= self.ids.size:
            return
        self.supply_columns = grown(self.supply_columns, rows)
        self.collateral = grown(self.collateral, rows)
        self.capacity = grown(self.capacity, rows)
        self.debt_columns = grown(self.debt_columns, rows)
        self.requirement = grown(self.requirement, rows)
        self.ids = grown(self.ids, rows)
        self.ledgers = grown(self.ledgers, rows)

    def append(self, account: int, ledger: int, supplies: Sequence[Supply], debts: Sequence[Debt]) -> int:
        """Add an account; its row."""
        row = self.count
        if row == self.ids.size:
            self.reserve(max(16, row + row // 2))
        self.count += 1
        self.write(row, account, ledger, supplies, debts)
        return row

    def write(self, row: int, account: int, ledger: int, supplies: Sequence[Supply], debts: Sequence[Debt]) -> None:
        """Overwrite a row; places beyond the account's own terms add 0 x 1."""
        self.ids[row], self.ledgers[row] = account, ledger
        self.supply_columns[len(supplies) :, row] = CONSTANT_COLUMN
        self.collateral[len(supplies) :, row] = 0.0
        self.capacity[len(supplies) :, row] = 0.0
        for place, supply in enumerate(supplies):
            self.supply_columns[place, row], self.collateral[place, row], self.capacity[place, row] = supply
        self.debt_columns[len(debts) :, row] = CONSTANT_COLUMN
        self.requirement[len(debts) :, row] = 0.0
        for place, debt in enumerate(debts):
            self.debt_columns[place, row], self.requirement[place, row] = debt
        self.is_signed = self.is_signed or any(
            coefficient < 0 for coefficient in (*(c for s in supplies for c in s[1:]), *(d.requirement for d in debts))
        )

    def remove(self, row: int) -> int | None:
        """Take a row out; the number of the account that now is in its place, None when none is."""
        last = self.count = self.count - 1
        if row == last:
            return None
        for array in (self.supply_columns, self.collateral, self.capacity, self.debt_columns, self.requirement):
            array[:, row] = array[:, last]
        self.ids[row], self.ledgers[row] = self.ids[last], self.ledgers[last]
        return int(self.ids[row])

    def terms(self, row: int) -> tuple[list[Supply], list[Debt]]:
        """What is stored of one account, places that add nothing left out."""
        supplies = [
            Supply(int(column), float(collateral), float(capacity))
            for column, collateral, capacity in zip(
                self.supply_columns[:, row], self.collateral[:, row], self.capacity[:, row], strict=True
            )
            if column != CONSTANT_COLUMN or collateral or capacity
        ]
        debts = [
            Debt(int(column), float(requirement))
            for column, requirement in zip(self.debt_columns[:, row], self.requirement[:, row], strict=True)
            if requirement
        ]
        return supplies, debts
