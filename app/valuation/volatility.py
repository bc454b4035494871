"""How much an asset's price moves in a day, from the oracle prices that were stored.

Prices are put on a grid of hours: the last one known at each hour, where there is one not older than an hour. Log
returns between neighbouring grid points that have a price (over a gap: one return for the whole gap); the daily
variance is the sum of their squares over the time they span (mean taken as zero). A statistic, in floats: it scales
a distance for people and decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

GRID_SECONDS = 3600
WINDOW_SECONDS = 7 * 86_400
"""How far back prices are looked at."""
LEAST_RETURNS = 24
"""Fewer say nothing: the sigma is unknown then."""

_DAY_SECONDS = 86_400

Sample = tuple[int, int]
"""Unix seconds, price above 0."""


@dataclass(frozen=True, slots=True)
class DailySigma:
    """The standard deviation of one day's log return."""

    sigma: float
    """Above 0; 0.05 is 5 % a day."""
    returns: int
    span_seconds: int
    """From the first grid point used to the last."""


def daily_sigma(samples: Sequence[Sample], now: int) -> DailySigma | None:
    """Of one asset; None where too little is known of the window before `now`, or where the price never moved."""
    return basket_sigma({"": samples}, {"": 1.0}, now)


def basket_sigma(samples: Mapping[str, Sequence[Sample]], weights: Mapping[str, float], now: int) -> DailySigma | None:
    """Of several assets held in the proportion of their weights (values, signed), moving as they did together.

    None where any that has a weight has too little history, or where they never moved. Only grid points at which all
    have a price count.
    """
    total = sum(abs(weight) for weight in weights.values())
    if not total:
        return None
    shares = {name: weight / total for name, weight in weights.items() if weight}
    grids = {name: on_grid(samples.get(name, ()), now) for name in shares}
    common = sorted(set.intersection(*(set(grid) for grid in grids.values())))
    if len(common) - 1 < LEAST_RETURNS:
        return None
    squares = 0.0
    for before, after in pairwise(common):
        moved = sum(share * math.log(grids[name][after] / grids[name][before]) for name, share in shares.items())
        squares += moved * moved
    span = (common[-1] - common[0]) * GRID_SECONDS
    if not squares:
        return None
    return DailySigma(math.sqrt(squares * _DAY_SECONDS / span), len(common) - 1, span)


def distance_in_sigmas(multiplier: float, sigma: DailySigma) -> float:
    """How many daily sigmas a price is from `multiplier` times itself, by its log; signed as the move is."""
    return math.log(multiplier) / sigma.sigma


def on_grid(samples: Sequence[Sample], now: int) -> dict[int, int]:
    """Price by grid point (whole hours since 1970) of the window before `now`: the last one in the hour before each."""
    newest, oldest = now // GRID_SECONDS, (now - WINDOW_SECONDS) // GRID_SECONDS
    found: dict[int, tuple[int, int]] = {}
    for timestamp, price in samples:
        point = -(-timestamp // GRID_SECONDS)
        if price > 0 and oldest <= point <= newest and timestamp >= found.get(point, (0, 0))[0]:
            found[point] = (timestamp, price)
    return {point: price for point, (_, price) in found.items()}
