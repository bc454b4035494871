"""Who would be liquidatable after a shock: floats where they are certain, the contract's exact rule near the line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from app.domain.account import AccountKey, AccountSnapshot
from app.domain.risk import Health, RiskStatus
from app.valuation.assess import UNKNOWN_HEALTH, StateAt
from app.valuation.book import Screen
from app.valuation.groups import AssetGroups
from app.valuation.market_risk.market import RiskMarket
from app.valuation.shocks import Shock, prices_of, shocked_prices, with_prices

NEAR = 1e-3
"""Health this close to 1, besides `Screen.to_confirm`: a moved price is rounded to the oracle's own integers, which the
book's bounds know nothing of."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """After a shock, before any sale."""

    liquidatable: frozenset[AccountKey]
    confirmed: int
    """Accounts that the exact rule was asked about."""
    undecided: frozenset[AccountKey]
    """Those of them of which it could not say: in neither set."""


def verdicts_under(market: RiskMarket, shock: Shock, exact: Callable[[AccountKey], Health]) -> Verdicts:
    """Everybody below the line once prices moved. `exact`: as `verdict_under`, UNKNOWN where it cannot be said."""
    screen = market.book.shocked(market.book_shock(market.multiplier(shock)))
    asked = whom_to_confirm(screen)
    with np.errstate(invalid="ignore"):
        found = set(screen.keys(np.flatnonzero(screen.health < 1))) - asked
    undecided = set()
    for key in asked:
        status = exact(key).status
        if status is RiskStatus.LIQUIDATABLE:
            found.add(key)
        elif status is RiskStatus.UNKNOWN:
            undecided.add(key)
    return Verdicts(frozenset(found), len(asked), frozenset(undecided))


def whom_to_confirm(screen: Screen) -> set[AccountKey]:
    """The accounts whose verdict floats are not trusted with."""
    with np.errstate(invalid="ignore"):
        near = np.flatnonzero(np.abs(screen.health - 1) <= NEAR)
    return {*screen.to_confirm(), *screen.keys(near)}


def verdict_under(state: StateAt | None, snapshot: AccountSnapshot, shock: Shock, groups: AssetGroups) -> Health:
    """The contract's own verdict with moved oracle prices; each is rounded down to the oracle's last decimal."""
    if state is None:
        return UNKNOWN_HEALTH
    unit = state.state.value_unit(snapshot.key.unit)
    prices = prices_of(state.priced.assess(snapshot))
    moved = shocked_prices(prices, state.market_by_code, unit, shock, groups)
    return UNKNOWN_HEALTH if moved is None else with_prices(state.priced, moved).health(snapshot)
