"""Exact boundaries of integer predicates by bisection."""

from __future__ import annotations

from collections.abc import Callable


def least(holds: Callable[[int], bool], low: int, high: int) -> int | None:
    """The smallest x in low..high for which `holds(x)`, given that it never turns false again once true.

    None when it holds nowhere (or the range is empty). Where the predicate is not monotone the result is still
    an exact boundary (it holds at x, and not at x - 1 unless x is `low`), but not certainly the first one.
    """
    if low > high or not holds(high):
        return None
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return high


def least_unbounded(holds: Callable[[int], bool], low: int, limit: int) -> int | None:
    """`least` over low..limit when the answer is expected near `low`: the step doubles until it holds."""
    step = 1
    below = low
    while True:
        high = min(low + step, limit)
        if holds(high):
            return least(holds, below, high)
        if high == limit:
            return None
        below = high + 1
        step *= 2
