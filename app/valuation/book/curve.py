"""How much becomes liquidatable when some prices move together, at every step of the move, in one pass.

With prices times m, capacity - requirement of an account is D(m) = d0 + d1 m + d2 / m: d1 by what rises with the moved
prices, d2 by what falls with them. Without d2 that is linear, without d1 it is after multiplication by m; either way
it crosses zero once, so the account is liquidatable on one side of one m. Sorting the crossings between the steps
and summing up gives the whole curve.

Floats and truncation make the crossing fuzzy: D is uncertain by `MARGIN` of what it was summed from, and a truncated
average threshold takes up to one bp of collateral off it. So there are two crossings, of "certainly liquidatable" and
of "certainly not"; the steps between them, hardly any, are revalued as `shocked` would value them, and so is whoever
depends on the prices both ways. Counts therefore are those of revaluing everybody at each step, without exception.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.valuation.book.arrays import Counts, Floats
from app.valuation.book.crossings import BLOCK_ROWS, Exposure, candidates, count_crossings
from app.valuation.book.factors import FactorTable
from app.valuation.book.kernel import Scratch
from app.valuation.book.population import Ledger
from app.valuation.book.screen import Screen
from app.valuation.book.tally import Tally


@dataclass(frozen=True, slots=True)
class LiquidationCurve:
    """At each move: how many accounts are liquidatable, what they owe and what they hold at the moved prices."""

    moves: Floats
    """What the moved prices are multiplied by, ascending."""
    ledgers: tuple[Ledger, ...]
    counts_by_ledger: Counts
    """[ledger, move]."""
    debt_by_ledger: Floats
    """[ledger, move], requirement in whole units of that ledger's value."""
    collateral_by_ledger: Floats

    @property
    def counts(self) -> Counts:
        """Over all ledgers. Values have no such sum: they need not be counted in the same unit."""
        total: Counts = self.counts_by_ledger.sum(axis=0)
        return total


def liquidation_curve(
    screen: Screen, table: FactorTable, is_moved: Callable[[str, str], bool], moves: Floats, ledgers: Sequence[Ledger]
) -> LiquidationCurve:
    """The curve over `moves`, from a screen of the factors as they are."""
    exposure = Exposure.of(screen.factors, *table.moved_by(is_moved), moves)
    tally, scratch = Tally(len(ledgers), moves), Scratch()
    for bucket, start in screen.spans():
        if bucket.shape.debts and bucket.count:
            part = screen.values.part(start, start + bucket.count)
            rows = candidates(bucket, part, exposure, moves, scratch)
            for first in range(0, rows.size, BLOCK_ROWS):
                count_crossings(bucket, rows[first : first + BLOCK_ROWS], exposure, moves, tally)
    return LiquidationCurve(moves, tuple(ledgers), tally.counts, tally.debt, tally.collateral)
