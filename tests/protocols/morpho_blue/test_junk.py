"""Markets whose oracles burn, flood, fail and lie: nobody else's numbers suffer, and their own are never made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.store.postgres.engine import Database
from devnet.morpho_junk import BORROWER, MODES, JunkMarket, add_junk, misbehave
from tests.fixtures.devnet import WorldFactory
from tests.integration.following import Following, following
from tests.protocols.morpho_blue.devnet_states import life_of
from tests.protocols.morpho_blue.test_followed import compare_every_wallet

pytestmark = [pytest.mark.devnet, pytest.mark.database]

NODE_GAS = 100_000_000
"""What a node allows a call: real ones 50 million and up."""
KNOWN = {"honest": "healthy", "zero": "liquidatable"}
DEPENDS_ON_GAS = {"drains", "moody"}
"""Their answers are right for whoever asks with enough gas; so they are known, or said to be unknown."""


async def test_junk_markets_harm_nobody_and_say_that_they_are_unknown(
    make_world: WorldFactory, database: Database, tmp_path: Path
) -> None:
    world = make_world(wallets=16, seed=5, protocols=("morpho-blue",))
    junk = add_junk(world.chain, life_of(world).deployed, MODES * 2)
    world.chain.client.call("evm_setBlockGasLimit", hex(NODE_GAS))
    world.step()
    async with following(world, database, tmp_path) as followed:
        await compare_every_wallet(followed, world)
        await compare_junk(followed, junk, behaving=True)
        misbehave(world.chain, junk)
        world.mine()
        await followed.caught_up()
        for _ in range(3):
            world.step()
            await followed.caught_up()
        assert await compare_every_wallet(followed, world) > 8
        while world.block_number % 100:
            world.mine()
        await followed.caught_up()
        await compare_junk(followed, junk, behaving=False)
        assert await compare_every_wallet(followed, world) > 8


async def compare_junk(followed: Following, junk: list[JunkMarket], *, behaving: bool) -> None:
    answer = await followed.get(f"/v1/wallets/{BORROWER}")
    shown: dict[str, Any] = {account["unit"]: account for account in answer["accounts"]}
    for market in junk:
        account = shown[market.unit]
        expected = "healthy" if behaving else KNOWN.get(market.mode, "unknown")
        if not behaving and market.mode in DEPENDS_ON_GAS:
            assert account["status"] in ("healthy", "unknown"), market.mode
            continue
        assert account["status"] == expected, market.mode
        if expected == "unknown":
            assert account["debt_value"] is None
            assert "oracle" in str(account["reasons"])
            assert [reason["code"] for reason in account["reasons"]] == ["price_unavailable"]
    if not behaving:
        lying = next(market for market in junk if market.mode == "lies")
        assert "another price" in str(shown[lying.unit]["reasons"])
