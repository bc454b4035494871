from __future__ import annotations

import pytest

from app.api.frame.addresses import to_checksum
from app.domain.account import AccountKey, Unreadable
from app.domain.batch import DueAccount
from tests.fakes.pond import DOLLAR, ETHER, USD8, WETH, pond_account, pond_deployment, pond_records
from tests.fakes.site import DEVNET, EPOCH, Site, block_ref, wallet

ALICE, BOB = wallet(1), wallet(2)

pytestmark = pytest.mark.database


async def test_a_wallet_is_told_how_far_from_liquidation_it_is_and_as_of_when(site: Site) -> None:
    await site.register()
    await site.commit(5, [pond_account(ALICE, weth=ETHER, usdc_debt=2000 * DOLLAR)], pond_records(updated_at=EPOCH - 5))
    site.now = EPOCH + 12
    answer = await site.get(f"/v1/wallets/{ALICE}")
    assert answer.status_code == 200
    body = answer.json()
    assert body["address"] == to_checksum(ALICE)
    assert body["as_of"] == {
        "chain_id": DEVNET,
        "chain": "Devnet",
        "block_number": 5,
        "block_hash": str(block_ref(5).hash),
        "block_timestamp": EPOCH + 5,
        "finality": "latest",
        "lag_seconds": 7,
        "stale": False,
        "stale_reason": None,
    }
    assert body["totals"] == {
        "collateral_usd": "3000.00000000",
        "debt_usd": "2000.00000000",
        "perp_equity_usd": "0.00000000",
        "perp_notional_usd": "0.00000000",
        "perp_unrealized_pnl_usd": "0.00000000",
        "net_usd": "1000.00000000",
        "complete": True,
        "accounts": 1,
        "unknown_accounts": 0,
        "converted_accounts": 0,
        "other_currency_accounts": 0,
        "worst_status": "healthy",
        "worst_health_factor": "1.200000000000000000",
    }
    (account,) = body["accounts"]
    assert account["status"] == "healthy"
    assert account["health_factor"] == "1.200000000000000000"
    assert account["utilization"] == "0.833333333333333334"
    assert account["liquidation_threshold"] == "0.8000"
    assert account["read_at_block"] == 5
    usdc, weth = account["positions"]
    assert (usdc["borrowed"], usdc["supplied"], usdc["is_collateral"]) == ("2000.000000", "0.000000", False)
    assert (weth["supplied"], weth["price"]) == ("1.000000000000000000", "3000.00000000")
    assert (weth["price_updated_at"], weth["price_age_seconds"]) == (EPOCH - 5, 10)
    assert weth["liquidation_price"] == {
        "direction": "fall",
        "price": "2500.00000000",
        "distance": "-0.166666666666666666",
    }
    assert account["liquidation_prices"] == [
        {
            "direction": "fall",
            "price": "2500.00000000",
            "distance": "-0.166666666666666666",
            "market": WETH.code,
            "symbol": "WETH",
            "price_kind": "oracle",
            "current_price": "3000.00000000",
        }
    ]
    assert account["restore"]["target_health_factor"] == "1.500000000000000000"
    assert account["restore"]["repay"][0]["amount"] == "400.000000"


async def test_without_debt_there_is_no_health_factor_and_nothing_to_restore(site: Site) -> None:
    await site.register()
    await site.commit(1, [pond_account(ALICE, weth=ETHER)])
    body = (await site.get(f"/v1/wallets/{ALICE}")).json()
    (account,) = body["accounts"]
    assert account["status"] == "no_debt"
    assert account["health_factor"] is None
    assert account["utilization"] == "0.000000000000000000"
    assert account["restore"] is None
    assert account["seconds_to_liquidation"] is None
    assert account["liquidation_prices"] == []
    assert body["totals"]["worst_health_factor"] is None


async def test_a_wallet_nobody_has_seen_has_no_accounts_and_is_no_error(site: Site) -> None:
    await site.register()
    await site.commit(1)
    answer = await site.get(f"/v1/wallets/{BOB}")
    assert answer.status_code == 200
    body = answer.json()
    assert body["accounts"] == []
    assert body["totals"]["collateral_usd"] == "0.00000000"
    assert body["totals"]["worst_status"] is None
    assert body["as_of"]["block_number"] == 1


async def test_an_account_found_but_not_read_is_unknown_and_missing_from_the_totals(site: Site) -> None:
    await site.register()
    await site.commit(1)
    await site.queue([DueAccount(AccountKey("pond-devnet", ALICE), frozenset())])
    body = (await site.get(f"/v1/wallets/{ALICE}")).json()
    (account,) = body["accounts"]
    assert account["status"] == "unknown"
    assert account["reasons"][0]["code"] == "not_read_yet"
    assert account["health_factor"] is account["collateral_value"] is account["debt_value"] is None
    assert account["read_at_block"] is None
    totals = body["totals"]
    assert totals["collateral_usd"] is totals["debt_usd"] is totals["net_usd"] is None
    assert (totals["complete"], totals["unknown_accounts"]) == (False, 1)


async def test_an_unreadable_account_and_a_missing_price_are_unknown_with_their_reasons(site: Site) -> None:
    await site.register()
    unreadable = Unreadable(AccountKey("pond-devnet", ALICE), 1, "the pool reverts")
    priced_away = pond_account(ALICE, weth=ETHER, usdc_debt=DOLLAR, unit="b")
    await site.commit(1, [unreadable, priced_away], pond_records(weth=None))
    body = (await site.get(f"/v1/wallets/{ALICE}")).json()
    reasons = {account["unit"]: account["reasons"][0] for account in body["accounts"]}
    assert reasons[""] == {"code": "account_unreadable", "detail": "the pool reverts", "market": None}
    assert reasons["b"]["code"] == "price_unavailable"
    assert reasons["b"]["market"] == WETH.code
    assert body["totals"]["unknown_accounts"] == 2


async def test_accounts_come_riskiest_first_and_totals_say_what_they_leave_out(site: Site) -> None:
    await site.register(pond_deployment(), pond_deployment(id="pond-eth"))
    await site.commit(
        1,
        [
            pond_account(ALICE, weth=ETHER, unit="a"),
            pond_account(ALICE, weth=ETHER, usdc_debt=1000 * DOLLAR, unit="b"),
            pond_account(ALICE, weth=ETHER, usdc_debt=2500 * DOLLAR, unit="c"),
            pond_account(ALICE, weth=ETHER, usdc_debt=2000 * DOLLAR, unit="d"),
            Unreadable(AccountKey("pond-devnet", ALICE, "e"), 1, "reverts"),
        ],
    )
    await site.commit(
        2,
        [pond_account(ALICE, weth=ETHER, usdc_debt=1, deployment_id="pond-eth")],
        pond_records("pond-eth", in_usd=False),
        deployment_id="pond-eth",
    )
    body = (await site.get(f"/v1/wallets/{ALICE}")).json()
    listed = [(account["unit"], account["status"]) for account in body["accounts"]]
    assert listed == [
        ("c", "liquidatable"),
        ("e", "unknown"),
        ("d", "healthy"),
        ("b", "healthy"),
        ("", "healthy"),
        ("a", "no_debt"),
    ]
    totals = body["totals"]
    assert totals["collateral_usd"] == "12000.00000000"
    assert totals["debt_usd"] == "5500.00000000"
    assert (totals["unknown_accounts"], totals["other_currency_accounts"], totals["complete"]) == (1, 1, False)
    assert (totals["worst_status"], totals["worst_health_factor"]) == ("liquidatable", "0.960000000000000000")
    assert body["accounts"][4]["value_currency"] == "ETH"


async def test_a_past_block_is_answered_as_it_was(site: Site) -> None:
    await site.register()
    await site.commit(3, [pond_account(ALICE, weth=ETHER, usdc_debt=2000 * DOLLAR)])
    await site.commit(6, [pond_account(ALICE, weth=2 * ETHER, usdc_debt=2000 * DOLLAR)], pond_records(weth=1000 * USD8))
    site.now += 10_000
    past = (await site.get(f"/v1/wallets/{ALICE}", block_number=3)).json()
    assert past["accounts"][0]["health_factor"] == "1.200000000000000000"
    assert past["as_of"]["block_number"] == 3
    assert past["as_of"]["stale"] is False
    assert past["as_of"]["lag_seconds"] == 10_003
    between = (await site.get(f"/v1/wallets/{ALICE}", block_number=5)).json()
    assert between["as_of"]["block_number"] == 3
    assert between["as_of"]["stale"] is True
    assert "block 5 itself is not stored" in between["as_of"]["stale_reason"]
    now = (await site.get(f"/v1/wallets/{ALICE}", block_number=6)).json()
    assert now["accounts"][0]["health_factor"] == "0.800000000000000000"


@pytest.mark.parametrize("number", [2, 7, 2**63 - 1])
async def test_a_block_that_is_not_stored_is_told_apart_with_those_that_are(site: Site, number: int) -> None:
    await site.register()
    await site.commit(3)
    await site.commit(6)
    answer = await site.get(f"/v1/wallets/{ALICE}", block_number=number)
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/block-not-stored"
    assert "from block 3 to block 6" in answer.json()["detail"]


async def test_a_block_number_needs_its_chain_where_there_are_several(site: Site) -> None:
    await site.register(pond_deployment(), pond_deployment(id="pond-base", chain_id=8453))
    await site.commit(3)
    assert (await site.get(f"/v1/wallets/{ALICE}", block_number=3)).status_code == 422
    assert (await site.get(f"/v1/wallets/{ALICE}", block_number=3, chain_id=DEVNET)).status_code == 200
    assert (await site.get(f"/v1/wallets/eip155:{DEVNET}:{ALICE}", block_number=3)).status_code == 200
    answer = await site.get(f"/v1/wallets/{ALICE}", block_number=3, chain_id=8453)
    assert answer.status_code == 404
    assert "nothing of chain 8453 is stored yet" in answer.json()["detail"]


async def test_the_least_fresh_chain_that_answered_speaks_for_the_whole(site: Site) -> None:
    await site.register(pond_deployment(), pond_deployment(id="pond-base", chain_id=8453))
    await site.commit(40, [pond_account(ALICE, weth=ETHER)])
    await site.commit(
        9, [pond_account(ALICE, weth=ETHER, deployment_id="pond-base")], chain_id=8453, deployment_id="pond-base"
    )
    body = (await site.get(f"/v1/wallets/{ALICE}")).json()
    assert body["as_of"]["chain_id"] == 8453
    assert body["as_of"]["stale"] is True
    assert [chain["chain_id"] for chain in body["chains"]] == [8453, DEVNET]
    assert body["totals"]["collateral_usd"] == "6000.00000000"
    only = (await site.get(f"/v1/wallets/{ALICE}", chain_id=DEVNET)).json()
    assert only["as_of"]["chain_id"] == DEVNET
    assert only["totals"]["accounts"] == 1


async def test_a_chain_with_nothing_indexed_is_named_and_stale(site: Site) -> None:
    await site.register()
    body = (await site.get(f"/v1/wallets/{ALICE}")).json()
    assert body["accounts"] == []
    assert body["as_of"] == {
        "chain_id": DEVNET,
        "chain": "Devnet",
        "block_number": None,
        "block_hash": None,
        "block_timestamp": None,
        "finality": None,
        "lag_seconds": None,
        "stale": True,
        "stale_reason": "nothing of this chain is indexed yet",
    }


async def test_a_deployment_without_stored_markets_cannot_be_valued_and_says_so(site: Site) -> None:
    await site.register()
    await site.commit(1, [pond_account(ALICE)], records=())
    (account,) = (await site.get(f"/v1/wallets/{ALICE}")).json()["accounts"]
    assert (account["status"], account["reasons"][0]["code"]) == ("unknown", "market_state_missing")


@pytest.mark.parametrize("target", ["2", "1.000000000000000001", "100"])
async def test_the_target_health_factor_is_the_callers(site: Site, target: str) -> None:
    await site.register()
    await site.commit(1, [pond_account(ALICE, weth=ETHER, usdc_debt=2401 * DOLLAR)])
    answer = await site.get(f"/v1/wallets/{ALICE}", target_health_factor=target)
    assert answer.json()["accounts"][0]["restore"]["target_health_factor"].startswith(target)


async def test_at_or_above_the_target_there_is_nothing_to_restore(site: Site) -> None:
    await site.register()
    await site.commit(1, [pond_account(ALICE, weth=ETHER, usdc_debt=1600 * DOLLAR)])
    assert (await site.get(f"/v1/wallets/{ALICE}")).json()["accounts"][0]["restore"] is None


@pytest.mark.parametrize("target", ["1", "0", "-2", "100.1", "abc", "", "1.0000000000000000001", "1e3", "NaN", "٢"])
async def test_a_target_that_is_none_is_refused(site: Site, target: str) -> None:
    await site.register()
    await site.commit(1)
    answer = await site.get(f"/v1/wallets/{ALICE}", target_health_factor=target)
    assert answer.status_code == 422
    assert "target_health_factor" in answer.json()["detail"]


async def test_a_reorg_under_a_request_never_mixes_two_histories(site: Site) -> None:
    await site.register()
    await site.commit(1, [pond_account(ALICE, weth=ETHER, usdc_debt=2000 * DOLLAR)])
    await site.commit(2, records=pond_records(weth=2400 * USD8))
    before = (await site.get(f"/v1/wallets/{ALICE}")).json()
    assert before["accounts"][0]["status"] == "liquidatable"
    await site.drop_above(1)
    await site.commit(2, records=pond_records(weth=3000 * USD8), fork=1)
    after = (await site.get(f"/v1/wallets/{ALICE}")).json()
    assert after["accounts"][0]["health_factor"] == "1.200000000000000000"
    assert after["as_of"]["block_hash"] == str(block_ref(2, fork=1).hash) != before["as_of"]["block_hash"]
