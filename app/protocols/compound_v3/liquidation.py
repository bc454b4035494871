"""The price of one asset, all others unchanged, at which an account's verdict turns: in closed form, to the unit.

The verdict is capacity < requirement with floors on the way, none of which falls when its price rises, so every
asset has one turn; solving the floors backwards gives it exactly.
"""

from __future__ import annotations

from app.domain.risk import Direction, LiquidationPrice
from app.domain.units import WAD, div_truncated
from app.protocols.compound_v3.legs import Leg, Totals

MAX_PRICE = 2**160
"""No price beyond this is stated."""


def liquidation_price(leg: Leg, totals: Totals) -> LiquidationPrice | None:
    """Where this leg's price alone turns the account's verdict; None when it does nowhere."""
    if leg.position.borrowed_raw:
        found, direction = _base_price(leg, totals), Direction.RISE
    else:
        found, direction = _collateral_price(leg, totals), Direction.FALL
    if found is None or leg.price is None or found > MAX_PRICE:
        return None
    return LiquidationPrice(leg.position.market, direction, found, div_truncated((found - leg.price) * WAD, leg.price))


def _base_price(leg: Leg, totals: Totals) -> int | None:
    """The least price with floor(debt x price / scale) above the capacity. 1 is below no price that exists."""
    if not leg.borrowed_assets:
        return None
    price = least_dividend(totals.capacity + 1, leg.borrowed_assets, leg.scale)
    return price if price > 1 else None


def _collateral_price(leg: Leg, totals: Totals) -> int | None:
    """One below the least price at which this collateral and the others carry the debt."""
    need = totals.requirement - (totals.capacity - leg.capacity)
    if need <= 0 or leg.row is None or not leg.row.liquidate_factor or not leg.supplied_assets:
        return None
    value = least_dividend(need, leg.row.liquidate_factor, WAD)
    return least_dividend(value, leg.supplied_assets, leg.scale) - 1 or None


def least_dividend(wanted: int, factor: int, divisor: int) -> int:
    """The least x with floor(x * factor / divisor) >= wanted."""
    return -(-wanted * divisor // factor)
