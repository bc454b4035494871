"""Which of several endpoints' heads is followed: the highest that is consistent, and never back in time."""

from __future__ import annotations

from app.chain.merge import HeadMerge
from app.chain.wire import Header
from app.domain.chain import BlockRef, Hash32


def header(number: int, fork: int = 0) -> Header:
    name, parent = (bytes([fork]) + n.to_bytes(31, "big") for n in (number, max(0, number - 1)))
    return Header(BlockRef(31337, number, Hash32(name), Hash32(parent), number), b"")


def merge_of(endpoints: int = 2, floor: int = -1) -> HeadMerge:
    return HeadMerge(endpoints, floor, settle_seconds=2.0, patience_seconds=60.0)


def follow(merge: HeadMerge, now: float = 0.0) -> Header | None:
    due = merge.due(now)
    if due is None:
        return None
    merge.follow(due[1])
    return due[1]


def test_the_highest_head_is_followed_whoever_shows_it() -> None:
    merge = merge_of()
    merge.show(1, header(7))
    assert follow(merge) == header(7)
    merge.show(2, header(8))
    assert follow(merge) == header(8)
    merge.show(1, header(8))
    assert follow(merge) is None, "it is followed already"
    assert merge.lagging(1) == 0


def test_a_lagging_endpoint_that_is_left_alone_does_not_take_the_chain_back() -> None:
    merge = merge_of()
    merge.show(1, header(100))
    merge.show(2, header(90, fork=1))
    assert follow(merge) == header(100)
    merge.withdraw(1)
    assert follow(merge, 10.0) is None
    assert merge.lagging(2) == 10
    merge.show(2, header(101))
    assert follow(merge, 11.0) == header(101)
    assert merge.lagging(2) == 0


def test_what_was_indexed_before_a_restart_is_a_floor() -> None:
    merge = merge_of(floor=50)
    merge.show(1, header(49, fork=1))
    assert follow(merge) is None
    assert merge.lagging(1) == 1
    merge.show(2, header(50))
    assert follow(merge) == header(50)


def test_at_one_height_the_head_that_is_followed_is_kept_while_anybody_shows_it() -> None:
    merge = merge_of()
    merge.show(1, header(5))
    merge.show(2, header(5))
    assert follow(merge) == header(5)
    merge.show(2, header(5, fork=1))
    assert follow(merge) is None, "one of two has another block: not yet a reorg"
    merge.show(1, header(5, fork=1))
    assert follow(merge) == header(5, fork=1)


def test_a_lower_head_is_followed_once_all_who_were_higher_came_down_and_stay_there() -> None:
    merge = merge_of()
    for endpoint in (1, 2):
        merge.show(endpoint, header(20))
    assert follow(merge) == header(20)
    merge.show(1, header(15, fork=1))
    assert follow(merge, 1.0) is None
    merge.show(2, header(15, fork=1))
    assert follow(merge, 2.0) is None, "it may be another node behind the same address"
    assert follow(merge, 4.1) == header(15, fork=1)


def test_when_nobody_reaches_the_floor_for_long_the_lower_head_is_followed_all_the_same() -> None:
    merge = merge_of(floor=500)
    merge.show(1, header(30))
    merge.show(2, header(30))
    assert follow(merge, 0.0) is None
    assert follow(merge, 59.0) is None
    assert follow(merge, 61.0) == header(30)


def test_a_single_endpoint_is_followed_wherever_it_goes() -> None:
    merge = merge_of(1, floor=500)
    for head in (header(7), header(6, fork=1), header(6, fork=2)):
        merge.show(1, head)
        assert follow(merge) == head
    assert merge.lagging(1) == 0
