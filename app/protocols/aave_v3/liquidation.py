"""The oracle price of one asset, all others unchanged, at which an account's verdict turns: by the exact rule.

Which way danger lies is the sign of the account's net weight in the asset, balance x threshold - debt: a fall
endangers a positive one, a rise a negative one. The price found is the nearest to the present one, in that
direction (in the other one for an account that is liquidatable already), at which the contract's own comparison
comes out the other way.

Health is not quite monotone in a price, for two reasons:

* until 3.4 the average threshold is truncated to whole bps. While its average stays the same the account's
  capacity moves with the price; where it steps, capacity jumps by 1 bp of the collateral. So prices are searched
  plateau by plateau, from the first price at which the verdict could turn at all.
* an asset that is collateral and debt at once is rounded twice. Where the two nearly cancel there is a stretch of
  prices in which rounding decides. It is searched price by price, up to `_SCAN_LIMIT` prices; beyond that an exact
  turn is found by bisection, which in such a stretch may not be the first.

Outside the stretch in which rounding can decide, the verdict is certain, so nothing nearer is overlooked.
"""

from __future__ import annotations

from app.domain.risk import Direction, LiquidationPrice
from app.domain.units import BPS, WAD, div_truncated
from app.protocols.aave_v3.account_data import is_below
from app.protocols.aave_v3.exposure import Bounds, Exposure, exposure_of, plateau, plateau_bounds, whole_bounds
from app.protocols.aave_v3.legs import Leg, Totals, add_up
from app.protocols.aave_v3.rules import Rules
from app.protocols.boundary import least, least_unbounded

MAX_PRICE = 2**128
"""No price beyond this is looked at."""

_SCAN_LIMIT = 4096
_PLATEAU_LIMIT = 512


def liquidation_prices(rules: Rules, legs: list[Leg], totals: Totals) -> dict[str, LiquidationPrice]:
    """By market code, for every market whose price alone turns the verdict."""
    prices: dict[str, LiquidationPrice] = {}
    for code in {leg.terms.price_market: None for leg in legs if leg.terms.price_market is not None}:
        moved = [leg for leg in legs if leg.terms.price_market == code]
        moved = [leg for leg in moved if (leg.threshold_bps and leg.supplied_assets) or leg.borrowed_assets]
        if not moved:
            continue
        exposures = [exposure_of(rules, leg, totals) for leg in moved]
        found = _turn(exposures[0]) if len(exposures) == 1 else _turn_together(rules, moved, totals)
        if found is not None:
            direction, price = found
            now = moved[0].terms.price or 0
            prices[code] = LiquidationPrice(code, direction, price, div_truncated((price - now) * WAD, now))
    return prices


def _turn(exposure: Exposure) -> tuple[Direction, int] | None:
    """Which way danger lies, and the liquidation price; None when this asset's price alone turns nothing."""
    weight = exposure.balance * exposure.threshold_bps - BPS * exposure.debt
    if not weight:
        return None
    search = _Search(exposure, falling=weight > 0)
    steps = search.nearest()
    if steps is None:
        return None
    price = exposure.price + search.step * (steps - 1 if search.now else steps)
    return (Direction.FALL if weight > 0 else Direction.RISE), price


class _Search:
    """The way from the present price towards the turn, measured in steps of one price unit."""

    def __init__(self, exposure: Exposure, *, falling: bool) -> None:
        self.exposure = exposure
        self.now = exposure.is_liquidatable(exposure.price)
        self.step = -1 if falling != self.now else 1
        self.limit = exposure.price - 1 if self.step < 0 else MAX_PRICE - exposure.price
        self.scans_left = _SCAN_LIMIT

    def turned(self, steps: int) -> bool:
        """Whether the verdict is the other one that many steps away."""
        return self.exposure.is_liquidatable(self.exposure.price + self.step * steps) != self.now

    def nearest(self) -> int | None:
        """Steps to the nearest turn; None when there is none."""
        whole = whole_bounds(self.exposure)
        start = self._first_uncertain(whole, 0)
        if start is None or start > self.limit:
            return None
        if self.exposure.is_monotone:
            return self._bisect(whole, start, self.limit)
        if self.exposure.rules.summed_threshold:
            return self._piece(whole, start, self.limit)
        for _ in range(_PLATEAU_LIMIT):
            price = self.exposure.price + self.step * start
            average, last = plateau(self.exposure, price, self.step)
            end = self.limit if last is None else min(abs(last - self.exposure.price), self.limit)
            found = self._piece(plateau_bounds(self.exposure, average), start, end)
            if found is not None or end >= self.limit:
                return found
            start = end + 1
        return least_unbounded(self.turned, start, self.limit)

    def _piece(self, bounds: Bounds, start: int, end: int) -> int | None:
        """The nearest turn in start..end, where capacity moves in proportion to the price but for rounding."""
        if self.turned(start):
            return start
        if not (self.exposure.balance and self.exposure.debt):
            return self._bisect(bounds, start, end)
        uncertain = self._first_uncertain(bounds, start)
        if uncertain is None or uncertain > end:
            return None
        certain = self._first_turned(bounds, start)
        end = end if certain is None else min(end, certain)
        for steps in range(uncertain, min(end, uncertain + self.scans_left) + 1):
            self.scans_left -= 1
            if self.turned(steps):
                return steps
            uncertain = steps + 1
        return least(self.turned, uncertain, end)

    def _bisect(self, bounds: Bounds, start: int, end: int) -> int | None:
        """The turn in start..end, where there is at most one."""
        certain = self._first_turned(bounds, start - 1)
        return least(self.turned, start, end if certain is None else min(end, certain))

    def _first_uncertain(self, bounds: Bounds, after: int) -> int | None:
        """The first step past `after` at which the verdict is not certainly the present one."""
        line = bounds.liquidatable.negated() if self.now else bounds.healthy
        return line.first_negative(self.exposure.price, self.step, after)

    def _first_turned(self, bounds: Bounds, after: int) -> int | None:
        """The first step past `after` at which the verdict certainly is the other one."""
        line = bounds.healthy.negated() if self.now else bounds.liquidatable
        return line.first_negative(self.exposure.price, self.step, after)


def _turn_together(rules: Rules, moved: list[Leg], totals: Totals) -> tuple[Direction, int] | None:
    """The same for several positions priced by one feed (an eMode with a price source, until 3.1), by bisection."""
    exposures = [exposure_of(rules, leg, totals) for leg in moved]
    finest = max(exposure.unit for exposure in exposures)
    weight = sum((x.balance * x.threshold_bps - BPS * x.debt) * (finest // x.unit) for x in exposures)
    if not weight:
        return None
    price = exposures[0].price
    own = add_up(moved)

    def is_liquidatable(at: int) -> bool:
        values = [x.value(at) for x in exposures]
        return is_below(
            rules,
            totals.collateral - own.collateral + sum(values),
            totals.debt - own.debt + sum(x.debt_value(at) for x in exposures),
            totals.weighted - own.weighted + sum(v * x.threshold_bps for v, x in zip(values, exposures, strict=True)),
            WAD,
        )

    now = is_liquidatable(price)
    step = -1 if (weight > 0) != now else 1
    limit = price - 1 if step < 0 else MAX_PRICE - price
    steps = least_unbounded(lambda away: is_liquidatable(price + step * away) != now, 1, limit) if limit else None
    if steps is None:
        return None
    return (Direction.FALL if weight > 0 else Direction.RISE), price + step * (steps - 1 if now else steps)
