"""The waterline: utilisation drawn as a level against a line at 1. Geometry only; templates draw it.

The scale is linear from 0 to the line, which sits at `LINE` of the height, and bends past it: 1 + x is drawn at
LINE + (1 - LINE) * (1 - 1/(1 + x)), so that any number, however large, stays inside and still reads higher.
Floats are fine here: a pixel is the finest thing they decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from app.web.format import percent_up

LINE = 0.78
"""Share of the height below the line at 1."""

TICKS = (0.0, 0.25, 0.5, 0.75, 1.0, 2.0)


def height_of(utilization: float) -> float:
    """Share of the gauge's height, 0 to 1, at which `utilization` is drawn."""
    if utilization <= 1:
        return LINE * max(0.0, utilization)
    return LINE + (1 - LINE) * (1 - 1 / utilization)


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of the scale: its label and its y."""

    label: str
    y: float


@dataclass(frozen=True, slots=True)
class Gauge:
    """One gauge's geometry, y downwards from 0 to `height`."""

    height: int
    level_y: float | None
    """Top of the water; None when utilisation is not known."""
    line_y: float
    label_y: float
    """Baseline of the line's own label: on the dry side of it."""
    reading_y: float
    """Baseline of the reading: at the level, kept clear of the line's label."""
    reading: str
    ticks: tuple[Tick, ...]


def gauge(utilization: str | None, status: str = "healthy", height: int = 160, beyond: str = "no capacity") -> Gauge:
    """Place `utilization` (decimal string) on a scale `height` units tall.

    None is "not known" with status `unknown`, and otherwise past every number, said as `beyond`: debt with no capacity
    at all.
    """

    def y(value: float) -> float:
        return round(height * (1 - height_of(value)), 1)

    line = y(1.0)
    ticks = tuple(Tick(f"{t:g}", y(t)) for t in TICKS)
    if utilization is None and status == "unknown":
        return Gauge(height, None, line, line - 6, height / 2 + 5, "unknown", ticks)
    level = y(inf if utilization is None else float(utilization))
    reading = beyond if utilization is None else percent_up(utilization)
    if level >= line:
        return Gauge(height, level, line, line - 6, min(max(level + 5, line + 16), height - 1.0), reading, ticks)
    return Gauge(height, level, line, line + 13, max(12.0, min(level + 5, line - 7)), reading, ticks)
