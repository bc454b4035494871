"""Which old blocks are searched next, and how many are left."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.batch import ScanRange
from app.indexer.between.scan import Window, blocks_left, next_window


def test_nothing_planned_is_nothing_to_search() -> None:
    assert next_window([], 100) is None
    assert blocks_left([]) == 0


def test_scans_that_stand_at_the_same_block_go_together_up_to_the_first_end() -> None:
    one, two = ScanRange("one", 5, 50), ScanRange("two", 5, 20)
    assert next_window([one, two], 100) == Window((one, two), 5, 20)


def test_a_window_stops_where_the_next_scan_begins() -> None:
    one, two = ScanRange("one", 5, 50), ScanRange("two", 30, 50)
    assert next_window([one, two], 100) == Window((one,), 5, 29)


def test_a_window_is_no_longer_than_asked() -> None:
    one = ScanRange("one", 5, 50)
    assert next_window([one], 10) == Window((one,), 5, 14)


RANGES = st.lists(
    st.builds(
        lambda name, start, length: ScanRange(name, start, start + length),
        st.sampled_from(["one", "two", "three"]),
        st.integers(0, 60),
        st.integers(0, 60),
    ),
    max_size=6,
    unique_by=lambda scan: (scan.deployment_id, scan.to_block),
)


@settings(max_examples=100)
@given(RANGES, st.integers(1, 40))
def test_searching_window_after_window_covers_every_block_of_every_scan_and_asks_for_none_twice(
    planned: list[ScanRange], most: int
) -> None:
    wanted = {(scan, number) for scan in planned for number in range(scan.from_block, scan.to_block + 1)}
    origin = {(scan.deployment_id, scan.to_block): scan for scan in planned}
    pending, asked = list(planned), []
    covered = set()
    while (window := next_window(pending, most)) is not None:
        assert window.blocks <= most
        before = blocks_left(pending)
        numbers = range(window.from_block, window.to_block + 1)
        asked += numbers
        for scan in window.scans:
            covered |= {(origin[scan.deployment_id, scan.to_block], number) for number in numbers}
            pending.remove(scan)
            if window.to_block < scan.to_block:
                pending.append(ScanRange(scan.deployment_id, window.to_block + 1, scan.to_block))
        assert blocks_left(pending) == before - window.blocks
    assert covered == wanted
    assert len(asked) == len(set(asked))
