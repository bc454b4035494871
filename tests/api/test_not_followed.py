"""A deployment that nobody follows any more: nothing of it is shown now, and its past stays what it was."""

from __future__ import annotations

import pytest

from app.domain.account import AccountKey
from app.domain.batch import DueAccount, ScanRange
from app.store.scans import plan_scan
from tests.fakes.perp import tide_account, tide_deployment
from tests.fakes.pond import DOLLAR, ETHER, WETH, pond_account, pond_deployment
from tests.fakes.site import Site, wallet

ALICE = wallet(1)
LEFT = "pond-left"

pytestmark = pytest.mark.database


async def _leave_one(site: Site) -> None:
    """Alice is in two ponds; from block 3 on nobody follows the second."""
    await site.register(pond_deployment(), pond_deployment(id=LEFT))
    await site.commit(1, [pond_account(ALICE, weth=ETHER, usdc_debt=1000 * DOLLAR)])
    left = pond_account(ALICE, weth=ETHER, usdc_debt=1000 * DOLLAR, deployment_id=LEFT)
    await site.commit(2, [left], deployment_id=LEFT)
    await site.set_aside(await site.commit(3), "not followed", LEFT, is_followed=False)


async def test_nothing_of_it_is_shown_at_the_head(site: Site) -> None:
    await _leave_one(site)
    body = (await site.get(f"/v1/wallets/{ALICE}")).json()
    assert [account["deployment_id"] for account in body["accounts"]] == ["pond-devnet"]
    assert (body["troubled_deployments"], body["totals"]["complete"]) == ([], True)
    listed = (await site.get("/v1/accounts")).json()
    assert {item["deployment_id"] for item in listed["items"]} == {"pond-devnet"}
    assert [one["id"] for one in (await site.get("/v1/deployments")).json()["items"]] == ["pond-devnet"]
    markets = (await site.get("/v1/markets")).json()
    assert {market["deployment_id"] for market in markets["items"]} == {"pond-devnet"}
    assert (await site.get("/v1/markets", deployment_id=LEFT)).status_code == 404


async def test_a_chain_is_ready_whatever_is_left_to_do_for_it(site: Site) -> None:
    await _leave_one(site)
    async with site.database.write() as session:
        await plan_scan(session, ScanRange(LEFT, 1, 2))
    await site.queue([DueAccount(AccountKey(LEFT, ALICE, "not read yet"), frozenset())])
    (chain,) = (await site.get("/v1/status")).json()["chains"]
    assert (chain["ready"], chain["troubled_deployments"]) == (True, [])
    assert (chain["scan_remaining_blocks"], chain["pending_reads"]) == (0, 0)
    assert (await site.get("/ready")).status_code == 200
    assert (await site.get(f"/v1/wallets/{ALICE}")).json()["scan_remaining_blocks"] == 0


async def test_its_past_is_answered_as_it_was_and_unknown_from_then_on(site: Site) -> None:
    await _leave_one(site)
    past = (await site.get(f"/v1/wallets/{ALICE}", block_number=2)).json()
    assert [account["status"] for account in past["accounts"]] == ["healthy", "healthy"]
    (history,) = (await site.get(f"/v1/wallets/{ALICE}/history", deployment_id=LEFT)).json()["accounts"]
    assert [(p["block_number"], p["status"]) for p in history["points"]] == [(2, "healthy"), (3, "unknown")]


async def test_a_fork_below_brings_it_back(site: Site) -> None:
    await _leave_one(site)
    await site.drop_above(2)
    body = (await site.get(f"/v1/wallets/{ALICE}")).json()
    assert [account["deployment_id"] for account in body["accounts"]] == ["pond-devnet", LEFT]


async def test_its_oracle_converts_nothing_any_more(site: Site) -> None:
    await site.register(pond_deployment(), tide_deployment())
    await site.commit(1)
    await site.commit_tide(2, [tide_account(ALICE, cash=5 * 10**6)], measure=WETH.asset)
    before = (await site.get(f"/v1/wallets/{ALICE}")).json()["totals"]
    await site.set_aside(await site.commit_tide(3, measure=WETH.asset), "not followed", is_followed=False)
    after = (await site.get(f"/v1/wallets/{ALICE}")).json()["totals"]
    assert (before["complete"], after["complete"]) == (True, False)
