"""The board, changes of status and the past of totals, as answers: of the monitor's block, and saying so."""

from __future__ import annotations

from typing import Any

import pytest

from app.api.board import BAND_EDGES
from app.api.frame.addresses import to_checksum
from app.book import BAND_EDGES as STORED_EDGES
from app.domain.account import AccountKey, Unreadable
from tests.fakes.pond import DOLLAR, ETHER, USD8, pond_account, pond_deployment, pond_records
from tests.fakes.site import DEVNET, EPOCH, Site, wallet
from tests.monitor.running import make_monitor

pytestmark = pytest.mark.database

SAFE, NEAR, BLIND = wallet(1), wallet(2), wallet(3)


async def _two_blocks(site: Site) -> None:
    """Two accounts that owe and one that cannot be read; then the price falls."""
    await site.register()
    await site.commit(
        1,
        [
            pond_account(SAFE, weth=ETHER, usdc_debt=1000 * DOLLAR),
            pond_account(NEAR, weth=ETHER, usdc_debt=2300 * DOLLAR),
            Unreadable(AccountKey("pond-devnet", BLIND), 1, "reverted"),
        ],
    )
    await make_monitor(site.database).run_until(1)
    await site.commit(2, records=pond_records(weth=2800 * USD8))
    await make_monitor(site.database).run_until(2)


async def _ok(site: Site, path: str, **query: object) -> Any:
    answer = await site.get(path, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_board_is_riskiest_first_and_of_the_monitors_block(site: Site) -> None:
    await _two_blocks(site)
    await site.commit(3, bare=True)
    board = await _ok(site, "/v1/risk/board")
    assert board["as_of"]["block_number"] == 2
    assert [(line["wallet"], line["status"], line["exact"]) for line in board["items"]] == [
        (to_checksum(NEAR), "liquidatable", True),
        (to_checksum(BLIND), "unknown", False),
        (to_checksum(SAFE), "healthy", True),
    ]
    near = board["items"][0]
    assert (near["health_factor"], near["debt_value"]) == ("0.973913043478260869", "2300.00000000")
    accounts = await _ok(site, "/v1/accounts")
    plain = [{k: v for k, v in line.items() if k != "exact"} for line in board["items"]]
    assert plain == accounts["items"]


async def test_the_board_can_be_narrowed(site: Site) -> None:
    await _two_blocks(site)
    one = await _ok(site, "/v1/risk/board", status="liquidatable")
    assert [line["wallet"] for line in one["items"]] == [to_checksum(NEAR)]
    assert len((await _ok(site, "/v1/risk/board", limit=2))["items"]) == 2
    assert (await site.get("/v1/risk/board", deployment_id="nowhere")).status_code == 404


async def test_without_a_monitor_there_is_no_board(site: Site) -> None:
    await site.register()
    await site.commit(1)
    answer = await site.get("/v1/risk/board")
    assert answer.status_code == 503
    assert "waterline monitor" in answer.json()["detail"]


async def test_accounts_of_a_deployment_that_is_set_aside_are_not_on_the_board_and_it_is_named(site: Site) -> None:
    await _two_blocks(site)
    await site.set_aside(await site.commit(3, bare=True), "refused")
    await make_monitor(site.database).run_until(3)
    board = await _ok(site, "/v1/risk/board")
    assert board["items"] == []
    assert [one["deployment_id"] for one in board["troubled_deployments"]] == ["pond-devnet"]


async def test_changes_come_newest_first_page_by_page(site: Site) -> None:
    await _two_blocks(site)
    await site.commit(3, records=pond_records(weth=1000 * USD8))
    await make_monitor(site.database).run_until(3)
    whole = await _ok(site, "/v1/risk/changes")
    assert [(c["block_number"], c["wallet"], c["from_status"], c["to_status"]) for c in whole["items"]] == [
        (3, to_checksum(SAFE), "healthy", "liquidatable"),
        (2, to_checksum(NEAR), "healthy", "liquidatable"),
    ]
    assert whole["items"][0]["health_factor"] == "0.800000000000000000"
    first = await _ok(site, "/v1/risk/changes", limit=1)
    second = await _ok(site, "/v1/risk/changes", limit=1, cursor=first["next_cursor"])
    assert first["items"] + second["items"] == whole["items"]
    assert (whole["next_cursor"], second["next_cursor"]) == (None, None)
    wrong = await site.get("/v1/risk/changes", limit=1, cursor=first["next_cursor"], to_status="healthy")
    assert (wrong.status_code, wrong.json()["type"]) == (400, "/problems/invalid-cursor")
    assert (await _ok(site, "/v1/risk/changes", to_status="healthy"))["items"] == []


async def test_changes_are_of_one_chain(site: Site) -> None:
    await _two_blocks(site)
    await site.register(pond_deployment(id="pond-far", chain_id=1))
    answer = await site.get("/v1/risk/changes")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-parameter")
    assert len((await _ok(site, "/v1/risk/changes", chain_id=DEVNET))["items"]) == 1
    assert len((await _ok(site, "/v1/risk/changes", deployment_id="pond-devnet"))["items"]) == 1


async def test_the_past_of_a_deployment_holds_counts_sums_and_utilisation(site: Site) -> None:
    await _two_blocks(site)
    past = await _ok(site, "/v1/deployments/pond-devnet/risk-history")
    assert (past["deployment_id"], past["chain_id"]) == ("pond-devnet", DEVNET)
    (series,) = past["series"]
    assert (series["measure"], series["value_currency"]) == ("USD", "USD")
    before, after = series["points"]
    assert (before["block_number"], after["block_timestamp"]) == (1, EPOCH + 2)
    assert [before[name] for name in ("liquidatable", "unknown", "healthy", "no_debt")] == [0, 1, 2, 0]
    assert [after[name] for name in ("liquidatable", "unknown", "healthy", "no_debt")] == [1, 1, 1, 0]
    assert (after["collateral"], after["capacity"], after["requirement"]) == ("5600.00", "4480.00", "3300.00")
    assert after["utilization"] == "0.736607"
    assert sum(after["bands"]) == 2
    assert (await site.get("/v1/deployments/nowhere/risk-history")).status_code == 404
    wrong = await site.get("/v1/deployments/pond-devnet/risk-history", from_block=2, to_block=1)
    assert wrong.status_code == 422


def test_the_bands_are_those_that_are_stored() -> None:
    assert tuple(map(float, BAND_EDGES)) == STORED_EDGES
