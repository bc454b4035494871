from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.web.gauge import gauge, height_of


@given(st.floats(0, 1e12), st.floats(0, 1e12))
@settings(max_examples=100)
def test_more_utilisation_is_never_drawn_lower_and_nothing_leaves_the_gauge(a: float, b: float) -> None:
    assert 0 <= height_of(a) <= 1
    if a <= b:
        assert height_of(a) <= height_of(b)


def test_the_level_meets_the_line_exactly_at_one() -> None:
    drawn = gauge("1.000000000000000000")
    assert drawn.level_y == drawn.line_y


def test_past_the_line_is_above_it_and_still_tells_two_from_four() -> None:
    line = gauge("1").line_y
    twice, four = gauge("2").level_y, gauge("4").level_y
    assert twice is not None
    assert four is not None
    assert 0 < four < twice < line


def test_unknown_has_no_level_and_debt_without_capacity_fills_the_gauge() -> None:
    assert gauge(None, "unknown").level_y is None
    assert gauge(None, "unknown").reading == "unknown"
    assert gauge(None, "liquidatable").level_y == 0
    assert gauge(None, "liquidatable").reading == "no capacity"


@pytest.mark.parametrize("utilization", ["0", "0.5", "0.93", "0.999", "1", "1.001", "1.3", "40", "1e9"])
def test_the_reading_never_covers_the_lines_own_label(utilization: str) -> None:
    drawn = gauge(utilization)
    assert abs(drawn.reading_y - drawn.label_y) >= 12
    assert 0 < drawn.reading_y <= drawn.height
