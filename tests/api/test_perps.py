"""Perp accounts in every answer that speaks of accounts."""

from __future__ import annotations

import pytest

from tests.fakes.perp import LOT, PERP_ETH, USD6, tide_account, tide_deployment
from tests.fakes.pond import DOLLAR, ETHER, pond_account, pond_deployment
from tests.fakes.site import DEVNET, EPOCH, Site, wallet

ALICE = wallet(1)

pytestmark = pytest.mark.database


async def test_a_perp_account_is_told_with_its_margin_its_legs_and_its_mark_price(site: Site) -> None:
    await site.register(tide_deployment())
    account = tide_account(ALICE, cash=2000 * USD6, size=4 * LOT, entry=3100 * USD6)
    await site.commit_tide(5, [account], updated_at=EPOCH - 5)
    (told,) = (await site.get(f"/v1/wallets/{ALICE}")).json()["accounts"]
    assert (told["kind"], told["status"], told["value_currency"]) == ("perp", "healthy", "USD")
    assert told["margin"] == {
        "equity": "1600.000000",
        "requirement": "750.000000",
        "notional": "12000.000000",
        "unrealized_pnl": "-400.000000",
        "pending_funding": "0.000000",
        "leverage": "7.500000000000000000",
    }
    turn = {"direction": "fall", "price": "2773.333333", "distance": "-0.075555555666666666"}
    assert told["perps"] == [
        {
            "market": PERP_ETH.code,
            "symbol": "ETH",
            "decimals": 18,
            "side": "long",
            "size": "4.000000000000000000",
            "entry_price": "3100.000000",
            "mark_price": "3000.000000",
            "price_updated_at": EPOCH - 5,
            "price_age_seconds": 10,
            "notional": "12000.000000",
            "leverage": "7.500000000000000000",
            "unrealized_pnl": "-400.000000",
            "pending_funding": "0.000000",
            "pending_fee": "0.000000",
            "maintenance_margin": "0.0625",
            "liquidation_price": turn,
        }
    ]
    assert told["liquidation_prices"] == [
        {**turn, "market": PERP_ETH.code, "symbol": "ETH", "price_kind": "mark", "current_price": "3000.000000"}
    ]
    assert (told["health_factor"], told["utilization"]) == ("2.133333333333333333", "0.468750000000000000")
    assert (told["collateral_value"], told["debt_value"]) == ("2000.000000", None)
    assert told["seconds_to_liquidation"] == "never"
    assert told["restore"] is None
    (posted,) = told["positions"]
    assert (posted["symbol"], posted["supplied"], posted["is_collateral"]) == ("USDC", "2000.000000", True)


async def test_a_short_is_negative_and_what_to_close_is_said(site: Site) -> None:
    await site.register(tide_deployment())
    await site.commit_tide(1, [tide_account(ALICE, cash=250 * USD6, size=-LOT)])
    (told,) = (await site.get(f"/v1/wallets/{ALICE}")).json()["accounts"]
    (leg,) = told["perps"]
    assert (leg["side"], leg["size"]) == ("short", "-1.000000000000000000")
    assert leg["liquidation_price"]["direction"] == "rise"
    (close,) = told["restore"]["close"]
    assert (close["symbol"], close["value"]) == ("ETH", "333.333334")
    assert close["amount"].startswith("0.11111111")
    assert told["restore"]["add_collateral"][0]["value"] == "31.250000"
    assert told["restore"]["repay"] == []


async def test_below_zero_there_is_a_health_factor_and_no_utilisation(site: Site) -> None:
    await site.register(tide_deployment(), pond_deployment())
    await site.commit(1, [pond_account(ALICE, weth=ETHER, usdc_debt=2500 * DOLLAR)])
    await site.commit_tide(2, [tide_account(ALICE, cash=100 * USD6, size=LOT, entry=3200 * USD6)])
    body = (await site.get(f"/v1/wallets/{ALICE}")).json()
    perp, lending = body["accounts"]
    assert (perp["kind"], lending["kind"]) == ("perp", "lending")
    assert (perp["status"], perp["utilization"], perp["margin"]["leverage"]) == ("liquidatable", None, None)
    assert perp["perps"][0]["leverage"] is None
    assert perp["health_factor"] == body["totals"]["worst_health_factor"] == "-0.533333333333333334"
    totals = body["totals"]
    assert (totals["collateral_usd"], totals["debt_usd"]) == ("3000.00000000", "2500.00000000")
    assert (totals["perp_equity_usd"], totals["net_usd"]) == ("-100.00000000", "400.00000000")
    assert (totals["perp_notional_usd"], totals["perp_unrealized_pnl_usd"]) == ("3000.00000000", "-200.00000000")


async def test_without_a_position_nothing_can_be_liquidated(site: Site) -> None:
    await site.register(tide_deployment())
    await site.commit_tide(1, [tide_account(ALICE, cash=7 * USD6)])
    body = (await site.get(f"/v1/wallets/{ALICE}")).json()
    (told,) = body["accounts"]
    assert (told["status"], told["perps"], told["health_factor"]) == ("no_debt", [], None)
    assert body["totals"]["net_usd"] == body["totals"]["perp_equity_usd"] == "7.000000"


async def test_the_ranking_and_the_past_carry_the_notional(site: Site) -> None:
    await site.register(tide_deployment(), pond_deployment())
    await site.commit(1, [pond_account(wallet(2), weth=ETHER, usdc_debt=2500 * DOLLAR)])
    for number, mark in ((2, 3000), (3, 2700)):
        account = tide_account(ALICE, cash=200 * USD6, size=LOT)
        await site.commit_tide(number, [account] if number == 2 else [], mark=mark * USD6)
    items = (await site.get("/v1/accounts")).json()["items"]
    assert [(i["kind"], i["notional_value"], i["collateral_value"], i["debt_value"]) for i in items] == [
        ("perp", "2700.000000", "200.000000", None),
        ("lending", None, "3000.00000000", "2500.00000000"),
    ]
    limited = (await site.get("/v1/accounts", max_health_factor="0.5")).json()["items"]
    assert [i["kind"] for i in limited] == ["perp"]
    (past,) = (await site.get(f"/v1/wallets/{ALICE}/history")).json()["accounts"]
    assert (past["kind"], past["chain_id"]) == ("perp", DEVNET)
    assert [(p["block_number"], p["notional_value"], p["debt_value"]) for p in past["points"]] == [
        (2, "3000.000000", None),
        (3, "2700.000000", None),
    ]
