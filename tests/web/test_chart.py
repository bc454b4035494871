from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from app.web.chart import HEIGHT, chart
from tests.web.builders import point


def test_the_line_at_one_is_always_inside_the_picture() -> None:
    for level in ("0.02", "0.5", "0.97", "1.3", "7"):
        drawn = chart([point(0, level), point(1, level)])
        assert drawn is not None
        assert 0 <= drawn.line_y < HEIGHT


def test_nothing_bridges_a_block_at_which_utilisation_was_unknown() -> None:
    drawn = chart([point(0, "0.5"), point(1, "0.5"), point(2, None), point(3, "0.6"), point(4, "0.6")])
    assert drawn is not None
    assert len(drawn.traces) == 2
    assert drawn.unknown == 1


def test_changes_by_the_account_itself_are_marked_where_they_happened() -> None:
    drawn = chart([point(0, "0.5"), point(5, "0.7", is_change=True), point(10, "0.7")])
    assert drawn is not None
    assert [mark.x for mark in drawn.marks] == [50.0]
    assert "23,456,005" in drawn.marks[0].label
    assert "70.0 %" in drawn.marks[0].label


def test_the_chart_says_in_words_what_it_shows() -> None:
    drawn = chart([point(0, "0.5"), point(1, "0.9", is_change=True), point(2, "0.7")])
    assert drawn is not None
    assert drawn.summary == (
        "Utilisation from block 23,456,000 to 23,456,002: lowest 50.0 %, highest 90.0 %, last 70.0 %; "
        "1 change by the account itself."
    )


def test_too_little_to_draw_gives_no_chart() -> None:
    assert chart([]) is None
    assert chart([point(0, "0.5")]) is None
    assert chart([point(0, None), point(1, None)]) is None


@given(st.lists(st.none() | st.floats(0, 50).map(lambda u: f"{u:.18f}"), min_size=2, max_size=40))
@settings(max_examples=60)
def test_every_past_is_drawn_inside_the_picture(levels: list[str | None]) -> None:
    drawn = chart([point(i, level) for i, level in enumerate(levels)])
    assert (drawn is None) == all(level is None for level in levels)
    if drawn:
        for trace in drawn.traces:
            for pair in trace.removeprefix("M").split("L"):
                x, y = (float(n) for n in pair.split())
                assert 0 <= x <= 1000
                assert 0 <= y <= HEIGHT
