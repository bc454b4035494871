"""Values that are counted in a token, stated in USD by another deployment's oracle."""

from __future__ import annotations

import pytest

from app.domain.chain import Address
from app.store.postgres.engine import Database
from tests.fakes.perp import USD6, tide_account, tide_deployment
from tests.fakes.pond import DOLLAR, ETHER, USD8, USDC, WETH, pond_account, pond_deployment, pond_records
from tests.fakes.site import EPOCH, Site, wallet

ALICE = wallet(1)

pytestmark = pytest.mark.database


async def test_another_pools_oracle_converts_and_is_named_with_its_age(site: Site) -> None:
    await site.register(tide_deployment(), pond_deployment())
    await site.commit(1, records=pond_records(updated_at=EPOCH - 8))
    await site.commit_tide(2, [tide_account(ALICE, cash=USD6 // 2)], measure=WETH.asset)
    body = (await site.get(f"/v1/wallets/{ALICE}")).json()
    (account,) = body["accounts"]
    assert (account["value_currency"], account["collateral_value"]) == ("WAVE", "0.500000")
    assert account["usd_missing_reason"] is None
    assert account["usd"] == {
        "price": "3000.00000000",
        "source_deployment_id": "pond-devnet",
        "source_market": WETH.code,
        "price_updated_at": EPOCH - 8,
        "price_age_seconds": 10,
        "collateral_value": "1500.00000000",
        "debt_value": None,
        "equity_value": "1500.00000000",
        "notional_value": "0.00000000",
        "unrealized_pnl_value": "0.00000000",
    }
    totals = body["totals"]
    assert totals["perp_equity_usd"] == totals["net_usd"] == "1500.00000000"
    assert (totals["converted_accounts"], totals["other_currency_accounts"], totals["complete"]) == (1, 0, True)


async def test_of_several_pools_the_first_by_id_that_has_a_price_is_always_the_source(site: Site) -> None:
    pools = ["pond-a", "pond-b", "pond-c"]
    await site.register(tide_deployment(), *(pond_deployment(id=pool) for pool in pools))
    prices = {"pond-a": None, "pond-b": 2000 * USD8, "pond-c": 2500 * USD8}
    for number, (pool, price) in enumerate(reversed(prices.items()), 1):
        await site.commit(number, records=pond_records(pool, weth=price, updated_at=EPOCH - number), deployment_id=pool)
    await site.commit_tide(4, [tide_account(ALICE, cash=USD6)], measure=WETH.asset)
    (account,) = (await site.get(f"/v1/wallets/{ALICE}")).json()["accounts"]
    assert (account["usd"]["source_deployment_id"], account["usd"]["price"]) == ("pond-b", "2000.00000000")


@pytest.mark.parametrize("source_chain", [31337, 8453])
async def test_a_token_nobody_prices_on_its_own_chain_has_no_dollars_and_a_reason(
    site: Site, source_chain: int
) -> None:
    token = Address(b"\x77" * 20) if source_chain == 31337 else USDC.asset
    await site.register(tide_deployment(), pond_deployment(chain_id=source_chain))
    await site.commit(1, chain_id=source_chain)
    await site.commit_tide(2, [tide_account(ALICE, cash=USD6)], measure=token)
    body = (await site.get(f"/v1/wallets/{ALICE}", chain_id=31337)).json()
    (account,) = body["accounts"]
    assert account["usd"] is None
    assert account["usd_missing_reason"] == (
        f"no lending pool followed on this chain prices WAVE ({token}) in US dollars"
    )
    totals = body["totals"]
    assert totals["net_usd"] is totals["perp_equity_usd"] is None
    assert (totals["other_currency_accounts"], totals["complete"]) == (1, False)


async def test_what_is_in_dollars_or_unknown_is_not_converted_and_a_currency_that_is_no_token_says_so(
    site: Site,
) -> None:
    await site.register(pond_deployment(), pond_deployment(id="pond-eth"))
    await site.commit(1, [pond_account(ALICE, weth=ETHER, usdc_debt=DOLLAR)])
    await site.commit(
        2,
        [
            pond_account(ALICE, weth=ETHER, deployment_id="pond-eth"),
            pond_account(ALICE, usdc=DOLLAR, deployment_id="pond-eth", unit="unpriced"),
        ],
        pond_records("pond-eth", in_usd=False, usdc=None),
        deployment_id="pond-eth",
    )
    accounts = {
        (a["deployment_id"], a["unit"]): (a["usd"], a["usd_missing_reason"])
        for a in (await site.get(f"/v1/wallets/{ALICE}")).json()["accounts"]
    }
    assert accounts["pond-devnet", ""] == accounts["pond-eth", "unpriced"] == (None, None)
    assert accounts["pond-eth", ""] == (
        None,
        "values are not counted in US dollars, nor in a token whose price could be asked for",
    )


async def test_a_pool_that_is_set_aside_converts_nothing(site: Site, database: Database) -> None:
    await site.register(tide_deployment(), pond_deployment())
    await site.commit(1)
    block = await site.commit_tide(2, [tide_account(ALICE, cash=USD6)], measure=WETH.asset)
    await site.set_aside(block, "it names another oracle")
    (account,) = (await site.get(f"/v1/wallets/{ALICE}")).json()["accounts"]
    assert (account["status"], account["usd"]) == ("no_debt", None)
