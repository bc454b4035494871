"""A liquidation curve as a chart: debt that would be liquidatable by the move of prices. Geometry only; templates draw.

x is in WIDTH units from the lowest to the highest move, y in pixels of the plot's height. Floats are fine: a pixel is
the finest thing they decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10

from app.api.schemas.risk import CurveView
from app.web import format as shown
from app.web.gauge import Tick

HEIGHT = 160
WIDTH = 1000

_UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True)
class Place:
    """A label under the plot, in percent of its width."""

    x: float
    label: str
    anchor: str


@dataclass(frozen=True, slots=True)
class CurveChart:
    """One curve, y downwards."""

    trace: str
    """SVG path data in WIDTH x HEIGHT units."""
    area: str
    now_x: float
    """Where nothing has moved, in percent of the width."""
    ticks: tuple[Tick, ...]
    places: tuple[Place, ...]
    summary: str
    """The chart in words."""


def curve_chart(view: CurveView) -> CurveChart | None:
    """Lay out the debt of all lending accounts. None where nothing falls anywhere."""
    moves = [float(move) for move in view.moves]
    debts = [float(debt) for debt in view.lending.debt_usd]
    highest = max(debts, default=0.0)
    if not highest or len(moves) < 2:
        return None
    low, span = moves[0], moves[-1] - moves[0]

    def x(move: float) -> float:
        return (move - low) / span

    def y(value: float) -> float:
        return round(HEIGHT * (1 - value / (highest * 1.05)), 1)

    drawn = [(round(x(move) * WIDTH, 1), y(debt)) for move, debt in zip(moves, debts, strict=True)]
    line = "L".join(f"{px} {py}" for px, py in drawn)
    return CurveChart(
        trace="M" + line,
        area=f"M0 {HEIGHT}L{line}L{WIDTH} {HEIGHT}Z",
        now_x=round(x(min(max(0.0, low), moves[-1])) * 100, 2),
        ticks=tuple(Tick(f"{_compact(value)} USD", y(value)) for value in _ticks(highest)),
        places=tuple(_place(view.moves[at], x(moves[at])) for at in _marked(len(moves))),
        summary=(
            f"Debt of accounts that would be liquidatable: {shown.money(view.lending.debt_usd[0])} USD at "
            f"{shown.distance(view.moves[0])}, {shown.money(view.lending.debt_usd[-1])} USD at "
            f"{shown.distance(view.moves[-1])}."
        ),
    )


def _marked(count: int) -> list[int]:
    return [round(part * (count - 1) / 4) for part in range(5)]


def _place(move: str, x: float) -> Place:
    anchor = "start" if x == 0 else "end" if x == 1 else "middle"
    return Place(round(x * 100, 2), "now" if not float(move) else shown.distance(move), anchor)


def _ticks(highest: float) -> list[float]:
    size = 10.0 ** floor(log10(highest))
    step = next(step for step in (size / 5, size / 2, size, size * 2, size * 5) if highest / step <= 5)
    return [step * number for number in range(1, int(highest / step) + 1)]


def _compact(value: float) -> str:
    for size, letter in _UNITS:
        if value >= size:
            return f"{value / size:g} {letter}"
    return f"{value:g}"
