"""Work that recurs every so many blocks, tied to block numbers: no restart, gap or jump upsets it."""

from __future__ import annotations


def passed_multiple(before: int, now: int, step: int) -> bool:
    """Whether a multiple of `step` lies in (before, now]."""
    return before // step != now // step


def next_multiple(number: int, step: int) -> int:
    """The first multiple of `step` above `number`."""
    return (number // step + 1) * step
