"""One asset's part in an account as a function of its price, and at which prices the verdict is beyond doubt."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.units import BPS, WAD
from app.protocols.aave_v3.account_data import is_below
from app.protocols.aave_v3.legs import Leg, Totals
from app.protocols.aave_v3.rules import Rules


@dataclass(frozen=True, slots=True)
class Exposure:
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


def exposure_of(rules: Rules, leg: Leg, totals: Totals) -> Exposure:
    value = (leg.supplied_value or 0) if leg.is_counted else 0
    return Exposure(
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


@dataclass(frozen=True, slots=True)
class Line:
    """constant + slope x price."""

    constant: int
    slope: int

    def negated(self) -> Line:
        """Negative exactly where this line is not."""
        return Line(-self.constant - 1, -self.slope)

    def first_negative(self, price: int, step: int, after: int) -> int | None:
        """The first number of steps above `after` at which the line is negative; None when there is none."""
        here = self.constant + self.slope * (price + step * after)
        change = self.slope * step
        if here + change < 0:
            return after + 1
        return None if change >= 0 else after + here // -change + 1


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where the verdict is certain whatever rounding does."""

    healthy: Line
    """Not negative: certainly healthy."""
    liquidatable: Line
    """Negative: certainly liquidatable."""


def _bounds(x: Exposure, low: tuple[int, int, int], high: tuple[int, int, int]) -> Bounds:
    """From bounds on the numerator, 10000 x capacity, each as (constant, weight, slack): it lies between
    constant + weight x V - slack and constant + weight x V + slack.

    The collateral's value V is above balance x price / unit - 1 and not above it without the - 1; the debt's value
    is within 1 of debt x price / unit. An account is healthy if 10000 x capacity >= 10000 x debt, and liquidatable
    if capacity x (1 + a half of 10^-18) is below debt: wadDiv rounds half up.
    """
    constant, weight, slack = low
    healthy = Line(
        x.unit * (constant - max(weight, 0) - slack - BPS * (x.rest_debt + 1)), weight * x.balance - BPS * x.debt
    )
    constant, weight, slack = high
    half_up = 2 * WAD * BPS - BPS
    liquidatable = Line(
        x.unit * (2 * WAD * (constant + slack) - half_up * (x.rest_debt - 1)),
        2 * WAD * weight * x.balance - half_up * x.debt,
    )
    return Bounds(healthy, liquidatable)


def whole_bounds(x: Exposure) -> Bounds:
    """Over all prices. Truncating the average threshold takes less than the collateral's value from T."""
    high = (x.rest_weighted, x.threshold_bps, 0 if x.rules.summed_threshold else BPS // 2)
    if x.rules.summed_threshold:
        return _bounds(x, high, high)
    low = (x.rest_weighted - x.rest_collateral, x.threshold_bps - 1 if x.balance else 0, BPS // 2)
    return _bounds(x, low, high)


def plateau_bounds(x: Exposure, average: int) -> Bounds:
    """Over the prices at which the truncated average threshold is `average`."""
    numerator = (average * x.rest_collateral, average if x.balance else 0, BPS // 2)
    return _bounds(x, numerator, numerator)


def plateau(x: Exposure, price: int, step: int) -> tuple[int, int | None]:
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


def _last_price(x: Exposure, value: int) -> int:
    """The highest price at which the collateral is worth no more than `value`."""
    return -(-(value + 1) * x.unit // x.balance) - 1


def _lowest_value(x: Exposure, average: int) -> int:
    """The least V whose average threshold truncates to `average`."""
    rising = x.threshold_bps - average
    if rising > 0:
        return max(0, -(-(average * x.rest_collateral - x.rest_weighted) // rising))
    excess = x.rest_weighted - (average + 1) * x.rest_collateral
    return max(0, excess // (1 - rising) + 1)


def _highest_value(x: Exposure, average: int) -> int | None:
    """The greatest V whose average threshold truncates to `average`; None when there is no greatest."""
    rising = x.threshold_bps - average - 1
    if rising > 0:
        return -(-((average + 1) * x.rest_collateral - x.rest_weighted) // rising) - 1
    falling = average - x.threshold_bps
    return (x.rest_weighted - average * x.rest_collateral) // falling if falling > 0 else None
