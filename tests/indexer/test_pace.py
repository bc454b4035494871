"""Room for waiting accounts: more while reading is quick, never less than configured."""

from __future__ import annotations

from app.indexer.options import IndexerOptions
from app.indexer.pace import AccountPace

OPTIONS = IndexerOptions(due_per_block=100, due_most_per_block=2_000, due_seconds=0.5)


def test_a_block_that_used_its_room_quickly_makes_the_next_one_larger() -> None:
    pace = AccountPace(OPTIONS, block_seconds=1.0)
    pace.note_used_up()
    pace.note_block(0.25)
    assert pace.accounts == 200


def test_room_grows_eightfold_at_most_and_to_its_bound() -> None:
    pace = AccountPace(OPTIONS, block_seconds=1.0)
    grown = []
    for _ in range(3):
        pace.note_used_up()
        pace.note_block(0.0)
        grown.append(pace.accounts)
    assert grown == [800, 2_000, 2_000]


def test_slow_blocks_shrink_the_room_down_to_what_is_configured() -> None:
    pace = AccountPace(OPTIONS, block_seconds=1.0)
    pace.note_used_up()
    pace.note_block(0.1)
    assert pace.accounts == 500
    pace.note_used_up()
    pace.note_block(1.0)
    assert pace.accounts == 250
    pace.note_used_up()
    pace.note_block(60.0)
    assert pace.accounts == 100


def test_a_block_with_room_left_tells_nothing() -> None:
    pace = AccountPace(OPTIONS, block_seconds=1.0)
    pace.note_block(0.001)
    assert pace.accounts == 100


def test_without_a_larger_bound_the_room_is_what_is_configured() -> None:
    pace = AccountPace(IndexerOptions(due_per_block=3, due_most_per_block=0), block_seconds=1.0)
    pace.note_used_up()
    pace.note_block(0.0)
    assert pace.accounts == 3


def test_where_blocks_are_far_apart_a_block_may_take_a_share_of_the_time_between_them() -> None:
    pace = AccountPace(OPTIONS, block_seconds=12.0)
    pace.note_used_up()
    pace.note_block(0.5)
    assert pace.accounts == 600
    pace.note_used_up()
    pace.note_block(6.0)
    assert pace.accounts == 300
