"""The waterline: utilisation drawn as a level against a line at 1. Geometry only; templates draw it.

The scale is linear from 0 to the line, which sits at `LINE` of the height, and bends past it: 1 + x is drawn at
LINE + (1 - LINE) * (1 - 1/(1 + x)), so that any number, however large, stays inside and still reads higher.
Floats are fine here: a pixel is the finest thing they decide.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    ticks: tuple[Tick, ...]


def gauge(utilization: str | None, height: int = 160) -> Gauge:
    """Place `utilization` (decimal string; None: unknown) on a scale `height` units tall."""

    def y(value: float) -> float:
        return round(height * (1 - height_of(value)), 1)

    level = None if utilization is None else y(float(utilization))
    return Gauge(height, level, y(1.0), tuple(Tick(f"{t:g}", y(t)) for t in TICKS))
