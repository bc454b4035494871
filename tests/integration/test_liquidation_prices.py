"""A liquidation price is right when the contract says so: the oracle is really moved there, and one unit back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.domain.chain import Address
from app.domain.units import WAD, parse_units
from app.store.postgres.engine import Database
from devnet.world import World
from tests.fixtures.devnet import WorldFactory
from tests.integration.following import following

pytestmark = [pytest.mark.devnet, pytest.mark.database, pytest.mark.timeout(900)]

ACCOUNTS = 30
"""In each of the two deployments."""


def in_debt(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [account for account in answer["accounts"] if account["status"] in ("healthy", "liquidatable")]


def health_at(world: World, deployment_id: str, wallet: Address, symbol: str, price: int) -> int:
    """The contract's health factor with the oracle moved to `price` and no time passed. The world is put back."""
    before = world.snapshot()
    world.set_price(symbol, price, timestamp=world.timestamp)
    data = world.account_data(deployment_id, [wallet])[0]
    word = world.liquidation_verdict(deployment_id, wallet).word
    world.revert(before)
    assert data is not None
    assert word == "refused" or (word == "liquidatable") == (data[5] < WAD), f"{wallet}: {word} at health {data[5]}"
    return data[5]


def exposures(account: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The account's collaterals and its debts."""
    positions = account["positions"]
    collaterals = [p for p in positions if p["is_collateral"] and float(p["supplied"])]
    return collaterals, [p for p in positions if float(p["borrowed"])]


async def test_the_contract_agrees_on_both_sides_of_every_liquidation_price(
    make_world: WorldFactory, database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world(seed=11, wallets=120)
    async with following(world, database, tmp_path) as followed:
        for _ in range(6):
            world.step()
        await followed.caught_up()
        answers = [(wallet, await followed.get(f"/v1/wallets/{wallet}")) for wallet in world.wallets]
    accounts = [(wallet, account) for wallet, answer in answers for account in in_debt(answer)]
    seen = Counter[str]()
    for wallet, account in accounts:
        if seen[account["deployment_id"]] == ACCOUNTS:
            continue
        collaterals, debts = exposures(account)
        seen[account["deployment_id"]] += 1
        seen["several collaterals"] += len(collaterals) > 1
        seen["several debts"] += len(debts) > 1
        for position in {p["market"]: p for p in (*collaterals, *debts)}.values():
            seen[check(world, account["deployment_id"], wallet, position)] += 1
    assert seen["aave-v3-0-devnet"] == seen["aave-v3-6-devnet"] == ACCOUNTS
    assert min(seen["several collaterals"], seen["several debts"], seen["fall"], seen["rise"]) >= 10
    with capsys.disabled():
        print(f"\nliquidation prices moved to, both sides as predicted: {dict(seen)}")


def check(world: World, deployment_id: str, wallet: Address, position: dict[str, Any]) -> str:
    """Move the oracle to what was predicted for one position and ask the contract; what kind of prediction it was."""
    where, symbol = f"{deployment_id} {wallet} {position}", position["symbol"]
    predicted = position["liquidation_price"]
    if predicted is None:
        # No price of this asset alone endangers the account: neither almost nothing nor a thousandfold.
        for price in (1, parse_units(position["price"], 8) * 1000):
            assert health_at(world, deployment_id, wallet, symbol, price) >= WAD, f"{where} at {price}"
        return "none"
    price, direction = parse_units(predicted["price"], 8), str(predicted["direction"])
    safe = price + 1 if direction == "fall" else price - 1
    assert health_at(world, deployment_id, wallet, symbol, price) < WAD, f"{where}: healthy at the price itself"
    assert health_at(world, deployment_id, wallet, symbol, safe) >= WAD, f"{where}: liquidatable one unit away"
    return direction
