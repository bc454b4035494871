"""What was read of a later block than it was asked of is read again, and given up when that does not help."""

from __future__ import annotations

import pytest

from app.chain.faults import BlockGone
from app.domain.chain import BlockRef, Hash32
from app.indexer.block.doubts import MOST_TIMES, Doubts
from app.protocols.registry import adapter_for
from tests.protocols.test_conformance import case_of, state_of

NOWHERE = Hash32(bytes(32))


def block_at(timestamp: int) -> BlockRef:
    return BlockRef(31337, 1, NOWHERE, NOWHERE, timestamp)


def test_a_state_of_its_own_block_raises_no_doubt() -> None:
    adapter = adapter_for("aave-v3")
    state = state_of(adapter)
    assert Doubts().check(block_at(case_of(adapter).timestamp), {"pool": state}) == {}


def test_interest_from_after_the_block_is_read_again_and_then_set_aside() -> None:
    adapter = adapter_for("aave-v3")
    states, doubts = {"pool": state_of(adapter)}, Doubts()
    for _ in range(MOST_TIMES - 1):
        with pytest.raises(BlockGone, match="pool is of a later block"):
            doubts.check(block_at(1), states)
    assert "contradicts its block" in doubts.check(block_at(1), states)["pool"]


def test_one_consistent_reading_forgets_the_doubts_before_it() -> None:
    adapter = adapter_for("aave-v3")
    states, doubts = {"pool": state_of(adapter)}, Doubts()
    for _ in range(MOST_TIMES):
        with pytest.raises(BlockGone):
            doubts.check(block_at(1), states)
        assert doubts.check(block_at(case_of(adapter).timestamp), states) == {}
