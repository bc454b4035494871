"""What part of all debt would be liquidatable after a joint move: the curve at that move, and all there is then."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from app.valuation.book import Shock as BookShock
from app.valuation.market_risk.curve import risk_curve
from app.valuation.market_risk.market import JointMove, RiskMarket


@dataclass(frozen=True, slots=True)
class DebtAtRisk:
    """In US dollars at the moved prices; of perps the maintenance margin."""

    debt: float
    """Of the accounts the book sees below the line there."""
    total: float
    accounts: int
    """Below the line."""
    unknown: int
    """Accounts of which some price or rule is not known: in no number here."""
    unconverted: int
    """Accounts whose values no oracle states in US dollars: in no sum."""

    @property
    def share(self) -> float:
        """Between 0 and 1; 0 where nobody owes anything."""
        return min(1.0, self.debt / self.total) if self.total > 0 else 0.0


def debt_at_risk(market: RiskMarket, move: JointMove, multiplier: float) -> dict[str, DebtAtRisk]:
    """By deployment, with the prices of `move` times `multiplier`.

    Raises:
        ValueError: a multiplier that is not above 0.
    """
    curve = risk_curve(market, move, (multiplier,)).by_deployment
    shock = BookShock(lambda deployment_id, code: multiplier if move.is_moved(deployment_id, code) else 1.0)
    found: dict[str, list[float]] = {}
    for ledger, totals in market.book.shocked(shock).totals().items():
        sums = found.setdefault(ledger.deployment_id, [0.0, 0, 0])
        sums[1] += totals.unknown
        rate = market.rates.get(ledger)
        if rate is None:
            sums[2] += totals.indebted
        else:
            sums[0] += totals.requirement * rate * (multiplier if move.measure_moves(ledger.unit) else 1.0)
    return {
        name: DebtAtRisk(curve[name].debt[0], total, curve[name].accounts[0], int(unknown), int(unconverted))
        for name, (total, unknown, unconverted) in found.items()
    }


def sum_of(parts: Collection[DebtAtRisk]) -> DebtAtRisk:
    """Of several deployments together."""
    return DebtAtRisk(
        sum(one.debt for one in parts),
        sum(one.total for one in parts),
        sum(one.accounts for one in parts),
        sum(one.unknown for one in parts),
        sum(one.unconverted for one in parts),
    )
