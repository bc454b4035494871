"""Price moves of many assets at once, put on an account's markets: `PricedState.with_price` for each of them.

Prices are in the account's measure. Where that measure is US dollars it does not move. Where it is a token that
moves too, every price counted in it is divided by the token's own multiplier: wstETH counted in WETH stays where it is
when both fall alike, and USDC counted in WETH rises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.domain.market import Market, ValueUnit
from app.domain.risk import RiskAssessment
from app.domain.units import WAD
from app.protocols.base import PricedState
from app.valuation.groups import STABLE, VOLATILE, AssetGroups

USD = "USD"
UNKNOWN_MEASURES = (None, "unknown")


@dataclass(frozen=True, slots=True)
class Shock:
    """How prices in US dollars move, as multipliers in WAD, above 0: by asset before by group before all volatile."""

    by_group: Mapping[str, int] = field(default_factory=dict)
    """By name of a group; `VOLATILE` for every asset that is not stable and has no entry of its own."""
    by_symbol: Mapping[str, int] = field(default_factory=dict)
    """By symbol in capitals."""

    def multiplier_wad(self, symbol: str, groups: AssetGroups) -> int:
        """Of one asset's price in US dollars."""
        own = self.by_symbol.get(symbol.upper())
        if own is not None:
            return own
        group = groups.group_of(symbol)
        if group not in self.by_group and group != STABLE:
            return self.by_group.get(VOLATILE, WAD)
        return self.by_group.get(group, WAD)


def measure_multiplier_wad(shock: Shock, unit: ValueUnit, groups: AssetGroups) -> int | None:
    """Of what values are counted in; None where nobody knows what that is."""
    if unit.currency in UNKNOWN_MEASURES:
        return None
    assert unit.currency is not None
    if unit.currency == USD and unit.asset is None:
        return WAD
    return shock.multiplier_wad(unit.currency, groups)


def prices_of(assessment: RiskAssessment) -> dict[str, int]:
    """Present price of every market the account is in, by market; those without a price are left out."""
    held = {p.market: p.price for p in assessment.positions}
    perps = {p.market: p.mark_price for p in assessment.perps}
    return {market: price for market, price in (held | perps).items() if price}


def exponents(
    moved: Iterable[str], markets: Mapping[str, Market], unit: ValueUnit, *, measure_moves: bool
) -> dict[str, int]:
    """What a joint move of the markets `moved` among `markets` does to each price: +1 multiplies it, -1 divides it.

    Markets that stay are left out; so is the market of the very token that is the measure.
    """
    together = set(moved)
    found = {}
    for code, market in markets.items():
        exponent = (code in together) - measure_moves
        if exponent and not is_measure(market, unit):
            found[code] = exponent
    return found


def is_measure(market: Market, unit: ValueUnit) -> bool:
    """Whether the market's token is what its prices are counted in: its own price is 1 and stays that."""
    return unit.asset is not None and market.asset == unit.asset


def scaled(price: int, multiplier_wad: int) -> int:
    """price x multiplier, rounded down, at least 1: no oracle that works says 0."""
    return max(1, price * multiplier_wad // WAD)


def shocked_prices(
    prices: Mapping[str, int], markets: Mapping[str, Market], unit: ValueUnit, shock: Shock, groups: AssetGroups
) -> dict[str, int] | None:
    """New prices of the markets that move; None where what they are counted in is not known."""
    measure = measure_multiplier_wad(shock, unit, groups)
    if measure is None:
        return None
    moved = {}
    for code, price in prices.items():
        market = markets[code]
        if is_measure(market, unit):
            continue
        multiplier = shock.multiplier_wad(market.symbol, groups)
        if multiplier != measure:
            moved[code] = max(1, price * multiplier // measure)
    return moved


def with_prices(priced: PricedState, prices: Mapping[str, int]) -> PricedState:
    """The same state with other oracle prices for several markets."""
    return priced.with_prices(prices)
