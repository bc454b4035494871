"""A wallet's last two days in the height of a line of text: utilisation against the line at 1. Geometry only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.store.snapshots import PastHealth

WIDTH, HEIGHT = 120, 28
CEILING = 1.15
"""Utilisation past this is drawn at the top edge."""


@dataclass(frozen=True, slots=True)
class Sparkline:
    """Paths in a box of WIDTH x HEIGHT."""

    traces: tuple[str, ...]
    line_y: float
    end: tuple[float, float] | None
    """Where the newest value is; None when it is not known."""
    summary: str


def sparkline(past: Sequence[PastHealth]) -> Sparkline | None:
    """None with fewer than two known points. What is not known is a gap, never a line."""
    values = [(one.timestamp, None if not one.health or one.health <= 0 else 1 / one.health) for one in past]
    known = [value for _, value in values if value is not None]
    if len(known) < 2 or values[0][0] == values[-1][0]:
        return None
    low = max(0.0, min(0.9, min(known) - 0.05))
    start, span = values[0][0], values[-1][0] - values[0][0]

    def y(value: float) -> float:
        return round(HEIGHT * (1 - (min(value, CEILING) - low) / (CEILING - low)), 1)

    stretches: list[list[tuple[float, float]]] = [[]]
    for timestamp, value in values:
        if value is not None:
            stretches[-1].append((round((timestamp - start) / span * WIDTH, 1), y(value)))
        elif stretches[-1]:
            stretches.append([])
    drawn = [stretch for stretch in stretches if stretch]
    return Sparkline(
        traces=tuple("M" + "L".join(f"{px} {py}" for px, py in stretch) for stretch in drawn),
        line_y=y(1.0),
        end=drawn[-1][-1] if values[-1][1] is not None else None,
        summary=f"Utilisation in two days: lowest {min(known):.0%}, highest {max(known):.0%}, last {known[-1]:.0%}",
    )
