"""One wallet on two chains at once, in lending and perps: one page, the worst account first, a gauge for each."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from app.domain.chain import Address
from app.domain.risk import RiskStatus
from app.domain.units import parse_units
from app.store.postgres.engine import Database
from app.valuation.assess import RISK_ORDER, risk_order
from devnet.world import NEIGHBOURS, World
from tests.fixtures.devnet import WorldFactory
from tests.integration.following import following_all

pytestmark = [pytest.mark.devnet, pytest.mark.database, pytest.mark.timeout(600)]

HERE, THERE = 31337, 31338


@pytest.fixture(scope="module")
def worlds(make_world: WorldFactory) -> tuple[World, World]:
    """The same wallets on two chains: all protocols on the one, the two Aaves alone on the other."""
    here = make_world(seed=11, wallets=30, protocols=tuple(NEIGHBOURS))
    there = make_world(seed=11, wallets=30, chain_id=THERE, network="second")
    assert here.wallets == there.wallets
    return here, there


def everywhere(worlds: tuple[World, World]) -> Address:
    """A wallet that is exposed in every protocol of the first chain, and owes on the second."""
    wallets = set(worlds[0].wallets)
    for neighbour in worlds[0].neighbours.values():
        wallets &= neighbour.exposed()
    for world in worlds:
        wallets &= {
            view.wallet
            for name in world.aave_ids
            for view in world.accounts(name, world.wallets)
            if view is not None and view.has_debt
        }
    assert wallets, "no wallet is exposed everywhere"
    return min(wallets)


async def test_one_page_shows_a_wallet_on_two_chains_worst_account_first(
    worlds: tuple[World, World], database: Database, tmp_path: Path
) -> None:
    async with following_all(worlds, database, tmp_path) as followed:
        wallet = everywhere(worlds)
        for world, one in zip(worlds, followed, strict=True):
            await asyncio.to_thread(world.step)
            await one.caught_up()
        answer = await followed[0].get(f"/v1/wallets/{wallet}")
        page = (await followed[0].api.get(f"/wallet/{wallet}", follow_redirects=True)).text
    accounts: list[dict[str, Any]] = answer["accounts"]
    assert {account["chain_id"] for account in accounts} == {HERE, THERE}
    assert {chain["chain_id"] for chain in answer["chains"]} == {HERE, THERE}
    protocols = {account["protocol"] for account in accounts if account["status"] != "no_debt"}
    assert len(protocols) == len(NEIGHBOURS) + 1
    statuses = [RISK_ORDER[RiskStatus(account["status"])] for account in accounts]
    assert statuses == sorted(statuses)
    lending = [_rank(account) for account in accounts if account["kind"] == "lending"]
    assert lending == sorted(lending)
    exposed = [account for account in accounts if account["utilization"] not in (None, "0.000000000000000000")]
    assert len(exposed) > len(protocols)
    cards = re.findall(r'<article class="account.*?</article>', page, re.DOTALL)
    chains = [re.findall(r'data-chain="(\d+)"', card)[0] for card in cards]
    assert chains == [str(account["chain_id"]) for account in accounts]
    assert all(account["name"] in card for account, card in zip(accounts, cards, strict=True))
    gauges = ["gauge" in card for card in cards]
    assert gauges == [True] * len(accounts)


def _rank(account: dict[str, Any]) -> tuple[int, int]:
    health = account["health_factor"]
    return risk_order(RiskStatus(account["status"]), None if health is None else parse_units(health, 18))


async def test_what_happens_on_one_chain_leaves_the_other_alone(
    worlds: tuple[World, World], database: Database, tmp_path: Path
) -> None:
    """Equal wallets, equal protocols, equal contract addresses: only the chain tells them apart."""
    here, there = worlds
    async with following_all(worlds, database, tmp_path) as (first, second):
        wallet = everywhere(worlds)
        before = await second.get(f"/v1/wallets/{wallet}", chain_id=THERE)
        await asyncio.to_thread(here.set_price, "WETH", here.prices()["WETH"] // 2)
        await first.caught_up()
        await asyncio.to_thread(here.reorg, 1)
        await asyncio.to_thread(here.mine)
        await first.caught_up()
        after = await second.get(f"/v1/wallets/{wallet}", chain_id=THERE)
    for answer in (before, after):
        for account in answer["accounts"]:
            account.pop("as_of")
    assert before["accounts"] == after["accounts"]
    assert {account["chain_id"] for account in after["accounts"]} == {THERE}
    assert there.block_number == second.world.block_number
