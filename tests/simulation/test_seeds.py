"""A few seeds, those that failed once, and whether the simulation would notice an indexer that is wrong."""

from __future__ import annotations

import gc
import itertools
from collections.abc import AsyncIterator

import pytest

from app.errors import WaterlineError
from app.store.postgres.embedded import EmbeddedPostgres
from tests.simulation.__main__ import kept_seeds
from tests.simulation.bugs import BUGS
from tests.simulation.run import run_seed
from tests.simulation.store import Place, Server

pytestmark = [
    pytest.mark.database,
    # the driver's generators, dropped in the middle of a pipeline whose connection is gone, complain while they go
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SEEDS = sorted({*range(1, 6), *kept_seeds()})
_SEEDS_A_BUG = 5
_numbers = itertools.count(1)


@pytest.fixture
async def places(postgres: EmbeddedPostgres) -> AsyncIterator[tuple[Place, Place]]:
    """The two databases of a seed."""
    server, number = Server(postgres.url), next(_numbers)
    troubled, straight = (server.make_place(f"seed_{kind}_{number}") for kind in ("troubled", "straight"))
    yield troubled, straight
    await troubled.close()
    await straight.close()
    gc.collect()  # what complains as it goes is to go within this test


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_node_store_and_process_do_the_tables_are_those_of_a_clean_run(
    places: tuple[Place, Place], seed: int
) -> None:
    told = await run_seed(seed, *places)
    assert told.lives == 8
    assert told.steps > 100


@pytest.mark.parametrize("bug", BUGS)
async def test_a_defect_put_into_the_code_is_noticed_within_a_few_seeds(places: tuple[Place, Place], bug: str) -> None:
    for seed in range(1, 1 + _SEEDS_A_BUG):
        try:
            await run_seed(seed, *places, BUGS[bug])
        except (AssertionError, WaterlineError):  # the simulation noticed, or the code itself; no other failure counts
            return
    pytest.fail(f"{bug}: {_SEEDS_A_BUG} seeds did not notice")
