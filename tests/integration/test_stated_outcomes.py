"""What is said when the chain does not give an answer: each case has one stated outcome, and none reads as healthy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.units import parse_units
from app.store.postgres.engine import Database
from devnet.world import World
from tests.fixtures.devnet import WorldFactory
from tests.integration.following import Following, following
from tests.integration.test_truth import compare_account, six_numbers

pytestmark = [pytest.mark.devnet, pytest.mark.database]

REVERT_ALWAYS = "0x60006000fd"
"""Runtime code: PUSH1 0, PUSH1 0, REVERT."""


@pytest.fixture(scope="module")
def outcome_world(make_world: WorldFactory) -> World:
    return make_world(seed=5, wallets=60)


@pytest.fixture
async def followed(outcome_world: World, database: Database, tmp_path: Path) -> AsyncIterator[Following]:
    before = outcome_world.snapshot()
    async with following(outcome_world, database, tmp_path) as followed:
        yield followed
    outcome_world.revert(before)


async def accounts_by_key(followed: Following) -> dict[tuple[str, str], dict[str, Any]]:
    """Every account the API knows, by deployment and lower-case wallet."""
    found = {}
    for wallet in followed.world.wallets:
        answer = await followed.get(f"/v1/wallets/{wallet}")
        assert answer["as_of"]["block_number"] == followed.world.block_number
        found |= {(account["deployment_id"], str(wallet)): account for account in answer["accounts"]}
    return found


def codes(account: dict[str, Any]) -> set[str]:
    return {reason["code"] for reason in account["reasons"]}


def uses(account: dict[str, Any], symbol: str) -> bool:
    """Whether the contract has to price `symbol` to value the account."""
    return any(p["symbol"] == symbol and (p["is_collateral"] or float(p["borrowed"])) for p in account["positions"])


async def hold_against_contract(followed: Following) -> dict[tuple[str, str], dict[str, Any]]:
    """Every account equals the contract's answer, unknown exactly where the contract has none."""
    world, accounts = followed.world, await accounts_by_key(followed)
    for row in world.deployments():
        truths = world.account_data(str(row["id"]), world.wallets)
        for wallet, truth in zip(world.wallets, truths, strict=True):
            account = accounts.get((str(row["id"]), str(wallet)))
            compare_account(account, truth, wallet, str(row["id"]), world.block_number)
    return accounts


async def test_a_feed_that_reverts_makes_its_users_unknown_and_nobody_else(followed: Following) -> None:
    before = await hold_against_contract(followed)
    users = {key for key, account in before.items() if uses(account, "WETH")}
    followed.world.break_feed("WETH")
    await followed.caught_up()
    after = await hold_against_contract(followed)
    assert users
    assert set(before) - users
    for key, account in after.items():
        assert (account["status"] == "unknown") == (key in users)
        if key in users:
            assert account["health_factor"] is None
            assert account["collateral_value"] is None
            assert "price_unavailable" in codes(account)
    followed.world.break_feed("WETH", reverting=False)
    await followed.caught_up()
    recovered = await hold_against_contract(followed)
    assert all(account["status"] != "unknown" for account in recovered.values())


async def test_a_price_of_zero_is_no_price(followed: Following) -> None:
    before = await accounts_by_key(followed)
    users = {key for key, account in before.items() if uses(account, "WBTC")}
    followed.world.set_price("WBTC", 0)
    await followed.caught_up()
    after = await hold_against_contract(followed)
    assert users
    assert {key for key, account in after.items() if account["status"] == "unknown"} == users


async def test_no_debt_is_null_and_one_unit_of_debt_is_a_finite_number(followed: Following) -> None:
    accounts = await hold_against_contract(followed)
    statuses = {account["status"]: account for account in accounts.values()}
    assert statuses["no_debt"]["health_factor"] is None
    assert float(statuses["no_debt"]["debt_value"]) == 0
    dust = [
        account
        for account in accounts.values()
        for position in account["positions"]
        if parse_units(position["borrowed"], position["decimals"]) in (1, 2) and account["status"] == "healthy"
    ]
    assert dust
    for account in dust:
        assert account["health_factor"] is None or float(account["health_factor"]) > 1


async def test_every_read_reverting_is_unknown_everywhere_and_heals_by_itself(followed: Following) -> None:
    world = followed.world
    before = await accounts_by_key(followed)
    pools = [str(row["address"]) for row in world.deployments()]
    codes_before = {pool: world.chain.client.text("eth_getCode", pool, "latest") for pool in pools}
    for pool in pools:
        world.chain.client.call("anvil_setCode", pool, REVERT_ALWAYS)
    world.mine()
    await followed.caught_up()
    broken = await accounts_by_key(followed)
    assert set(broken) == set(before)
    for key, account in broken.items():
        # Whoever has neither collateral nor debt needs nothing that could not be read.
        counts = any(p["is_collateral"] or float(p["borrowed"]) for p in before[key]["positions"])
        assert account["status"] == ("unknown" if counts else "no_debt")
        assert account["health_factor"] is None
        assert account["reasons"] or not counts
    for pool, code in codes_before.items():
        world.chain.client.call("anvil_setCode", pool, code)
    world.mine()
    await followed.caught_up()
    healed = await hold_against_contract(followed)
    assert {key: six_numbers(a)[4] for key, a in healed.items()} == {
        key: six_numbers(a)[4] for key, a in before.items()
    }
