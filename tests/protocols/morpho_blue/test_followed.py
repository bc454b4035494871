"""The whole path: markets and accounts found in logs, old and new, and what the API then says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.domain.chain import Address
from app.domain.units import parse_units
from app.store.postgres.engine import Database
from devnet.world import World
from tests.fixtures.devnet import WorldFactory
from tests.integration.following import Following, following
from tests.protocols.morpho_blue.devnet_states import lens_of, life_of

pytestmark = [pytest.mark.devnet, pytest.mark.database]


async def test_the_api_says_of_every_account_what_the_contract_says(
    make_world: WorldFactory, database: Database, tmp_path: Path
) -> None:
    world = make_world(wallets=24, seed=3, protocols=("morpho-blue",))
    world.run(3)
    async with following(world, database, tmp_path) as followed:
        compared = await compare_every_wallet(followed, world)
        for block in range(6):
            if block == 2:
                world.set_price("WETH", world.prices()["WETH"] * 96 // 100)
            world.step()
            await followed.caught_up()
        compared += await compare_every_wallet(followed, world)
    assert compared > 30


async def compare_every_wallet(followed: Following, world: World) -> int:
    life, lens, compared = life_of(world), lens_of(world), 0
    for wallet in world.wallets[::2]:
        answer = await followed.get(f"/v1/wallets/{wallet}")
        shown = {account["unit"]: account for account in answer["accounts"] if account["protocol"] == "morpho-blue"}
        assert answer["totals"]["unknown_accounts"] == 0
        totals = answer["totals"]
        converted = [account for account in shown.values() if account["usd"] is not None]
        assert totals["converted_accounts"] == len(converted), "loan tokens are not added up as dollars"
        assert totals["other_currency_accounts"] == len(shown) - len(converted)
        for market, holder in life.accounts:
            if holder != wallet:
                continue
            account = shown.get("0x" + market.id.hex())
            if account is None:
                assert life.position(market, wallet) == (0, 0, 0), "an account nobody found"
                continue
            compared += 1
            compare(world, account, lens.balances(market, wallet), life.position(market, wallet)[2], wallet, market)
    return compared


def compare(
    world: World, account: dict[str, Any], balances: tuple[int, ...], collateral: int, wallet: Address, market: Any
) -> None:
    """One account's answer against the contract's own numbers at the newest block."""
    supplied, borrowed = balances
    loan, backing = market.loan, market.collateral
    positions = {position["asset"].lower(): position for position in account["positions"]}
    assert account["value_currency"] == loan.symbol
    assert parse_units(account["debt_value"], loan.decimals) == borrowed
    assert (account["status"] == "liquidatable") == life_of(world).is_liquidatable(market, wallet)
    assert (account["status"] == "no_debt") == (borrowed == 0)
    if collateral:
        position = positions[str(backing.address)]
        assert parse_units(position["supplied"], backing.decimals) == collateral
        price = int.from_bytes(world.chain.call(market.oracle, "price()"))
        assert parse_units(position["price"], 36 + loan.decimals - backing.decimals) == price
        assert parse_units(account["collateral_value"], loan.decimals) == collateral * price // 10**36
    if supplied or borrowed:
        position = positions[str(loan.address)]
        assert parse_units(position["supplied"], loan.decimals) == supplied
        assert parse_units(position["borrowed"], loan.decimals) == borrowed
        assert parse_units(position["price"], 36 + loan.decimals - backing.decimals) == 10 ** (
            36 + loan.decimals - backing.decimals
        )
