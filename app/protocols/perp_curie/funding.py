"""Funding: what a trader owes by the growth of a market, and the growth by what traders owe.

The contract has no view of the growth. It follows from the pending payments of traders whose stored state is known,
to within what their payments round away; and exactly, because it only ever is an earlier settled growth plus whole
seconds of a premium that can be read. Sources: `Funding.sol`, `Exchange._getFundingGrowthGlobalAndTwaps`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from app.domain.units import div_truncated
from app.protocols.perp_curie.raw import RATIO, VALUE_DECIMALS, Growth

Q96 = 1 << 96
PERIOD_SECONDS = 86_400
"""The premium is what a day costs."""
_UNIT = Q96 * PERIOD_SECONDS
_ONE: int = 10**VALUE_DECIMALS


class Bounds(NamedTuple):
    """The growths at which a trader owes just what he owes. Inclusive."""

    low: int
    high: int


def payment(size: int, last_growth: int, growth: int) -> int:
    """What a taker of a signed size owes since his last settlement, truncated; below 0 he is owed.

    The contract divides by 2^96 and then by the day, each towards zero: the same as once by both.
    """
    return div_truncated(size * (growth - last_growth), _UNIT)


def bounds(size: int, last_growth: int, paid: int) -> Bounds:
    """The growths g with payment(size, last_growth, g) == paid. `size` is not 0."""
    low = paid * _UNIT if paid > 0 else (paid - 1) * _UNIT + 1
    high = (paid + 1) * _UNIT - 1 if paid >= 0 else paid * _UNIT
    if size < 0:
        low, high = -high, -low
    size = abs(size)
    return Bounds(last_growth - (-low // size), last_growth + high // size)


def premium_x96(sqrt_market_twap_x96: int, index_twap: int, max_funding_rate: int) -> int:
    """Market over index, times 2^96, bounded by a part of the index. Source: `Exchange._getDeltaTwapX96`."""
    market = sqrt_market_twap_x96 * sqrt_market_twap_x96 // Q96
    index = index_twap * Q96 // _ONE
    most = index * max_funding_rate // RATIO
    return max(-most, min(most, market - index))


def find_growth(told: Sequence[Bounds], premium: int | None, anchors: Iterable[int]) -> Growth | None:
    """The growth that every payment is consistent with; None when none is, or nobody told.

    Of all within the bounds it is the one that follows from an earlier settled growth, if there is such: the bounds
    are so much narrower than what a second adds that no other does by chance.
    """
    if not told:
        return None
    low, high = max(one.low for one in told), min(one.high for one in told)
    if low > high:
        return None
    for anchor in anchors:
        found = _following(anchor, premium or 0, low, high)
        if found is not None:
            return Growth(found, anchor)
    return Growth((low + high) // 2, None)


def _following(anchor: int, premium: int, low: int, high: int) -> int | None:
    """anchor + premium x whole seconds that lies within low..high; None when none does, or more than one."""
    if premium < 0:
        found = _following(-anchor, -premium, -high, -low)
        return None if found is None else -found
    if not premium:
        return anchor if low <= anchor <= high else None
    if premium <= high - low:
        return None
    seconds = max(0, -((anchor - low) // premium))
    found = anchor + premium * seconds
    return found if low <= found <= high else None
