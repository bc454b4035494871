from __future__ import annotations

import pytest

from app.domain.chain import Hash32
from tests.fixtures.devnet import WorldFactory

pytestmark = pytest.mark.devnet


def after_some_life(make_world: WorldFactory, **arguments: object) -> Hash32:
    world = make_world(wallets=18, seed=6, **arguments)
    try:
        return world.run(5)[-1].hash
    finally:
        world.stop()


def test_the_same_seed_gives_the_same_chain_with_venus_too(make_world: WorldFactory) -> None:
    hashes = {after_some_life(make_world, protocols=("venus",)) for _ in range(2)}
    assert len(hashes) == 1


def test_a_world_with_venus_can_be_taken_back_and_lives_the_same_again(make_world: WorldFactory) -> None:
    world = make_world(wallets=18, seed=7, protocols=("venus",))
    assert [row["protocol"] for row in world.deployments()] == ["aave-v3", "aave-v3", "compound-v2"]
    snapshot = world.snapshot()
    first = world.run(4)[-1].hash
    world.revert(snapshot)
    assert world.run(4)[-1].hash == first
