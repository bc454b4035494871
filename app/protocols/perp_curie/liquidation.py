"""The price of one market or collateral, all else unchanged, at which an account's verdict turns.

Found on the integers of the protocol's own rule. For a short and for collateral the verdict turns once. For a long
the account value stands still while the requirement grows, up to the next unit of the settlement token: within that
width (10^-6 dollars of notional) it may turn more than once, and the price found is one of the turns.
"""

from __future__ import annotations

from collections.abc import Callable

from app.domain.risk import Direction, LiquidationPrice
from app.domain.units import WAD, div_truncated
from app.protocols.boundary import least
from app.protocols.perp_curie.margin import Held, Posted, Standing, Totals, collateral_value, worth
from app.protocols.perp_curie.raw import RATIO

MAX_PRICE = 2**128
"""No price beyond this is stated."""


def perp_liquidation_price(standing: Standing, held: Held) -> LiquidationPrice | None:
    """Of the price a position is valued at: below it for a long, above it for a short."""
    if not held.size or held.price is None:
        return None

    def liquidatable(price: int) -> bool:
        return totals_at(standing.totals, held, price).is_liquidatable

    if held.size > 0:
        return _fall(held.position.market, held.price, lambda price: not liquidatable(price))
    return _stated(held.position.market, Direction.RISE, least(liquidatable, 1, MAX_PRICE), held.price)


def collateral_liquidation_price(standing: Standing, posted: Posted, decimals: int | None) -> LiquidationPrice | None:
    """Of the price of a token posted as margin; None for the settlement token, which has none."""
    if decimals is None or not standing.totals.requirement:
        return None
    amount, rest = posted.position.supplied_raw, standing.totals.wealth - posted.counted

    def healthy(price: int) -> bool:
        counted = collateral_value(amount, decimals, price) * posted.ratio // RATIO
        return not standing.totals._replace(wealth=rest + counted).is_liquidatable

    return _fall(posted.position.market, posted.price, healthy)


def totals_at(totals: Totals, held: Held, price: int) -> Totals:
    """The account's totals with another price of one market."""
    value = worth(held.size, price)
    return totals._replace(
        wealth=totals.wealth - held.value + value, notional=totals.notional - abs(held.value) + abs(value)
    )


def _fall(market: str, current: int, healthy: Callable[[int], bool]) -> LiquidationPrice | None:
    """One below the least price at which the account is healthy; None when it is at any price, or at none."""
    first = least(healthy, 1, MAX_PRICE)
    return _stated(market, Direction.FALL, None if first is None or first <= 1 else first - 1, current)


def _stated(market: str, direction: Direction, price: int | None, current: int) -> LiquidationPrice | None:
    if price is None or not current or (direction is Direction.RISE and price <= 1):
        return None
    return LiquidationPrice(market, direction, price, div_truncated((price - current) * WAD, current))
