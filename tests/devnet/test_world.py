"""The world: the same from the same seed, every kind of position in it, and the contracts behind all of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.domain.chain import Address, ContractCall
from devnet import pool
from devnet.admin import ltv_restoring_calls
from devnet.assets import ADMIN
from devnet.chain import TransactionFailed
from devnet.kinds import kinds_of
from devnet.pool import MAX_UINT256, WAD, AccountView
from devnet.world import World
from tests.fixtures.devnet import WorldFactory

pytestmark = pytest.mark.devnet

V3_0, V3_6 = "aave-v3-0-devnet", "aave-v3-6-devnet"
CRASH = 1_500 * 10**8


def first_of(world: World, kind: str, deployment_id: str) -> AccountView:
    plan = world.plans_of_kind(kind, deployment_id)[0]
    view = world.accounts(deployment_id, [plan.wallet])[0]
    assert view is not None
    return view


def block_hash(world: World, number: int) -> str:
    return str(world.chain.client.record("eth_getBlockByNumber", hex(number), False)["hash"])


def test_the_same_seed_gives_the_same_blocks(make_world: WorldFactory) -> None:
    runs = []
    for seed in (5, 5, 6):
        with make_world(seed=seed, wallets=30) as world:
            runs.append([step.hash for step in world.run(12)])
    assert runs[0] == runs[1]
    assert set(runs[0]).isdisjoint(runs[2])


def test_nothing_of_the_population_is_refused(session_world: World) -> None:
    assert session_world.refused_at_start == []


@pytest.mark.parametrize("deployment_id", [V3_0, V3_6])
def test_every_kind_of_position_exists(session_world: World, deployment_id: str) -> None:
    kinds = kinds_of(session_world.deployed(deployment_id))
    assert {kind for kind in kinds if not session_world.plans_of_kind(kind, deployment_id)} == set()


@pytest.mark.parametrize("deployment_id", [V3_0, V3_6])
def test_the_kinds_hold_what_they_are_named_after(world: World, deployment_id: str) -> None:
    near = first_of(world, "near", deployment_id)
    assert WAD <= near.health_wad < WAD * 105 // 100
    off = first_of(world, "collateral_off", deployment_id)
    assert {symbol for symbol, amount in off.supplied.items() if amount} - off.collateral
    assert first_of(world, "emode_eth", deployment_id).emode == 1
    stable = first_of(world, "emode_stable", deployment_id)
    assert stable.emode == 2
    assert "USDT" in stable.collateral
    dust = first_of(world, "dust_debt", deployment_id)
    assert 0 < max(dust.borrowed.values()) < 5  # one, and what rounding up made of it since
    assert dust.health_wad < MAX_UINT256 or deployment_id == V3_0  # V3.0 rounds a debt worth nothing down to none
    closed = first_of(world, "closed", deployment_id)
    assert closed.data[:2] == (0, 0)


def test_v3_0_has_an_account_in_isolation(world: World) -> None:
    view = first_of(world, "isolated", V3_0)
    assert view.collateral == {"LINK"}
    assert view.has_debt


def test_v3_6_has_collateral_without_borrowing_power(world: World) -> None:
    view = first_of(world, "emode_ltv_zero", V3_6)
    collateral, debt, _, threshold, ltv, _ = view.data
    assert {"WBTC", "wstETH"} <= view.collateral
    assert threshold == 8700
    assert 0 < ltv < 8400
    assert collateral > debt > 0


def test_a_crash_lets_the_liquidator_act_for_real(world: World) -> None:
    near = {d: first_of(world, "near", d).wallet for d in (V3_0, V3_6)}
    for deployment_id, wallet in near.items():
        assert world.liquidation_verdict(deployment_id, wallet).word == "healthy"
    world.set_price("WETH", CRASH)
    world.set_price("wstETH", CRASH)
    for deployment_id, wallet in near.items():
        data = world.account_data(deployment_id, [wallet])[0]
        assert data is not None
        assert data[5] < WAD
        assert world.liquidation_verdict(deployment_id, wallet).word == "liquidatable"
    assert sum(step.liquidations for step in world.run(3)) > 0  # a third of the wallets a block


def test_a_debt_nothing_is_left_for_becomes_a_deficit_in_v3_6(world: World) -> None:
    for symbol in ("WETH", "wstETH"):
        world.set_price(symbol, 100 * 10**8)
    world.run(9)
    deployed = world.deployed(V3_6)
    deficits = [
        int.from_bytes(world.chain.call(deployed.pool, "getReserveDeficit(address)", reserve.asset))
        for reserve in deployed.reserves.values()
    ]
    assert max(deficits) > 0


@pytest.mark.parametrize("kind", ["near", "emode_overlap", "emode_ltv_zero"])
def test_the_admin_can_give_back_all_that_freezing_took(world: World, kind: str) -> None:
    deployed, wallet = world.deployed(V3_6), first_of(world, kind, V3_6).wallet

    def ltv() -> int:
        data = world.account_data(V3_6, [wallet])[0]
        assert data is not None
        return data[4]

    before = ltv()
    symbols = ("WETH", "wstETH", "WBTC")
    for symbol in symbols:
        world.configure(V3_6, "setReserveFreeze(address,bool)", deployed.reserves[symbol].asset, True)
    assert ltv() == 0
    for symbol in symbols:
        world.configure(V3_6, "setReserveFreeze(address,bool)", deployed.reserves[symbol].asset, False)
        world.execute(
            ADMIN, *(ContractCall(deployed.configurator, data) for data in ltv_restoring_calls(deployed, symbol))
        )
    assert ltv() == before


def test_the_verdict_agrees_with_the_health_factor(world: World) -> None:
    world.set_price("WETH", CRASH)
    for deployment_id in (V3_0, V3_6):
        for wallet, data in zip(world.wallets, world.account_data(deployment_id, world.wallets), strict=True):
            if data is not None and data[1]:
                expected = "liquidatable" if data[5] < WAD else "healthy"
                assert world.liquidation_verdict(deployment_id, wallet).word == expected


def test_a_broken_feed_makes_accounts_unreadable_until_it_works_again(world: World) -> None:
    wallet = first_of(world, "same_asset", V3_0).wallet
    world.break_feed("WETH")
    assert world.account_data(V3_0, [wallet]) == [None]
    assert "WETH" not in world.prices()
    assert world.liquidation_verdict(V3_0, wallet).word == "refused"
    world.step()
    world.break_feed("WETH", reverting=False)
    assert world.account_data(V3_0, [wallet]) != [None]


def test_setting_a_price_is_a_block_with_an_event(world: World) -> None:
    before = world.block_number
    mined = world.set_price("WBTC", 70_000 * 10**8)
    assert world.block_number == mined.number == before + 1
    assert len(mined.logs) == 1
    assert mined.logs[0]["address"] == str(world.tokens["WBTC"].feed)
    assert world.prices()["WBTC"] == 70_000 * 10**8


def test_the_admin_and_the_users_can_be_told_what_to_do(world: World) -> None:
    deployed, wallet = world.deployed(V3_6), world.wallets[0]
    usdc = deployed.reserves["USDC"].asset
    world.configure(V3_6, "setReserveFreeze(address,bool)", usdc, True)
    supply = [
        pool.mint(deployed, "USDC", wallet, 5),
        pool.approve(deployed, "USDC"),
        pool.supply(deployed, "USDC", 5, wallet),
    ]
    with pytest.raises(TransactionFailed, match="reverted: 0x"):
        world.execute(wallet, *supply)
    world.configure(V3_6, "setReserveFreeze(address,bool)", usdc, False)
    assert len(world.execute(wallet, *supply).outcomes) == 3


def test_reverting_brings_back_chain_and_randomness(world: World) -> None:
    snapshot = world.snapshot()
    first = [step.hash for step in world.run(6)]
    world.revert(snapshot)
    assert [step.hash for step in world.run(6)] == first


def test_a_reorg_replaces_blocks_by_empty_ones(world: World) -> None:
    world.run(5)
    top = world.block_number
    old = [block_hash(world, top - i) for i in range(5)]
    world.reorg(3)
    assert world.block_number == top
    new = [block_hash(world, top - i) for i in range(5)]
    assert set(new[:3]).isdisjoint(old)
    assert new[3:] == old[3:]
    assert world.step().number == top + 1


def test_life_after_a_rollback_is_another_life(world: World) -> None:
    old = [step.hash for step in world.run(5)]
    world.rollback(5)
    assert set(old).isdisjoint(step.hash for step in world.run(5))


def test_even_empty_blocks_differ_after_a_rollback(world: World) -> None:
    world.mine(2)
    old = block_hash(world, world.block_number)
    world.rollback(2)
    world.mine(2)
    assert block_hash(world, world.block_number) != old


def test_time_passes_as_told(world: World) -> None:
    number, timestamp = world.block_number, world.timestamp
    world.time_jump(86_400)
    world.mine(3, seconds_between=5)
    assert (world.block_number - number, world.timestamp - timestamp) == (4, 86_415)


def test_account_data_of_the_past_is_the_past(world: World) -> None:
    wallet = first_of(world, "near", V3_0).wallet
    number, before = world.block_number, world.account_data(V3_0, [wallet])
    world.set_price("WETH", CRASH)
    assert world.account_data(V3_0, [wallet]) != before
    assert world.account_data(V3_0, [wallet], number) == before


def test_the_deployments_file_names_both_pools(session_world: World, tmp_path: Path) -> None:
    path = tmp_path / "deployments.json"
    session_world.write_deployments_file(path)
    rows = json.loads(path.read_text())
    assert [row["id"] for row in rows] == [V3_0, V3_6]
    for row in rows:
        deployed = session_world.deployed(row["id"])
        assert Address.from_hex(row["address"]) == deployed.pool
        assert row["protocol"] == "aave-v3"
        assert row["chain_id"] == 31337
        assert 0 < row["start_block"] < session_world.block_number
        assert list(row["contracts"]) == ["pool_addresses_provider"]
