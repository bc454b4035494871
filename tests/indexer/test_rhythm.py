"""When what recurs is due."""

from __future__ import annotations

import pytest

from app.indexer.rhythm import passed_retry


def tries(since: int, upto: int, step: int) -> list[int]:
    """Blocks, each read as it comes, at which something that fails since `since` is tried again."""
    return [now for now in range(since + 1, upto + 1) if passed_retry(since, now - 1, now, step)]


def test_what_fails_is_tried_again_ever_more_rarely_but_no_more_rarely_than_the_rhythm() -> None:
    assert tries(1000, 1300, 100) == [1001, 1003, 1007, 1015, 1031, 1063, 1100, 1127, 1200, 1255, 1300]


@pytest.mark.parametrize("gap", [1, 2, 5, 50])
def test_a_gap_hides_no_try(gap: int) -> None:
    """What would have been tried inside a gap is tried at its end."""
    for start in range(1000, 1200):
        inside = any(passed_retry(1000, now - 1, now, 100) for now in range(start + 1, start + gap + 1))
        assert passed_retry(1000, start, start + gap, 100) is inside
