"""Work that recurs every so many blocks, tied to block numbers: no restart, gap or jump upsets it."""

from __future__ import annotations


def passed_multiple(before: int, now: int, step: int) -> bool:
    """Whether a multiple of `step` lies in (before, now]."""
    return before // step != now // step


def passed_retry(since: int, before: int, now: int, step: int) -> bool:
    """Whether to try again in (before, now] what fails since block `since`.

    After 1, 2, 4, 8, ... blocks, so that a passing fault passes soon, and at every multiple of `step`.
    """
    doubled = (before - since + 1).bit_length() != (now - since + 1).bit_length()
    return doubled or passed_multiple(before, now, step)


def next_multiple(number: int, step: int) -> int:
    """The first multiple of `step` above `number`."""
    return (number // step + 1) * step
