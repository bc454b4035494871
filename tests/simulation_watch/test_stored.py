"""A few histories on a real Postgres; and memory answers as Postgres does."""

from __future__ import annotations

import gc
import itertools
from collections.abc import AsyncIterator

import pytest

from app.store.postgres.embedded import EmbeddedPostgres
from tests.simulation.store import Place, Server
from tests.simulation_watch.stored import MirroredHistory, StoredHistory, make_watched_place

pytestmark = [
    pytest.mark.database,
    # the driver's generators, dropped in the middle of a pipeline whose connection is gone, complain while they go
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
_numbers = itertools.count(1)


@pytest.fixture
async def place(postgres: EmbeddedPostgres) -> AsyncIterator[Place]:
    """A database of a seed's own."""
    made = make_watched_place(Server(postgres.url), f"watched_{next(_numbers)}")
    yield made
    await made.close()
    gc.collect()  # what complains as it goes is to go within this test


@pytest.mark.parametrize("seed", range(1, 5))
async def test_memory_answers_what_postgres_answers(place: Place, seed: int) -> None:
    told = await MirroredHistory(seed, place).run_stored()
    assert told.evaluations > 5
    assert told.events > 5


@pytest.mark.parametrize("seed", range(1, 6))
async def test_on_postgres_too_episodes_and_messages_are_the_model_s(place: Place, seed: int) -> None:
    told = await StoredHistory(seed, place).run_stored()
    assert told.events > 0
