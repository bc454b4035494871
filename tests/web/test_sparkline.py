from __future__ import annotations

from app.store.snapshots import PastHealth
from app.web.sparkline import HEIGHT, WIDTH, sparkline


def test_utilisation_rises_as_health_falls_and_the_line_is_in_sight() -> None:
    drawn = sparkline([PastHealth(0, 2.0), PastHealth(50, 1.25), PastHealth(100, 0.8)])
    assert drawn is not None
    (trace,) = drawn.traces
    points = [tuple(map(float, pair.split())) for pair in trace[1:].split("L")]
    assert [x for x, _ in points] == [0, WIDTH / 2, WIDTH]
    assert points[0][1] > points[1][1] > drawn.line_y > points[2][1] >= 0
    assert drawn.summary == "Utilisation in two days: lowest 50%, highest 125%, last 125%"


def test_what_is_not_known_is_a_gap_and_nothing_leaves_the_box() -> None:
    drawn = sparkline(
        [PastHealth(0, 0.01), PastHealth(1, 1.5), PastHealth(2, None), PastHealth(3, 0.0), PastHealth(4, 5)]
    )
    assert drawn is not None
    assert len(drawn.traces) == 2
    heights = [float(pair.split()[1]) for trace in drawn.traces for pair in trace[1:].split("L")]
    assert all(0 <= y <= HEIGHT for y in heights)
    newest = sparkline([PastHealth(0, 1.5), PastHealth(1, 1.4), PastHealth(2, None)])
    assert newest is not None
    assert newest.end is None


def test_too_little_to_draw_is_not_drawn() -> None:
    assert sparkline([]) is None
    assert sparkline([PastHealth(0, 1.5)]) is None
    assert sparkline([PastHealth(0, 1.5), PastHealth(5, None)]) is None
    assert sparkline([PastHealth(5, 1.5), PastHealth(5, 1.4)]) is None
