"""Daily sigma: held against prices whose sigma is known beforehand."""

from __future__ import annotations

import math
import random

import pytest

from app.valuation.volatility import (
    GRID_SECONDS,
    LEAST_RETURNS,
    Sample,
    basket_sigma,
    daily_sigma,
    distance_in_sigmas,
)

NOW = 500_000 * GRID_SECONDS


def zigzag(size: float, hours: int = 48, *, every: int = 1) -> list[Sample]:
    """Up and down by the same log return each hour: the sigma of an hour is `size` exactly."""
    price = 10**12
    steps = range(0, hours + 1, every)
    return [(NOW - (hours - h) * GRID_SECONDS, round(price * math.exp(size * (h // every % 2)))) for h in steps]


def test_an_hourly_move_makes_root_24_of_it_a_day() -> None:
    found = daily_sigma(zigzag(0.01), NOW)
    assert found is not None
    assert found.sigma == pytest.approx(0.01 * math.sqrt(24), rel=1e-9)
    assert (found.returns, found.span_seconds) == (48, 48 * GRID_SECONDS)


def test_a_walk_of_a_known_sigma_is_found_again() -> None:
    chance, price, samples = random.Random(5), 1e12, []
    for hour in range(168):
        price *= math.exp(chance.gauss(0, 0.04 / math.sqrt(24)))
        samples.append((NOW - (167 - hour) * GRID_SECONDS, round(price)))
    found = daily_sigma(samples, NOW)
    assert found is not None
    assert found.sigma == pytest.approx(0.04, rel=0.15)


def test_gaps_are_spanned_and_not_taken_for_calm() -> None:
    found = daily_sigma(zigzag(0.02, 96, every=2), NOW)
    assert found is not None
    assert found.sigma == pytest.approx(0.02 * math.sqrt(12), rel=1e-9)


def test_too_little_is_unknown_and_so_is_a_price_that_never_moved() -> None:
    assert daily_sigma([], NOW) is None
    assert daily_sigma(zigzag(0.01, LEAST_RETURNS - 1), NOW) is None
    assert daily_sigma(zigzag(0.01, LEAST_RETURNS), NOW) is not None
    assert daily_sigma(zigzag(0.0), NOW) is None
    crowded = [(NOW - second, 10**12 + second) for second in range(3600)]
    assert daily_sigma(crowded, NOW) is None, "many samples of one hour are one grid point"


def test_what_is_older_than_the_window_or_later_than_now_is_not_looked_at() -> None:
    old = [(timestamp - 8 * 86_400, price) for timestamp, price in zigzag(0.5)]
    late = [(timestamp + 86_400 * 9, price) for timestamp, price in zigzag(0.5)]
    assert daily_sigma([*old, *zigzag(0.01), *late], NOW) == daily_sigma(zigzag(0.01), NOW)


def test_in_an_hour_the_last_price_counts_in_whatever_order_they_come() -> None:
    clean = zigzag(0.01)
    noisy = [sample for timestamp, price in clean for sample in ((timestamp, price), (timestamp - 60, 3 * price))]
    assert daily_sigma(noisy, NOW) == daily_sigma(clean, NOW)


def test_assets_that_move_alike_add_up_and_against_each_other_cancel_out() -> None:
    same = {"a": zigzag(0.01), "b": zigzag(0.01)}
    together = basket_sigma(same, {"a": 300.0, "b": 100.0}, NOW)
    alone = daily_sigma(same["a"], NOW)
    assert together is not None
    assert alone is not None
    assert together.sigma == pytest.approx(alone.sigma)
    against = basket_sigma(same, {"a": 300.0, "b": -100.0}, NOW)
    assert against is not None
    assert against.sigma == pytest.approx(alone.sigma / 2)
    assert basket_sigma({"a": zigzag(0.01)}, {"a": 1.0, "b": 1.0}, NOW) is None, "b's history is not known"
    assert basket_sigma({"a": zigzag(0.01)}, {"a": 1.0, "b": 0.0}, NOW) == alone
    assert basket_sigma({}, {}, NOW) is None


def test_a_distance_is_counted_in_logs() -> None:
    sigma = daily_sigma(zigzag(0.01), NOW)
    assert sigma is not None
    assert distance_in_sigmas(0.8, sigma) == pytest.approx(math.log(0.8) / 0.0489898, rel=1e-5)
    assert distance_in_sigmas(1.25, sigma) == pytest.approx(-distance_in_sigmas(0.8, sigma))
