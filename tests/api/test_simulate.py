"""POST /v1/simulate: what a wallet would be, by the exact rule."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.fakes.perp import LOT, USD6, tide_account, tide_deployment
from tests.fakes.pond import DOLLAR, ETHER, USDC, WETH, pond_account, pond_deployment
from tests.fakes.site import Site, wallet

ALICE = wallet(1)

pytestmark = pytest.mark.database


async def ask(site: Site, **asked: Any) -> httpx.Response:
    return await site.client.post("/v1/simulate", json={"address": str(ALICE), **asked})


@pytest.fixture
async def lent_and_short(site: Site) -> Site:
    """2 WETH against 3000 USDC (1.6), and a short of one with 1000 posted."""
    await site.register(pond_deployment(), tide_deployment())
    await site.commit(4, [pond_account(ALICE, weth=2 * ETHER, usdc_debt=3000 * DOLLAR)])
    await site.commit_tide(5, [tide_account(ALICE, cash=1000 * USD6, size=-LOT)])
    return site


async def test_a_group_moves_lending_and_perps_together(lent_and_short: Site) -> None:
    answer = await ask(lent_and_short, moves=[{"group": "eth", "change": "-0.4"}])
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["moves"] == [{"kind": "group", "name": "eth", "change": "-0.4"}]
    lender, short = body["accounts"]
    assert (lender["before"]["status"], lender["after"]["status"]) == ("healthy", "liquidatable")
    assert lender["before"]["health_factor"] == "1.600000000000000000"
    assert lender["after"]["health_factor"] == "0.960000000000000000"
    assert (lender["net_usd_before"], lender["net_usd_after"]) == ("3000.00000000", "600.00000000")
    assert lender["change_usd"] == "-2400.00000000"
    assert (short["before"]["equity"], short["after"]["equity"]) == ("1000.000000", "2200.000000")
    assert short["change_usd"] == "1200.000000"
    assert (body["totals_before"]["net_usd"], body["totals_after"]["net_usd"]) == ("4000.00000000", "2800.00000000")
    assert body["totals_after"]["worst_status"] == "liquidatable"
    kept = (await lent_and_short.get(f"/v1/wallets/{ALICE}")).json()
    assert kept["totals"] == body["totals_before"], "nothing is stored"


async def test_nothing_asked_for_changes_nothing(lent_and_short: Site) -> None:
    body = (await ask(lent_and_short)).json()
    assert body["totals_before"] == body["totals_after"]
    assert all(account["before"] == account["after"] for account in body["accounts"])


async def test_amounts_change_before_prices_move(lent_and_short: Site) -> None:
    place = {"deployment_id": "pond-devnet"}
    changes = [
        {**place, "market": WETH.code, "action": "add", "amount": "1"},
        {**place, "market": USDC.code, "action": "repay", "amount": "600.5"},
        {**place, "market": USDC.code, "action": "borrow", "amount": "0.5"},
    ]
    moves = [{"asset": "weth", "change": "-0.5"}, {"group": "volatile", "change": "0.9"}]
    body = (await ask(lent_and_short, changes=changes, moves=moves)).json()
    lender = next(account for account in body["accounts"] if account["kind"] == "lending")
    assert lender["after"]["collateral_value"] == "4500.00000000"  # 3 WETH at 1500: an asset before its group
    assert lender["after"]["debt_value"] == "2400.00000000"
    assert lender["after"]["health_factor"] == "1.500000000000000000"
    off = {**place, "market": WETH.code, "action": "collateral_off"}
    assert (await ask(lent_and_short, changes=[off])).status_code == 200


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"moves": [{"group": "eth", "change": "-1"}]}, "above -1"),
        ({"moves": [{"group": "eth", "change": "1e3"}]}, "moves"),
        ({"moves": [{"group": "moon", "change": "0.1"}]}, "moves.group"),
        ({"moves": [{"change": "0.1"}]}, "either an asset or a group"),
        ({"moves": [{"asset": "A", "change": "0.1"}, {"asset": "a", "change": "0.2"}]}, "twice"),
        ({"changes": [{"deployment_id": "x", "market": "y", "action": "add", "amount": "1"}]}, "no account there"),
        ({"changes": [{"deployment_id": "pond-devnet", "market": "y", "action": "add", "amount": "1"}]}, "market"),
        (
            {
                "changes": [
                    {"deployment_id": "pond-devnet", "market": USDC.code, "action": "repay", "amount": "3000.000001"}
                ]
            },
            "cannot repay more",
        ),
        (
            {"changes": [{"deployment_id": "pond-devnet", "market": USDC.code, "action": "repay", "amount": "0"}]},
            "above 0",
        ),
        (
            {
                "changes": [
                    {"deployment_id": "pond-devnet", "market": WETH.code, "action": "collateral_on", "amount": "1"}
                ]
            },
            "none for a collateral action",
        ),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_what_cannot_be_imagined_is_refused_and_named(
    lent_and_short: Site, asked: dict[str, Any], said: str
) -> None:
    answer = await ask(lent_and_short, **asked)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-parameter")
    assert said in answer.json()["detail"]


async def test_a_bad_address_a_long_body_and_other_methods_are_refused(lent_and_short: Site) -> None:
    client = lent_and_short.client
    assert (await client.post("/v1/simulate", json={"address": "0x12"})).json()["type"] == "/problems/invalid-address"
    assert (await client.post("/v1/simulate", content=b"x" * 70_000)).status_code == 413
    assert (await client.get("/v1/simulate")).status_code in (404, 405)
    assert (await client.post(f"/v1/wallets/{ALICE}")).status_code == 405


async def test_a_wallet_nobody_has_seen_is_no_error(site: Site) -> None:
    await site.register()
    await site.commit(5)
    body = (await ask(site, moves=[{"group": "eth", "change": "-0.2"}])).json()
    assert body["accounts"] == []
    assert body["totals_after"]["net_usd"] == "0.00000000"
