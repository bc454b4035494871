"""A deployment that is set aside: nothing is said of its accounts but why, and the others go on."""

from __future__ import annotations

import pytest

from app.api.wallets import load_wallet_view
from app.domain.account import AccountKey
from app.domain.batch import DueAccount
from tests.fakes.pond import DOLLAR, ETHER, pond_account, pond_deployment
from tests.fakes.site import DEVNET, Site, wallet

ALICE = wallet(1)
TEXT = "its addresses provider names another pool"
TOLD = {"deployment_id": "pond-bad", "chain_id": DEVNET, "name": "Pond (devnet)", "trouble": TEXT}

pytestmark = pytest.mark.database


async def _two_ponds(site: Site) -> None:
    """Alice is in both; from block 3 on the second refuses."""
    await site.register(pond_deployment(), pond_deployment(id="pond-bad"))
    await site.commit(1, [pond_account(ALICE, weth=ETHER, usdc_debt=1000 * DOLLAR)])
    bad = pond_account(ALICE, weth=ETHER, usdc_debt=1000 * DOLLAR, deployment_id="pond-bad")
    await site.commit(2, [bad], deployment_id="pond-bad")
    await site.set_aside(await site.commit(3), TEXT, "pond-bad")


async def test_its_accounts_are_unknown_with_the_reason_and_the_others_stand(site: Site) -> None:
    await _two_ponds(site)
    await site.queue([DueAccount(AccountKey("pond-bad", ALICE, "not read yet"), frozenset())])
    body = (await site.get(f"/v1/wallets/{ALICE}")).json()
    assert body["troubled_deployments"] == [TOLD]
    *unknown, sound = body["accounts"]
    assert [a["unit"] for a in unknown] == ["", "not read yet"]
    for account in unknown:
        assert account["status"] == "unknown"
        assert account["reasons"] == [{"code": "deployment_refused", "detail": TEXT, "market": None}]
        assert account["collateral_value"] is account["health_factor"] is account["restore"] is None
        assert account["positions"] == account["perps"] == account["liquidation_prices"] == []
    assert (sound["status"], sound["deployment_id"]) == ("healthy", "pond-devnet")
    totals = body["totals"]
    assert (totals["collateral_usd"], totals["unknown_accounts"], totals["complete"]) == ("3000.00000000", 2, False)
    assert body["as_of"]["stale"] is False


async def test_blocks_before_the_trouble_are_answered_as_they_were_and_so_are_those_after_it(site: Site) -> None:
    await _two_ponds(site)
    past = (await site.get(f"/v1/wallets/{ALICE}", block_number=2)).json()
    assert past["troubled_deployments"] == []
    assert [account["status"] for account in past["accounts"]] == ["healthy", "healthy"]
    await site.set_aside(await site.commit(4, deployment_id="pond-bad"), None, "pond-bad")
    now = (await site.get(f"/v1/wallets/{ALICE}")).json()
    assert (now["troubled_deployments"], now["totals"]["unknown_accounts"]) == ([], 0)
    within = (await site.get(f"/v1/wallets/{ALICE}", block_number=3)).json()
    assert (within["troubled_deployments"], within["totals"]["unknown_accounts"]) == ([TOLD], 1)


async def test_a_wallet_without_accounts_is_told_of_the_trouble_too(site: Site) -> None:
    await _two_ponds(site)
    tag = (await site.get(f"/v1/wallets/{wallet(9)}")).headers["etag"]
    body = (await site.get(f"/v1/wallets/{wallet(9)}")).json()
    assert (body["accounts"], body["troubled_deployments"]) == ([], [TOLD])
    await site.set_aside(await site.commit(4), None, "pond-bad")
    assert (await site.get(f"/v1/wallets/{wallet(9)}")).headers["etag"] != tag


async def test_a_fork_forgets_the_trouble_it_drops(site: Site) -> None:
    await _two_ponds(site)
    await load_wallet_view(site.app.state.read_context, ALICE)
    await site.drop_above(2)
    await site.commit(3)
    assert (await site.get(f"/v1/wallets/{ALICE}")).json()["totals"]["unknown_accounts"] == 0


async def test_the_listing_the_counts_and_the_markets_leave_nothing_of_it_standing(site: Site) -> None:
    await _two_ponds(site)
    listed = (await site.get("/v1/accounts")).json()
    assert listed["troubled_deployments"] == [TOLD]
    assert [(i["deployment_id"], i["status"]) for i in listed["items"]] == [
        ("pond-bad", "unknown"),
        ("pond-devnet", "healthy"),
    ]
    by_id = {d["id"]: d for d in (await site.get("/v1/deployments")).json()["items"]}
    assert by_id["pond-bad"]["accounts"] == {"liquidatable": 0, "unknown": 1, "healthy": 0, "no_debt": 0}
    markets = (await site.get("/v1/markets")).json()
    assert {m["deployment_id"] for m in markets["items"]} == {"pond-devnet"}
    assert markets["troubled_deployments"] == [TOLD]


async def test_the_past_is_unknown_from_the_first_block_that_was_not_read(site: Site) -> None:
    await _two_ponds(site)
    await site.commit(4)
    histories = (await site.get(f"/v1/wallets/{ALICE}/history")).json()["accounts"]
    by_id = {h["deployment_id"]: [(p["block_number"], p["status"]) for p in h["points"]] for h in histories}
    assert by_id["pond-bad"] == [(2, "healthy"), (3, "unknown"), (4, "unknown")]
    assert {status for _, status in by_id["pond-devnet"]} == {"healthy"}


async def test_a_trouble_that_is_over_leaves_its_own_blocks_unknown_in_the_past(site: Site) -> None:
    await _two_ponds(site)
    await site.commit(4)
    await site.set_aside(await site.commit(5, deployment_id="pond-bad"), None, "pond-bad")
    await site.set_aside(await site.commit(6), TEXT, "pond-bad")
    await site.set_aside(await site.commit(7, deployment_id="pond-bad"), None, "pond-bad")
    (past,) = (await site.get(f"/v1/wallets/{ALICE}/history", deployment_id="pond-bad")).json()["accounts"]
    assert [p["status"] for p in past["points"]] == ["healthy", "unknown", "unknown", "healthy", "unknown", "healthy"]


async def test_its_chain_is_fresh_but_not_ready(site: Site) -> None:
    await _two_ponds(site)
    (chain,) = (await site.get("/v1/status")).json()["chains"]
    assert (chain["stale"], chain["ready"]) == (False, False)
    assert chain["troubled_deployments"] == [TOLD]
    assert chain["not_ready_reason"] == f"not read: pond-bad: {TEXT}"
    ready = await site.get("/ready")
    assert (ready.status_code, ready.json()["reasons"][0]["reason"]) == (503, f"not read: pond-bad: {TEXT}")
    assert 'waterline_troubled_deployments{chain="31337"} 1.0' in (await site.get("/metrics")).text
    await site.set_aside(await site.commit(4), None, "pond-bad")
    assert (await site.get("/ready")).status_code == 200
