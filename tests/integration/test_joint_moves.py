"""A joint move is right when the contract says so: all its oracles are really moved there, and a millionth back."""

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

WALLETS = 20
MILLIONTH = 10**12


def health_after(world: World, account: dict[str, Any], wallet: Address, move: dict[str, Any], multiplier: int) -> int:
    """The contract's health factor with every price of the move really moved and no time passed. Put back after."""
    prices = {p["market"]: (p["symbol"], parse_units(p["price"], 8)) for p in account["positions"]}
    before = world.snapshot()
    for market in move["markets"]:
        symbol, price = prices[market]
        world.set_price(symbol, max(1, price * multiplier // WAD), timestamp=world.timestamp)
    data = world.account_data(account["deployment_id"], [wallet])[0]
    word = world.liquidation_verdict(account["deployment_id"], wallet).word
    world.revert(before)
    assert data is not None
    assert word == "refused" or (word == "liquidatable") == (data[5] < WAD), f"{wallet}: {word} at health {data[5]}"
    return data[5]


async def test_the_contract_turns_where_the_joint_move_says(
    make_world: WorldFactory, database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world(seed=23, wallets=120)
    async with following(world, database, tmp_path) as followed:
        for _ in range(4):
            world.step()
        await followed.caught_up()
        answers = [(wallet, await followed.get(f"/v1/wallets/{wallet}", include="moves")) for wallet in world.wallets]
        stress: dict[str, Any] = (
            await followed.api.post(
                "/v1/simulate",
                json={"address": str(world.wallets[0]), "moves": [{"group": "volatile", "change": "-0.3"}]},
            )
        ).json()
    assert stress["accounts"], "the first wallet has an account to be imagined"
    seen, wallets = Counter[str](), 0
    for wallet, answer in answers:
        accounts = [one for one in answer["accounts"] if one["moves"]]
        if wallets == WALLETS or not accounts:
            continue
        wallets += 1
        for account in accounts:
            for move in account["moves"]:
                if move["kind"] != "asset":
                    seen[check(world, account, wallet, move)] += 1
                    seen["of several assets"] += len(move["markets"]) > 1
    assert wallets == WALLETS
    assert min(seen["fall"], seen["rise"], seen["none"], seen["of several assets"]) >= 3, seen
    with capsys.disabled():
        print(f"\njoint moves carried out on {wallets} wallets, both sides as predicted: {dict(seen)}")


def check(world: World, account: dict[str, Any], wallet: Address, move: dict[str, Any]) -> str:
    """Carry one move out and ask the contract; what kind of prediction it was."""
    where = f"{account['deployment_id']} {wallet} {move}"
    was_below = account["status"] == "liquidatable"
    if not move["turns"]:
        # neither almost nothing nor tenfold turns it
        for multiplier in (MILLIONTH, 10 * WAD):
            assert (health_after(world, account, wallet, move, multiplier) < WAD) == was_below, f"{where}: {multiplier}"
        return "none"
    distance = parse_units(move["turns"][0]["distance"], 18)
    back = MILLIONTH if distance < 0 else -MILLIONTH
    at, nearer = (health_after(world, account, wallet, move, WAD + distance + d) < WAD for d in (0, back))
    assert at != was_below, f"{where}: not turned at the move itself"
    assert nearer == was_below, f"{where}: turned a millionth nearer already"
    return "fall" if distance < 0 else "rise"
