"""The history chart: utilisation over stored blocks, with the line at 1. Geometry only; templates draw it.

x is in percent of the plot's width by block timestamp, y in pixels of the plot's height: labels keep their size
on any screen while the trace stretches. Floats are fine: a pixel is the finest thing they decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

from app.api.schemas.wallets import HistoryPoint
from app.web import format as shown
from app.web.gauge import Tick

HEIGHT = 190
"""Pixels from the top of the plot to its floor."""
CEILING = 1.5
"""Utilisation past this is drawn at the top edge: the fact that the line was crossed is what matters there."""
WIDTH = 1000
"""Units of the stretched coordinate system the trace is drawn in."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A block in which the account's own state changed."""

    x: float
    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One account's chart."""

    traces: tuple[str, ...]
    """SVG path data of each unbroken stretch, in WIDTH x HEIGHT units."""
    areas: tuple[str, ...]
    line_y: float
    ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    unknown: int
    """Points at which utilisation is not known: gaps in the trace."""
    first: HistoryPoint
    last: HistoryPoint
    summary: str
    """The chart in words."""


def chart(points: Sequence[HistoryPoint]) -> Chart | None:
    """Lay out `points` (oldest first). None with fewer than two blocks or nothing known to draw."""
    known = [float(point.utilization) for point in points if point.utilization is not None]
    if len(points) < 2 or not known or points[0].block_timestamp == points[-1].block_timestamp:
        return None
    low, high = _range(min(known), max(known))
    start, span = points[0].block_timestamp, points[-1].block_timestamp - points[0].block_timestamp

    def x(point: HistoryPoint) -> float:
        return (point.block_timestamp - start) / span

    def y(value: float) -> float:
        return round(HEIGHT * (1 - (min(value, high) - low) / (high - low)), 1)

    stretches = _stretches(points)
    drawn = [[(round(x(p) * WIDTH, 1), y(float(p.utilization or 0))) for p in stretch] for stretch in stretches]
    marks = tuple(
        Mark(
            round(x(p) * 100, 2),
            y(float(p.utilization)),
            f"block {p.block_number:,}: {shown.percent_up(p.utilization)}",
        )
        for p in points
        if p.is_change and p.utilization is not None
    )
    return Chart(
        traces=tuple("M" + "L".join(f"{px} {py}" for px, py in stretch) for stretch in drawn),
        areas=tuple(
            f"M{stretch[0][0]} {HEIGHT}L"
            + "L".join(f"{px} {py}" for px, py in stretch)
            + f"L{stretch[-1][0]} {HEIGHT}Z"
            for stretch in drawn
        ),
        line_y=y(1.0),
        ticks=tuple(Tick(f"{value * 100:g} %", y(value)) for value in _ticks(low, high)),
        marks=marks,
        unknown=sum(point.utilization is None for point in points),
        first=points[0],
        last=points[-1],
        summary=_summary(points),
    )


def _range(low: float, high: float) -> tuple[float, float]:
    """The line is always in sight; a calm account's trace is not squeezed flat under it."""
    floor_at = 0.0 if low < 0.4 else floor((low - 0.3 * max(0.05, 1 - low)) * 20) / 20
    return max(0.0, min(floor_at, 0.9)), min(CEILING, max(1.02, high + 0.02))


def _ticks(low: float, high: float) -> list[float]:
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5) if (high - low) / s <= 6)
    first = -(-low // step)
    values = [round((first + i) * step, 4) for i in range(8)]
    return [value for value in values if low <= value <= high and abs(value - 1) > step / 4]


def _stretches(points: Sequence[HistoryPoint]) -> list[list[HistoryPoint]]:
    """The points between which a line may be drawn: nothing bridges a block at which the answer was unknown."""
    stretches: list[list[HistoryPoint]] = [[]]
    for point in points:
        if point.utilization is not None:
            stretches[-1].append(point)
        elif stretches[-1]:
            stretches.append([])
    return [stretch for stretch in stretches if stretch]


def _summary(points: Sequence[HistoryPoint]) -> str:
    known = [point.utilization for point in points if point.utilization is not None]
    low, high = min(known, key=float), max(known, key=float)
    changes = sum(point.is_change for point in points)
    return (
        f"Utilisation from block {points[0].block_number:,} to {points[-1].block_number:,}: "
        f"lowest {shown.percent_up(low)}, highest {shown.percent_up(high)}, "
        f"last {shown.percent_up(points[-1].utilization)}; "
        f"{changes} {'change' if changes == 1 else 'changes'} by the account itself."
    )
