"""How everything here is measured: contestants in turn, A B A B, ratios taken round by round, the median reported.

Absolute times on a shared machine move by a factor of two; the ratio inside one round hardly does.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Figure:
    """One bar, measured."""

    bar: str
    """Number of the bar, with a letter where it has several parts."""
    what: str
    ratio: float
    goal: float
    at_least: bool = True
    """Whether the goal is a floor (times better) or a ceiling (times the floor, milliseconds)."""
    detail: str = ""

    @property
    def ok(self) -> bool:
        return self.ratio >= self.goal if self.at_least else self.ratio <= self.goal

    def line(self) -> str:
        """`bar <number>: <ratio> (goal <g>) ok|short`, and what it was about."""
        sign = ">=" if self.at_least else "<="
        verdict = "ok" if self.ok else "short"
        about = f"  {self.what}" + (f" [{self.detail}]" if self.detail else "")
        return f"bar {self.bar}: {self.ratio:.3g} (goal {sign}{self.goal:g}) {verdict}{about}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one contestant."""

    wall_seconds: float
    cpu_seconds: float
    """Of this process; a child such as the node is not in it."""
    units: int

    @property
    def wall_us(self) -> float:
        """Microseconds a unit."""
        return self.wall_seconds / self.units * 1e6

    @property
    def cpu_us(self) -> float:
        """CPU microseconds a unit."""
        return self.cpu_seconds / self.units * 1e6


Contestant = Callable[[], int]
"""Does the work once and returns how many units (calls, logs, rows) it did."""


def interleave(
    contestants: Mapping[str, Contestant], rounds: int = ROUNDS, *, before_round: Callable[[], None] | None = None
) -> dict[str, list[Sample]]:
    """Run all contestants in turn, `rounds` times after one round that does not count.

    `before_round` runs outside the timing, before each round: a new block, a check of the last results.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        if before_round is not None:
            before_round()
        for name, run in contestants.items():
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            units = run()
            sample = Sample(time.perf_counter() - wall, time.process_time() - cpu, units)
            if number:
                samples[name].append(sample)
    return samples


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Median of above[i] / below[i], paired by round."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def spread(values: Sequence[float], unit: str) -> str:
    """`median unit (min to max)`."""
    return f"{statistics.median(values):.3g} {unit} ({min(values):.3g} to {max(values):.3g})"


def report(figures: Sequence[Figure]) -> None:
    """One line a figure."""
    for figure in figures:
        print(figure.line(), flush=True)
