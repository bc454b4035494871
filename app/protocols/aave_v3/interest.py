"""Interest indices projected to a timestamp, with the contract's own rounding (`MathUtils`, `ReserveLogic`)."""

from __future__ import annotations

from app.domain.units import RAY, SECONDS_PER_YEAR

_HALF_RAY = RAY // 2


def ray_mul(a: int, b: int) -> int:
    """a x b / RAY, half up."""
    return (a * b + _HALF_RAY) // RAY


def project_income(index: int, rate: int, elapsed_seconds: int) -> int:
    """The liquidity index after `elapsed_seconds` of simple interest at the yearly `rate` (both RAY)."""
    if elapsed_seconds == 0:
        return index
    return ray_mul(RAY + rate * elapsed_seconds // SECONDS_PER_YEAR, index)


def project_debt(index: int, rate: int, elapsed_seconds: int, *, polynomial: bool) -> int:
    """The variable borrow index after `elapsed_seconds` of compounded interest at the yearly `rate` (both RAY)."""
    if elapsed_seconds == 0:
        return index
    factor = _polynomial_factor if polynomial else _binomial_factor
    return ray_mul(factor(rate, elapsed_seconds), index)


def _binomial_factor(rate: int, elapsed_seconds: int) -> int:
    """Until 3.3: three terms of the binomial expansion of (1 + rate / year) ^ seconds."""
    less_one = elapsed_seconds - 1
    less_two = max(elapsed_seconds - 2, 0)
    power_two = ray_mul(rate, rate) // (SECONDS_PER_YEAR * SECONDS_PER_YEAR)
    power_three = ray_mul(power_two, rate) // SECONDS_PER_YEAR
    second = elapsed_seconds * less_one * power_two // 2
    third = elapsed_seconds * less_one * less_two * power_three // 6
    return RAY + rate * elapsed_seconds // SECONDS_PER_YEAR + second + third


def _polynomial_factor(rate: int, elapsed_seconds: int) -> int:
    """Since 3.4: x + x^2 / 2 + x^3 / 6 with x = rate x time, each product half up."""
    x = rate * elapsed_seconds // SECONDS_PER_YEAR
    return RAY + x + ray_mul(x, x // 2 + ray_mul(x, x // 6))
