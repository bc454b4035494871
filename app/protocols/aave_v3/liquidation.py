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

from dataclasses import dataclass

from app.domain.risk import Direction, LiquidationPrice
from app.domain.units import BPS, WAD, div_truncated
from app.protocols.aave_v3.account_data import is_below
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
        exposures = [_exposure(rules, leg, totals) for leg in moved]
        found = _turn(exposures[0]) if len(exposures) == 1 else _turn_together(rules, moved, totals)
        if found is not None:
            direction, price = found
            now = moved[0].terms.price or 0
            prices[code] = LiquidationPrice(code, direction, price, div_truncated((price - now) * WAD, now))
    return prices


@dataclass(frozen=True, slots=True)
class _Exposure:
    """One asset's part in an account, and the rest of the account."""

    rules: Rules
    price: int
    balance: int
    threshold_bps: int
    debt: int
    unit: int
    debt_addend: int
    rest_collateral: int
    rest_debt: int
    rest_weighted: int

    def value(self, price: int) -> int:
        """Value of the collateral at a price."""
        return self.balance * price // self.unit

    def debt_value(self, price: int) -> int:
        """Value of the debt at a price."""
        return (self.debt * price + self.debt_addend) // self.unit

    def is_liquidatable(self, price: int) -> bool:
        """The contract's own comparison, had the asset this price."""
        value = self.value(price)
        return is_below(
            self.rules,
            self.rest_collateral + value,
            self.rest_debt + self.debt_value(price),
            self.rest_weighted + value * self.threshold_bps,
            WAD,
        )

    @property
    def is_monotone(self) -> bool:
        """Whether the verdict turns at most once over all prices."""
        if self.balance and self.debt:
            return False
        rising = self.threshold_bps * self.rest_collateral >= self.rest_weighted
        return self.rules.summed_threshold or not self.balance or rising


def _exposure(rules: Rules, leg: Leg, totals: Totals) -> _Exposure:
    value = (leg.supplied_value or 0) if leg.is_counted else 0
    return _Exposure(
        rules=rules,
        price=leg.terms.price or 0,
        balance=leg.supplied_assets if leg.threshold_bps else 0,
        threshold_bps=leg.threshold_bps,
        debt=leg.borrowed_assets,
        unit=leg.unit,
        debt_addend=rules.debt_value_addend(leg.unit) if leg.borrowed_assets else 0,
        rest_collateral=totals.collateral - value,
        rest_debt=totals.debt - (leg.borrowed_value or 0),
        rest_weighted=totals.weighted - value * leg.threshold_bps,
    )


class _Search:
    """The way from the present price towards the turn, measured in steps of one price unit."""

    def __init__(self, exposure: _Exposure, *, falling: bool) -> None:
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
        whole = _whole_bounds(self.exposure)
        start = self._first_uncertain(whole, 0)
        if start is None or start > self.limit:
            return None
        if self.exposure.is_monotone:
            return self._bisect(whole, start, self.limit)
        if self.exposure.rules.summed_threshold:
            return self._piece(whole, start, self.limit)
        for _ in range(_PLATEAU_LIMIT):
            price = self.exposure.price + self.step * start
            average, last = _plateau(self.exposure, price, self.step)
            end = self.limit if last is None else min(abs(last - self.exposure.price), self.limit)
            found = self._piece(_plateau_bounds(self.exposure, average), start, end)
            if found is not None or end >= self.limit:
                return found
            start = end + 1
        return least_unbounded(self.turned, start, self.limit)

    def _piece(self, bounds: _Bounds, start: int, end: int) -> int | None:
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

    def _bisect(self, bounds: _Bounds, start: int, end: int) -> int | None:
        """The turn in start..end, where there is at most one."""
        certain = self._first_turned(bounds, start - 1)
        return least(self.turned, start, end if certain is None else min(end, certain))

    def _first_uncertain(self, bounds: _Bounds, after: int) -> int | None:
        """The first step past `after` at which the verdict is not certainly the present one."""
        line = bounds.liquidatable.negated() if self.now else bounds.healthy
        return line.first_negative(self.exposure.price, self.step, after)

    def _first_turned(self, bounds: _Bounds, after: int) -> int | None:
        """The first step past `after` at which the verdict certainly is the other one."""
        line = bounds.healthy.negated() if self.now else bounds.liquidatable
        return line.first_negative(self.exposure.price, self.step, after)


@dataclass(frozen=True, slots=True)
class _Line:
    """constant + slope x price."""

    constant: int
    slope: int

    def negated(self) -> _Line:
        """Negative exactly where this line is not."""
        return _Line(-self.constant - 1, -self.slope)

    def first_negative(self, price: int, step: int, after: int) -> int | None:
        """The first number of steps above `after` at which the line is negative; None when there is none."""
        here = self.constant + self.slope * (price + step * after)
        change = self.slope * step
        if here + change < 0:
            return after + 1
        return None if change >= 0 else after + here // -change + 1


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Where the verdict is certain whatever rounding does."""

    healthy: _Line
    """Not negative: certainly healthy."""
    liquidatable: _Line
    """Negative: certainly liquidatable."""


def _bounds(x: _Exposure, low: tuple[int, int, int], high: tuple[int, int, int]) -> _Bounds:
    """From bounds on the numerator, 10000 x capacity, each as (constant, weight, slack): it lies between
    constant + weight x V - slack and constant + weight x V + slack.

    The collateral's value V is above balance x price / unit - 1 and not above it without the - 1; the debt's value
    is within 1 of debt x price / unit. An account is healthy if 10000 x capacity >= 10000 x debt, and liquidatable
    if capacity x (1 + a half of 10^-18) is below debt: wadDiv rounds half up.
    """
    constant, weight, slack = low
    healthy = _Line(
        x.unit * (constant - max(weight, 0) - slack - BPS * (x.rest_debt + 1)), weight * x.balance - BPS * x.debt
    )
    constant, weight, slack = high
    half_up = 2 * WAD * BPS - BPS
    liquidatable = _Line(
        x.unit * (2 * WAD * (constant + slack) - half_up * (x.rest_debt - 1)),
        2 * WAD * weight * x.balance - half_up * x.debt,
    )
    return _Bounds(healthy, liquidatable)


def _whole_bounds(x: _Exposure) -> _Bounds:
    """Over all prices. Truncating the average threshold takes less than the collateral's value from T."""
    high = (x.rest_weighted, x.threshold_bps, 0 if x.rules.summed_threshold else BPS // 2)
    if x.rules.summed_threshold:
        return _bounds(x, high, high)
    low = (x.rest_weighted - x.rest_collateral, x.threshold_bps - 1 if x.balance else 0, BPS // 2)
    return _bounds(x, low, high)


def _plateau_bounds(x: _Exposure, average: int) -> _Bounds:
    """Over the prices at which the truncated average threshold is `average`."""
    numerator = (average * x.rest_collateral, average if x.balance else 0, BPS // 2)
    return _bounds(x, numerator, numerator)


def _plateau(x: _Exposure, price: int, step: int) -> tuple[int, int | None]:
    """The truncated average threshold at a price, and the last price with the same one going by `step`.

    As the collateral's value V grows, the average moves steadily from the rest's towards this asset's own. None:
    it stays the same however far one goes.
    """
    value = x.value(price)
    collateral, weighted = x.rest_collateral + value, x.rest_weighted + value * x.threshold_bps
    if not x.balance:
        return (weighted // collateral if collateral else 0), None
    if not collateral:
        return 0, _last_price(x, 0) if step > 0 else 1
    average = weighted // collateral
    if step > 0:
        highest = _highest_value(x, average)
        return average, None if highest is None else _last_price(x, highest)
    return average, max(1, -(-_lowest_value(x, average) * x.unit // x.balance))


def _last_price(x: _Exposure, value: int) -> int:
    """The highest price at which the collateral is worth no more than `value`."""
    return -(-(value + 1) * x.unit // x.balance) - 1


def _lowest_value(x: _Exposure, average: int) -> int:
    """The least V whose average threshold truncates to `average`."""
    rising = x.threshold_bps - average
    if rising > 0:
        return max(0, -(-(average * x.rest_collateral - x.rest_weighted) // rising))
    excess = x.rest_weighted - (average + 1) * x.rest_collateral
    return max(0, excess // (1 - rising) + 1)


def _highest_value(x: _Exposure, average: int) -> int | None:
    """The greatest V whose average threshold truncates to `average`; None when there is no greatest."""
    rising = x.threshold_bps - average - 1
    if rising > 0:
        return -(-((average + 1) * x.rest_collateral - x.rest_weighted) // rising) - 1
    falling = average - x.threshold_bps
    return (x.rest_weighted - average * x.rest_collateral) // falling if falling > 0 else None


def _turn(exposure: _Exposure) -> tuple[Direction, int] | None:
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


def _turn_together(rules: Rules, moved: list[Leg], totals: Totals) -> tuple[Direction, int] | None:
    """The same for several positions priced by one feed (an eMode with a price source, until 3.1), by bisection."""
    exposures = [_exposure(rules, leg, totals) for leg in moved]
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
