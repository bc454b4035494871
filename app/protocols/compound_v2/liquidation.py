"""The oracle price of one asset, all others unchanged, at which an account's verdict turns: by the exact rule.

Capacity and requirement never fall when a price rises, so an asset that is only collateral or only debt has one
turn, found by bisection. One that is both is rounded on both sides: where the two nearly cancel, rounding may decide
back and forth within a stretch of prices; the price found is a turn of that stretch, if not certainly its first.
"""

from __future__ import annotations

from collections.abc import Callable

from app.domain.risk import Direction, LiquidationPrice
from app.domain.units import WAD, div_truncated
from app.protocols.boundary import least, least_unbounded
from app.protocols.compound_v2.accrual import Accrued
from app.protocols.compound_v2.legs import SHOWN_DECIMALS, Leg, Totals, is_below, oracle_price, shown_price

MAX_PRICE = 2**160
"""No price beyond this is looked at."""
_SLACK = 256


def liquidation_price(accrued: Accrued, leg: Leg, totals: Totals) -> LiquidationPrice | None:
    """Where this leg's price alone turns the account's verdict; None when it does nowhere."""
    row, tokens, borrowed = leg.row, leg.position.supplied_raw, leg.borrowed_assets
    net = row.threshold * row.rate * tokens - borrowed * WAD * WAD
    if not leg.is_counted or not row.price or not net:
        return None
    decimals = leg.listing.decimals
    rest_capacity, rest_requirement = totals.capacity - leg.capacity, totals.requirement - leg.requirement

    def liquidatable(shown: int) -> bool:
        price = oracle_price(shown, decimals)
        capacity = rest_capacity + accrued.weight(row.threshold, row.rate, price) * tokens // WAD
        return is_below(capacity, rest_requirement + price * borrowed // WAD, WAD)

    now = shown_price(row.price, decimals)
    turned = is_below(totals.capacity, totals.requirement, WAD)
    direction = Direction.FALL if net > 0 else Direction.RISE
    # where the two meet when nothing is rounded; the turn is close by
    meeting = (rest_requirement - rest_capacity) * WAD**3 // net
    guess = shown_price(meeting, decimals) if meeting > 0 else now
    found: int | None
    if (direction is Direction.FALL) != turned:  # the turn lies below
        lowest: int = 10 ** max(0, decimals - SHOWN_DECIMALS)
        steps = _nearest(lambda away: liquidatable(now - away) != turned, 0, now - lowest, now - guess)
        found = None if steps is None else now - steps + (1 if turned else 0)
    else:
        steps = _nearest(lambda away: liquidatable(now + away) != turned, 1, MAX_PRICE - now, guess - now)
        found = None if steps is None else now + steps - (1 if turned else 0)
    if found is None or not now:
        return None
    return LiquidationPrice(leg.listing.code, direction, found, div_truncated((found - now) * WAD, now))


def _nearest(turned: Callable[[int], bool], first: int, last: int, guess: int) -> int | None:
    """The first step in first..last that holds, by bisection from somewhat before `guess`."""
    low = min(max(first, guess - _SLACK), last)
    if low > first and turned(low):
        return least(turned, first, low)
    return least_unbounded(turned, low, last)
