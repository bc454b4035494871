"""Who is predicted to be liquidatable after a shock is who is, once the oracles really moved.

Lending only: a perp's mark price follows no feed at once, so those accounts are left out of the comparison."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.domain.chain import Address
from app.domain.units import WAD, format_units
from app.store.postgres.engine import Database
from app.valuation.groups import BTC, DEFAULT_GROUPS, ETH, STABLE, VOLATILE
from app.valuation.shocks import Shock
from devnet.world import NEIGHBOURS, World
from tests.fixtures.devnet import WorldFactory
from tests.integration.contracts import AccountName, words_of
from tests.integration.following import Following, following

pytestmark = [pytest.mark.devnet, pytest.mark.database, pytest.mark.timeout(1800)]

SHOCKS = 20
WALLETS = 60
PERPS = "perp-curie"


def random_shocks(count: int) -> list[Shock]:
    """By turns of a group and of one asset; stable assets move by less."""
    rng, found = random.Random(5), []
    groups, assets = (ETH, BTC, VOLATILE, STABLE), ("WETH", "wstETH", "WBTC", "LINK", "USDC", "DAI")
    for number in range(count):
        name = groups[number // 2 % len(groups)] if number % 2 == 0 else assets[number // 2 % len(assets)]
        is_stable = name == STABLE or DEFAULT_GROUPS.group_of(name) == STABLE
        change = rng.uniform(-0.15, 0.15) if is_stable else rng.uniform(-0.45, 0.45)
        multiplier = WAD + round(change * 10**4) * WAD // 10**4
        found.append(Shock({name: multiplier}) if name in groups else Shock({}, {name.upper(): multiplier}))
    return found


async def predicted(followed: Following, shock: Shock, now: set[AccountName]) -> set[AccountName]:
    """The API's word on everybody after the shock."""
    moves = [{"group": name, "change": format_units(m - WAD, 18)} for name, m in shock.by_group.items()]
    moves += [{"asset": name, "change": format_units(m - WAD, 18)} for name, m in shock.by_symbol.items()]
    answer = await followed.api.post("/v1/risk/simulate", json={"moves": moves, "limit": 10_000})
    assert answer.status_code == 200, answer.text
    view = answer.json()
    assert view["undecided_accounts"] == 0
    assert view["as_of"]["block_number"] == followed.world.block_number
    found = (now | names(view["fallen"])) - names(view["recovered"])
    assert len(found) == view["liquidatable_after"]
    return found


def names(lines: list[dict[str, Any]]) -> set[AccountName]:
    return {(line["deployment_id"], Address.from_hex(line["wallet"]), line["unit"]) for line in lines}


def moved_to(world: World, shock: Shock, lending: Mapping[str, str]) -> set[AccountName]:
    """Who the contracts say is liquidatable with the feeds moved and no time passed. The world is put back."""
    before = world.snapshot()
    for symbol, price in world.prices().items():
        multiplier = shock.multiplier_wad(symbol, DEFAULT_GROUPS)
        if multiplier != WAD:
            world.set_price(symbol, price * multiplier // WAD, timestamp=world.timestamp)
    said = {name for name, word in words_of(world, world.wallets).items() if word.liquidatable and name[0] in lending}
    world.revert(before)
    return said


async def test_after_random_shocks_who_is_liquidatable_is_who_was_predicted(
    make_world: WorldFactory, database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world(seed=19, wallets=WALLETS, protocols=tuple(NEIGHBOURS))
    lending = {str(row["id"]): str(row["protocol"]) for row in world.deployments() if row["protocol"] != PERPS}
    shocks = random_shocks(SHOCKS)
    async with following(world, database, tmp_path) as followed:
        for _ in range(4):  # the book is loaded first and moved by blocks then
            await followed.get("/v1/risk/summary")
            world.step()
            await followed.caught_up()
        world.set_price("WETH", world.prices()["WETH"] * 85 // 100)  # so that some are liquidatable, and may recover
        await followed.caught_up()
        page = await followed.get("/v1/accounts", status="liquidatable", limit=200)
        assert page["next_cursor"] is None
        now = names(page["items"])
        summary = await followed.get("/v1/risk/summary")
        predictions = [await predicted(followed, shock, now) for shock in shocks]
    happened: Counter[str] = Counter()
    for shock, expected in zip(shocks, predictions, strict=True):
        expected = {name for name in expected if name[0] in lending}
        actual = moved_to(world, shock, lending)
        assert actual == expected, f"{shock}: {actual ^ expected}"
        happened.update(f"{lending[name[0]]} fell" for name in actual - now)
        happened.update("recovered" for name in now - actual if name[0] in lending)
    assert all(happened[f"{protocol} fell"] > 0 for protocol in set(lending.values())), happened
    assert happened["recovered"] > 0
    with capsys.disabled():
        counted = {kind: summary[kind]["accounts"] for kind in ("lending", "perps")}
        print(f"\n{SHOCKS} shocks predicted and carried out, 0 accounts differ: {dict(happened)}; of {counted}")
