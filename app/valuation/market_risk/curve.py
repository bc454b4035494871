"""How much would be liquidatable if some prices moved together, in US dollars, by deployment and in total."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.valuation.book import MOVES
from app.valuation.book.arrays import Counts, Floats
from app.valuation.market_risk.market import JointMove, RiskMarket


@dataclass(frozen=True, slots=True)
class CurveSums:
    """At each move: the accounts the book sees below the line there. Values in US dollars at the moved prices."""

    accounts: tuple[int, ...]
    debt: tuple[float, ...]
    """What they owe; of perps the maintenance margin they would have to have."""
    collateral: tuple[float, ...]
    """All they hold as collateral; of perps their equity, which may be below 0."""
    unconverted: tuple[int, ...]
    """Those among `accounts` whose values no oracle states in US dollars: counted, and in no sum of values."""


@dataclass(frozen=True, slots=True)
class RiskCurve:
    """A liquidation curve. Perps are apart: margin is no debt, and the two have no sum."""

    moves: tuple[float, ...]
    """What the moved prices are multiplied by, ascending."""
    by_deployment: Mapping[str, CurveSums]
    lending: CurveSums
    perps: CurveSums


def risk_curve(market: RiskMarket, move: JointMove, moves: Sequence[float] = MOVES) -> RiskCurve:
    """The curve over `moves`.

    Raises:
        ValueError: `moves` that are not ascending or not above 0.
    """
    found = market.book.liquidation_curve(move.is_moved, moves, market.screen)
    sums = {deployment_id: _Sums(len(moves)) for deployment_id in sorted({one.deployment_id for one in found.ledgers})}
    lending, perps = _Sums(len(moves)), _Sums(len(moves))
    for number, ledger in enumerate(found.ledgers):
        rate = market.rates.get(ledger)
        worth = None if rate is None else rate * (found.moves if move.measure_moves(ledger.unit) else 1.0)
        total = perps if ledger.deployment_id in market.perps else lending
        for one in (sums[ledger.deployment_id], total):
            one.add(
                found.counts_by_ledger[number],
                found.debt_by_ledger[number],
                found.collateral_by_ledger[number],
                worth,
            )
    by_deployment = {name: one.done() for name, one in sums.items()}
    return RiskCurve(tuple(found.moves.tolist()), by_deployment, lending.done(), perps.done())


class _Sums:
    def __init__(self, moves: int) -> None:
        self.counts: Counts = np.zeros(moves, np.int64)
        self.unconverted: Counts = np.zeros(moves, np.int64)
        self.debt: Floats = np.zeros(moves)
        self.collateral: Floats = np.zeros(moves)

    def add(self, counts: Counts, debt: Floats, collateral: Floats, worth: Floats | float | None) -> None:
        self.counts += counts
        if worth is None:
            self.unconverted += counts
        else:
            self.debt += debt * worth
            self.collateral += collateral * worth

    def done(self) -> CurveSums:
        return CurveSums(
            tuple(self.counts.tolist()),
            tuple(self.debt.tolist()),
            tuple(self.collateral.tolist()),
            tuple(self.unconverted.tolist()),
        )
