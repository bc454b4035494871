"""What a wallet's answer holds when it is asked for with `include`."""

from __future__ import annotations

import math

import pytest

from tests.fakes.perp import LOT, USD6, tide_account, tide_deployment
from tests.fakes.pond import DOLLAR, ETHER, USD8, WETH, pond_account, pond_deployment, pond_records
from tests.fakes.site import Site, wallet

ALICE = wallet(1)
HOUR = 3600

pytestmark = pytest.mark.database


async def test_nothing_of_it_is_there_unasked(site: Site) -> None:
    await site.register()
    await site.commit(5, [pond_account(ALICE, weth=ETHER, usdc_debt=2000 * DOLLAR)])
    body = (await site.get(f"/v1/wallets/{ALICE}")).json()
    assert body["exposure"] is body["accounts"][0]["moves"] is body["accounts"][0]["buffer"] is None
    refused = await site.get(f"/v1/wallets/{ALICE}", include="moves,everything")
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid-parameter")


async def test_joint_moves_come_nearest_first_with_the_liquidation_prices_among_them(site: Site) -> None:
    """3000 of WETH at 80 % against 2000: 1.2, and gone when ether falls by a sixth or the dollar rises by a fifth."""
    await site.register()
    await site.commit(5, [pond_account(ALICE, weth=ETHER, usdc_debt=2000 * DOLLAR)])
    (account,) = (await site.get(f"/v1/wallets/{ALICE}", include="moves")).json()["accounts"]
    told = {(move["kind"], move["name"]): move for move in account["moves"]}
    assert set(told) == {("asset", "WETH"), ("group", "eth"), ("group", "stable"), ("volatile", "volatile")}
    ether = told["group", "eth"]
    assert (ether["markets"], ether["symbols"], ether["measure_moves"]) == ([WETH.code], ["WETH"], False)
    assert ether["turns"] == [{"distance": "-0.166667000000000000", "turns_to": "liquidatable", "sigmas": None}]
    assert told["volatile", "volatile"]["turns"] == ether["turns"]
    assert told["group", "stable"]["turns"][0]["distance"] == "0.200001000000000000"  # at 0.2 health is 1 exactly
    assert ether["daily_sigma"] is None, "five seconds of history say nothing"
    distances = [abs(float(move["turns"][0]["distance"])) for move in account["moves"] if move["turns"]]
    assert distances == sorted(distances)


async def test_a_distance_is_told_in_daily_sigmas_of_the_stored_prices(site: Site) -> None:
    """Up and down by 1 % each hour for two days: sqrt(24) % a day."""
    await site.register()
    account = pond_account(ALICE, weth=ETHER, usdc_debt=2000 * DOLLAR)
    for hour in range(49):
        price = 3000 * USD8 * (101 if hour % 2 else 100) // 100
        await site.commit(HOUR * (hour + 1), [account], pond_records(weth=price))
    (told,) = (await site.get(f"/v1/wallets/{ALICE}", include="moves")).json()["accounts"]
    moves = {(move["kind"], move["name"]): move for move in told["moves"]}
    expected = math.log(1.01) * math.sqrt(24)
    for place in (("asset", "WETH"), ("group", "eth"), ("volatile", "volatile")):
        assert float(moves[place]["daily_sigma"]) == pytest.approx(expected, rel=1e-4)
    turn = moves["group", "eth"]["turns"][0]
    assert float(turn["sigmas"]) == pytest.approx(math.log(1 + float(turn["distance"])) / expected, abs=0.006)
    assert moves["group", "stable"]["daily_sigma"] is None, "a price that never moved has no sigma, not zero"


async def test_a_buffer_says_what_may_be_lost_and_what_may_be_taken_out(site: Site) -> None:
    await site.register()
    await site.commit(5, [pond_account(ALICE, weth=2 * ETHER, usdc_debt=2000 * DOLLAR)])
    answer = await site.get(f"/v1/wallets/{ALICE}", include="buffers", target_health_factor="1.2")
    buffer = answer.json()["accounts"][0]["buffer"]
    assert (buffer["capacity"], buffer["requirement"], buffer["headroom"]) == (
        "4800.00000000",
        "2000.00000000",
        "2800.00000000",
    )
    assert buffer["target_health_factor"] == "1.200000000000000000"
    (out,) = buffer["withdrawable"]
    assert float(out["amount"]) == pytest.approx(1.0, rel=1e-8)
    assert float(out["amount"]) <= 1


async def test_exposure_is_over_lending_and_perps(site: Site) -> None:
    await site.register(pond_deployment(), tide_deployment())
    await site.commit(4, [pond_account(ALICE, weth=2 * ETHER, usdc_debt=3000 * DOLLAR)])
    await site.commit_tide(5, [tide_account(ALICE, cash=1000 * USD6, size=-LOT)])
    exposure = (await site.get(f"/v1/wallets/{ALICE}", include="exposure,moves")).json()["exposure"]
    ether, dollars = exposure["assets"]
    assert (ether["asset"], ether["symbols"], ether["group"]) == ("ETH", ["ETH", "WETH"], "eth")
    assert (ether["supplied"], ether["perp_size"]) == ("2.000000000000000000", "-1.000000000000000000")
    assert (ether["net"], ether["hedge"]) == ("1.000000000000000000", "-1.000000000000000000")
    assert (ether["net_usd"], dollars["net"], dollars["net_usd"]) == ("3000.00000000", "-2000.000000", "-2000.00000000")
    assert exposure["groups"] == [
        {"group": "eth", "net_usd": "3000.00000000", "hedge_usd": "-3000.00000000"},
        {"group": "stable", "net_usd": "-2000.00000000", "hedge_usd": "2000.00000000"},
    ]
    assert (exposure["left_out_accounts"], exposure["unpriced_accounts"]) == (0, 0)
