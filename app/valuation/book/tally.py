"""Sums by ledger and move of the prices, from where accounts cross the line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from app.valuation.book.arrays import Flags, Floats, Positions

Number = TypeVar("Number", np.int64, np.float64)


class Tally:
    """Sums by ledger and move, filled by crossings and by single moves."""

    def __init__(self, ledgers: int, moves: Floats) -> None:
        self._shape = (ledgers, moves.size + 1)
        self._moves = moves
        self.counts = np.zeros((ledgers, moves.size), np.int64)
        self.debt = np.zeros((ledgers, moves.size))
        self.collateral = np.zeros((ledgers, moves.size))

    def add_crossings(
        self, ledgers: Positions, is_fall: Flags, place: Positions, debt: Sequence[Floats], held: Sequence[Floats]
    ) -> None:
        """Accounts liquidatable at moves[:place] where `is_fall`, else at moves[place:].

        `debt`, `held`: what they owe and hold by power of the move: 0, 1, and -1 if given.
        """
        cells = (is_fall * self._shape[0] + ledgers) * self._shape[1] + place
        self.counts += self._spread(np.bincount(cells, minlength=2 * self._cells))
        for total, parts in ((self.debt, debt), (self.collateral, held)):
            for part, power in zip(parts, (np.ones(1), self._moves, 1 / self._moves), strict=False):
                total += self._spread(np.bincount(cells, weights=part, minlength=2 * self._cells)) * power

    def add_single(self, ledgers: Positions, moves: Positions, debt: Floats, held: Floats) -> None:
        """Accounts that are liquidatable at one move."""
        cells = ledgers * self._shape[1] + moves
        self.counts += np.bincount(cells, minlength=self._cells).reshape(self._shape)[:, :-1]
        self.debt += np.bincount(cells, weights=debt, minlength=self._cells).reshape(self._shape)[:, :-1]
        self.collateral += np.bincount(cells, weights=held, minlength=self._cells).reshape(self._shape)[:, :-1]

    @property
    def _cells(self) -> int:
        return self._shape[0] * self._shape[1]

    def _spread(self, sums: NDArray[Number]) -> NDArray[Number]:
        """By move, from sums that stand at the first move of those rising and the first one not of those falling."""
        rising, falling = sums.reshape(2, *self._shape)
        return np.cumsum(rising, axis=1)[:, :-1] + np.cumsum(falling[:, ::-1], axis=1)[:, ::-1][:, 1:]
