"""How everybody stands now: by band of health and of utilisation, with what is held and owed in US dollars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from app.valuation.book.arrays import Flags, Floats, Positions
from app.valuation.market_risk.market import RiskMarket

HEALTH_EDGES = (1.0, 1.02, 1.05, 1.1, 1.25, 1.5, 2.0, 3.0)
"""Bands of health: the first is below 1, the last from 3 up."""
UTILIZATION_EDGES = (0.25, 0.5, 0.75, 0.9, 0.95, 1.0)
"""Bands of requirement / capacity, which is 1 / health: the last is above the line."""


@dataclass(frozen=True, slots=True)
class UsdSums:
    """In US dollars, over the accounts that are known and convertible."""

    collateral: float
    """Of perps equity."""
    capacity: float
    requirement: float
    """Debt; of perps maintenance margin."""
    bad_debt: float
    """Debt above collateral, account by account; 0 for perps."""

    @property
    def utilization(self) -> float | None:
        """Requirement / capacity; None where there is no capacity."""
        return self.requirement / self.capacity if self.capacity > 0 else None


@dataclass(frozen=True, slots=True)
class Band:
    """Accounts with something owed, between two edges (the lower one included); an end that is None is open."""

    above: float | None
    below: float | None
    accounts: int
    requirement: float
    """US dollars."""


@dataclass(frozen=True, slots=True)
class DeploymentSummary:
    """One deployment by the book."""

    accounts: int
    unknown: int
    indebted: int
    liquidatable: int
    """As floats see it."""
    unconverted: int
    """Known accounts with something owed whose values are in no sum."""
    sums: UsdSums
    health: tuple[Band, ...]
    utilization: tuple[Band, ...]


def summarise(market: RiskMarket) -> Mapping[str, DeploymentSummary]:
    """By deployment; those without an account in the book are left out."""
    screen = market.screen
    ledgers = market.row_ledgers(screen)
    if not ledgers.size:
        return {}
    rates = market.ledger_rates()[ledgers]
    owners = np.array([one.deployment_id for one in market.ledgers])[ledgers]
    unknown = screen.unknown
    found = {}
    for name in sorted(set(owners.tolist())):
        own: Flags = owners == name
        found[name] = _summary(market, np.flatnonzero(own), rates, unknown, is_perp=name in market.perps)
    return found


def _summary(
    market: RiskMarket, rows: Positions, all_rates: Floats, unknown: Flags, *, is_perp: bool
) -> DeploymentSummary:
    screen = market.screen
    health, rates = screen.health[rows], all_rates[rows]
    known, valued = ~unknown[rows], ~np.isnan(rates) & ~unknown[rows]
    collateral, capacity, requirement = (
        np.where(valued, values[rows] * rates, 0.0)
        for values in (screen.collateral, screen.capacity, screen.requirement)
    )
    indebted = known & (screen.requirement[rows] > 0)
    shortfall = 0.0 if is_perp else float(np.maximum(requirement - collateral, 0.0).sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        liquidatable = health < 1
        # what has no capacity at all, or less than none, is beyond every edge
        used = np.where(health > 0, 1 / health, np.inf)
    return DeploymentSummary(
        int(rows.size),
        int(np.count_nonzero(~known)),
        int(np.count_nonzero(indebted)),
        int(np.count_nonzero(liquidatable)),
        int(np.count_nonzero(indebted & ~valued)),
        UsdSums(float(collateral.sum()), float(capacity.sum()), float(requirement.sum()), shortfall),
        _bands(health[indebted], requirement[indebted], HEALTH_EDGES),
        _bands(used[indebted], requirement[indebted], UTILIZATION_EDGES),
    )


def _bands(values: Floats, requirement: Floats, edges: tuple[float, ...]) -> tuple[Band, ...]:
    places = np.searchsorted(np.array(edges), values, side="right")
    counts = np.bincount(places, minlength=len(edges) + 1).tolist()
    owed = np.bincount(places, weights=requirement, minlength=len(edges) + 1).tolist()
    ends: list[float | None] = [None, *edges, None]
    return tuple(
        Band(ends[place], ends[place + 1], count, total)
        for place, (count, total) in enumerate(zip(counts, owed, strict=True))
    )
