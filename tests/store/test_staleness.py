"""What is no ground for "now": whatever is done to the clock, what lasts is found out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from app.domain.chain import BlockRef, Hash32
from app.domain.specs import chain_spec
from app.store.blocks import StoredBlock
from app.store.chains import ChainStatus
from app.store.sightings import Sightings
from app.store.staleness import INDEXER_SILENT_SECONDS, age_seconds, stale_reason

CHAIN = 1
START = 1_700_000_000
LIMIT = chain_spec(CHAIN).stale_after_seconds
HOUR = 3_600


def at(number: int, timestamp: int) -> StoredBlock:
    return StoredBlock(number, BlockRef(CHAIN, number, Hash32(bytes(32)), Hash32(bytes(32)), timestamp))


@dataclass
class Life:
    """A chain in real time, and a machine that looks at it with a clock that may be wrong."""

    true_now: int = START
    clock_error: int = 0
    number: int = 100
    status: ChainStatus = field(default_factory=lambda: ChainStatus(CHAIN, 100, None, START, None, None, START))
    head: StoredBlock = field(default_factory=lambda: at(100, START))
    sightings: Sightings = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Another process looks."""
        self.sightings = Sightings(lambda: float(self.true_now))

    def pass_by(self, seconds: int, *, indexer: bool = True, blocks: bool = True, looking: bool = True) -> list[bool]:
        """Real time, looked at every twelve seconds; whether it was called stale at each look."""
        found = []
        for _ in range(seconds // 12):
            self.true_now += 12
            if indexer:
                self.status = replace(self.status, observed_at=self.true_now)
            if indexer and blocks:
                self.number += 1
                self.head = at(self.number, self.true_now)
            if looking:
                found.append(self.reason() is not None)
        return found

    def reason(self) -> str | None:
        seen = self.sightings.look(CHAIN, self.status, self.head)
        return stale_reason(CHAIN, self.status, self.head, self.true_now + self.clock_error, seen)


@pytest.mark.parametrize("error", [0, -60, -HOUR, -400 * 86_400])
def test_a_dead_indexer_is_found_out_whatever_the_clock_is_set_back_to(error: int) -> None:
    life = Life()
    assert not any(life.pass_by(240))
    life.clock_error = error
    assert not any(life.pass_by(240)), "a clock set back alone makes nothing stale: signs of life keep coming"
    found = life.pass_by(600, indexer=False)
    first = found.index(True)
    assert 12 * first <= max(LIMIT, INDEXER_SILENT_SECONDS) + 24
    assert all(found[first:])


@pytest.mark.parametrize("error", [0, -HOUR])
def test_a_chain_that_stands_still_under_a_living_indexer_is_found_out(error: int) -> None:
    life = Life(clock_error=error)
    life.pass_by(240)
    found = life.pass_by(600, blocks=False)
    assert 12 * found.index(True) <= LIMIT + 24
    assert not any(life.pass_by(120)), "and it is over with the next block"


def test_the_clock_may_be_set_back_and_forth_and_death_is_never_taken_back() -> None:
    life = Life()
    life.pass_by(240)
    life.pass_by(300, indexer=False)
    for error in (0, -HOUR, HOUR, -10 * HOUR, 0, -LIMIT, -300):
        life.clock_error = error
        assert all(life.pass_by(120, indexer=False)), error
    life.clock_error = 0
    assert not any(life.pass_by(120)), "alive again"


def test_a_clock_set_forward_calls_everything_stale_until_it_is_right_again() -> None:
    life = Life()
    life.pass_by(240)
    life.clock_error = HOUR
    assert all(life.pass_by(120))
    life.clock_error = 0
    assert not any(life.pass_by(120))


def test_a_process_that_begins_with_a_clock_far_behind_says_so_until_it_sees_a_sign_of_life() -> None:
    life = Life()
    life.pass_by(240, looking=False)
    life.clock_error = -HOUR
    life.restart()
    assert "the clock here is 3600 seconds behind" in str(life.reason())
    assert all(life.pass_by(120, indexer=False))
    assert not any(life.pass_by(120))


def test_what_cannot_be_known_lasts_no_longer_than_the_limit() -> None:
    """A process begun after the death, with a clock set back by just as long as that is ago."""
    life = Life()
    life.pass_by(240, looking=False)
    life.pass_by(HOUR, indexer=False, looking=False)
    life.clock_error = -HOUR
    life.restart()
    found = life.pass_by(600, indexer=False)
    assert not found[0]
    assert 12 * found.index(True) <= max(LIMIT, INDEXER_SILENT_SECONDS) + 24


def test_an_older_block_is_at_least_as_old_as_the_newest_one_is_known_to_be() -> None:
    life = Life()
    life.reason()
    life.pass_by(120, indexer=False, looking=False)
    seen = life.sightings.look(CHAIN, life.status, at(90, START - 100))
    assert age_seconds(at(90, START - 100), START - HOUR, seen) == 120
    assert age_seconds(at(90, START - 100), START + 120, seen) == 220


def test_a_chain_nobody_saw_before_is_judged_by_the_clocks_alone() -> None:
    life = Life()
    assert life.reason() is None
    assert stale_reason(CHAIN, life.status, life.head, START + 2 * INDEXER_SILENT_SECONDS + LIMIT) is not None
    assert stale_reason(CHAIN, life.status, None, START) is not None
    assert stale_reason(CHAIN, None, life.head, START) is not None
