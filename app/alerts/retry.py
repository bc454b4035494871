"""When a message that was not taken is tried again: soon at first, then ever more seldom, for about a day."""

from __future__ import annotations

from collections.abc import Callable

GAPS_SECONDS = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 25_200, 32_400)
"""From the first failure on: tries at 5 s, 35 s, 3 min, 13 min, 43 min, 2 h, 4 h, 8 h, 15 h and 24 h."""
_JITTER = 0.2


def next_gap_seconds(tries: int, asked_seconds: int | None, chance: Callable[[], float]) -> int | None:
    """Seconds until the next try; None: there is none any more.

    Args:
        tries: made so far, at least one.
        asked_seconds: how long the receiver wants to be left alone; it gets that, and no try more for it.
        chance: a number from 0 to 1; gaps are stretched by up to a fifth, so that not all come back at once.
    """
    if tries > len(GAPS_SECONDS):
        return None
    gap = GAPS_SECONDS[tries - 1]
    return max(round(gap * (1 + _JITTER * chance())), asked_seconds or 0, 1)
