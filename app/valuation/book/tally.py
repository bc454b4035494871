"""Sums by ledger and move of the prices, from where accounts cross the line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from app.valuation.book.arrays import Counts, Flags, Floats, Positions

Number = TypeVar("Number", np.int64, np.float64)


class Tally:
    """Filled by crossings and by single moves, then read once."""

    def __init__(self, ledgers: int, moves: Floats) -> None:
        self._shape = (ledgers, moves.size + 1)
        self._powers = (np.ones(1), moves, 1 / moves)
        cells = ledgers * (moves.size + 1)
        # first the accounts that are liquidatable from a move on, then those that are up to one
        self._crossed: Counts = np.zeros(2 * cells, np.int64)
        self._debt_crossed: Floats = np.zeros((3, 2 * cells))
        self._held_crossed: Floats = np.zeros((3, 2 * cells))
        self._single: Counts = np.zeros(cells, np.int64)
        self._debt_single: Floats = np.zeros(cells)
        self._held_single: Floats = np.zeros(cells)

    def add_crossings(
        self, ledgers: Positions, is_fall: Flags, place: Positions, debt: Sequence[Floats], held: Sequence[Floats]
    ) -> None:
        """Accounts liquidatable at moves[:place] where `is_fall`, else at moves[place:].

        `debt`, `held`: what they owe and hold by power of the move: 0, 1, and -1 if given.
        """
        cells = (is_fall * self._shape[0] + ledgers) * self._shape[1] + place
        self._crossed += np.bincount(cells, minlength=self._crossed.size)
        for totals, parts in ((self._debt_crossed, debt), (self._held_crossed, held)):
            for total, part in zip(totals, parts, strict=False):
                total += np.bincount(cells, weights=part, minlength=self._crossed.size)

    def add_single(self, ledgers: Positions, moves: Positions, debt: Floats, held: Floats) -> None:
        """Accounts that are liquidatable at one move."""
        cells = ledgers * self._shape[1] + moves
        self._single += np.bincount(cells, minlength=self._single.size)
        self._debt_single += np.bincount(cells, weights=debt, minlength=self._single.size)
        self._held_single += np.bincount(cells, weights=held, minlength=self._single.size)

    @property
    def counts(self) -> Counts:
        """[ledger, move]."""
        return self._spread(self._crossed, self._single)

    @property
    def debt(self) -> Floats:
        """[ledger, move]."""
        return self._value(self._debt_crossed, self._debt_single)

    @property
    def collateral(self) -> Floats:
        """[ledger, move]."""
        return self._value(self._held_crossed, self._held_single)

    def _value(self, crossed: Floats, single: Floats) -> Floats:
        total = self._spread(np.zeros(2 * single.size), single)
        for part, power in zip(crossed, self._powers, strict=True):
            total += self._spread(part, np.zeros(single.size)) * power
        return total

    def _spread(self, crossed: NDArray[Number], single: NDArray[Number]) -> NDArray[Number]:
        """By move, from sums that stand at the first move of those rising and the first one not of those falling."""
        rising, falling = crossed.reshape(2, *self._shape)
        ranges = np.cumsum(rising, axis=1)[:, :-1] + np.cumsum(falling[:, ::-1], axis=1)[:, ::-1][:, 1:]
        return ranges + single.reshape(self._shape)[:, :-1]
