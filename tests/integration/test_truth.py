"""The promise itself: what the API answers equals what the contracts answer at the same block, to the last digit."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from app.api.frame.addresses import to_checksum
from app.domain.chain import Address
from app.domain.units import UINT256_MAX, parse_units
from app.store.postgres.engine import Database
from devnet.pool import AccountData
from tests.fixtures.devnet import WorldFactory
from tests.integration.following import Following, following

pytestmark = [pytest.mark.devnet, pytest.mark.database, pytest.mark.timeout(1800)]

BLOCKS = int(os.environ.get("TRUTH_BLOCKS", "80"))
WALLETS = int(os.environ.get("TRUTH_WALLETS", "60"))
DAY = 86_400
EMPTY: AccountData = (0, 0, 0, 0, 0, UINT256_MAX)


def six_numbers(account: dict[str, str | None]) -> AccountData:
    """An account of the API's answer in the shape of getUserAccountData."""
    health = account["health_factor"]
    return (
        parse_units(str(account["collateral_value"]), 8),
        parse_units(str(account["debt_value"]), 8),
        parse_units(str(account["available_borrows_value"]), 8),
        parse_units(str(account["liquidation_threshold"]), 4),
        parse_units(str(account["max_ltv"]), 4),
        UINT256_MAX if health is None else parse_units(health, 18),
    )


async def compare_every_wallet(followed: Following, statuses: Counter[str]) -> int:
    """Hold every wallet's answer against the contracts at the newest block; how many accounts were compared."""
    world = followed.world
    number = world.block_number
    truths = {
        str(row["id"]): dict(zip(world.wallets, world.account_data(str(row["id"]), world.wallets, number), strict=True))
        for row in world.deployments()
    }
    compared = 0
    for wallet in world.wallets:
        answer = await followed.get(f"/v1/wallets/{wallet}")
        assert answer["as_of"]["block_number"] == number
        accounts = {account["deployment_id"]: account for account in answer["accounts"]}
        for deployment_id, truth in truths.items():
            compare_account(accounts.get(deployment_id), truth[wallet], wallet, deployment_id, number)
            statuses[accounts[deployment_id]["status"] if deployment_id in accounts else "absent"] += 1
            compared += 1
    return compared


def compare_account(
    account: dict[str, str | None] | None, truth: AccountData | None, wallet: Address, deployment_id: str, number: int
) -> None:
    where = f"block {number}, {deployment_id}, {to_checksum(wallet)}"
    if account is None:
        assert truth in (EMPTY, None), f"{where}: not shown at all, the contract says {truth}"
    elif truth is None:
        assert account["status"] == "unknown", f"{where}: the contract answers nothing, shown as {account['status']}"
    else:
        assert account["status"] != "unknown", f"{where}: unknown, although the contract answers"
        assert six_numbers(account) == truth, where
        in_debt, below_one = truth[1] > 0, truth[5] < 10**18
        assert account["status"] == ("liquidatable" if below_one else "healthy" if in_debt else "no_debt"), where


async def test_every_wallet_equals_the_contracts_at_every_block(
    make_world: WorldFactory, database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world(seed=7, wallets=WALLETS)
    started, compared, statuses = time.monotonic(), 0, Counter[str]()
    actions, refusals, liquidations, jumps, changes = 0, 0, 0, 0, 0
    async with following(world, database, tmp_path) as followed:
        for number in range(1, BLOCKS + 1):
            if number % 40 == 0:
                world.time_jump(5 * DAY)
            if number % 25 == 0:
                world.set_price("WETH", world.prices()["WETH"] * 95 // 100)
            step = await asyncio.to_thread(world.step)
            await followed.caught_up()
            compared += await compare_every_wallet(followed, statuses)
            actions, refusals = actions + len(step.succeeded), refusals + len(step.refused)
            liquidations, jumps = (
                liquidations + step.liquidations,
                jumps + bool(step.jumped_seconds or number % 40 == 0),
            )
            changes += step.admin_action is not None
    # A run in which nothing happened would prove nothing.
    assert liquidations > 0
    assert jumps > 0
    assert changes > 0
    assert statuses["healthy"] > statuses["absent"]
    assert compared == BLOCKS * WALLETS * 2
    with capsys.disabled():
        print(
            f"\ntruth: {compared:,} accounts compared over {BLOCKS} blocks in {time.monotonic() - started:.0f} s, "
            f"0 differ ({actions} actions, {refusals} refused, {liquidations} liquidations, {jumps} time jumps, "
            f"{changes} configuration changes; {dict(statuses)})"
        )
