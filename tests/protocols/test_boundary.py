from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.protocols.boundary import least, least_unbounded

numbers = st.integers(-1000, 1000)


@given(turn=numbers, low=numbers, size=st.integers(0, 500))
def test_the_first_number_that_holds_is_found(turn: int, low: int, size: int) -> None:
    expected = next((x for x in range(low, low + size + 1) if x >= turn), None)
    assert least(lambda x: x >= turn, low, low + size) == expected
    assert least_unbounded(lambda x: x >= turn, low, low + size) == expected


def test_an_empty_range_holds_nothing() -> None:
    assert least(lambda _: True, 2, 1) is None


@given(pattern=st.lists(st.booleans(), min_size=1, max_size=60))
def test_where_it_is_not_monotone_the_answer_is_still_an_exact_boundary(pattern: list[bool]) -> None:
    found = least(pattern.__getitem__, 0, len(pattern) - 1)
    assert (found is None) == (not pattern[-1])
    if found is not None:
        assert pattern[found]
        assert found == 0 or not pattern[found - 1]
