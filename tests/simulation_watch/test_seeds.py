"""A few hundred seeds, and whether the simulation would notice an evaluation that is wrong."""

from __future__ import annotations

import pytest

from tests.simulation_watch.bugs import BUGS, catch
from tests.simulation_watch.run import History, Told


@pytest.mark.parametrize("first", range(1, 301, 50))
def test_whatever_chain_people_and_processes_do_episodes_and_messages_are_the_model_s(first: int) -> None:
    told = [History(seed).run() for seed in range(first, first + 50)]
    for name in Told.__dataclass_fields__:
        assert sum(getattr(one, name) for one in told) > 0, f"no {name}: nothing of it was tried"


@pytest.mark.parametrize("bug", BUGS)
def test_a_defect_put_into_the_code_is_noticed_within_a_few_seeds(bug: str) -> None:
    assert catch(bug, range(1, 61)) is not None
