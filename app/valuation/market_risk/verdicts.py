"""Who would be liquidatable after a shock: floats where they are certain, the contract's exact rule near the line."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np

from app.domain.account import AccountKey, AccountSnapshot
from app.domain.risk import Health, RiskStatus
from app.valuation.assess import UNKNOWN_HEALTH, StateAt
from app.valuation.groups import AssetGroups
from app.valuation.market_risk.market import RiskMarket
from app.valuation.shocks import Shock, prices_of, shocked_prices, with_prices

NEAR = 1e-3
"""Health this close to 1, besides `Screen.to_confirm`: a moved price is rounded to the oracle's own integers, which the
book's bounds know nothing of."""


@dataclass(frozen=True, slots=True)
class Screened:
    """Everybody after a shock, before any sale, as far as floats can tell."""

    liquidatable: frozenset[AccountKey]
    """Certainly."""
    doubtful: frozenset[AccountKey]
    """The exact rule has to be asked about these; all others are not liquidatable, or not known."""

    def asking(self, more: Set[AccountKey]) -> Screened:
        """The same, with accounts that are not in the book."""
        return Screened(self.liquidatable, self.doubtful | more)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """After a shock, before any sale."""

    liquidatable: frozenset[AccountKey]
    undecided: frozenset[AccountKey]
    """Of whom the exact rule could not say: not among `liquidatable`."""


def screen_under(market: RiskMarket, shock: Shock) -> Screened:
    """Everybody below the line once prices moved, and everybody near it."""
    screen = market.book.shocked(market.book_shock(market.multiplier(shock)))
    with np.errstate(invalid="ignore"):
        near = np.flatnonzero(np.abs(screen.health - 1) <= NEAR)
        below = np.flatnonzero(screen.health < 1)
    doubtful = frozenset(screen.to_confirm()) | frozenset(screen.keys(near))
    return Screened(frozenset(screen.keys(below)) - doubtful, doubtful)


def decided(screened: Screened, exact: Mapping[AccountKey, Health]) -> Verdicts:
    """The screen with the exact rule's word on the doubtful ones; one that is missing is undecided."""
    status = {key: exact.get(key, UNKNOWN_HEALTH).status for key in screened.doubtful}
    return Verdicts(
        screened.liquidatable | {key for key, one in status.items() if one is RiskStatus.LIQUIDATABLE},
        frozenset(key for key, one in status.items() if one is RiskStatus.UNKNOWN),
    )


def verdict_under(state: StateAt | None, snapshot: AccountSnapshot, shock: Shock, groups: AssetGroups) -> Health:
    """The contract's own verdict with moved oracle prices; each is rounded down to the oracle's last decimal."""
    if state is None:
        return UNKNOWN_HEALTH
    unit = state.state.value_unit(snapshot.key.unit)
    prices = prices_of(state.priced.assess(snapshot))
    moved = shocked_prices(prices, state.market_by_code, unit, shock, groups)
    return UNKNOWN_HEALTH if moved is None else with_prices(state.priced, moved).health(snapshot)
