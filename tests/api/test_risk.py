"""/v1/risk: whole markets over a real database, kept current through blocks and reorgs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.api.frame.addresses import to_checksum
from app.domain.chain import Address
from app.protocols.base import Adapter
from app.store.postgres.engine import Database
from tests.book.lake import UNLISTED, LakeAdapter
from tests.fakes.perp import LOT, USD6, find_fake, tide_account, tide_deployment
from tests.fakes.pond import DOLLAR, ETHER, USD8, WETH, pond_account, pond_deployment, pond_records
from tests.fakes.site import DEVNET, EPOCH, Site, open_site, wallet

pytestmark = pytest.mark.database

LISTED = [one for one in map(wallet, range(200)) if one[0] >= UNLISTED]
"""Wallets with legs."""
ALICE, BOB, CAROL, DAVE = LISTED[:4]
EVE = next(one for one in map(wallet, range(200)) if one[0] < UNLISTED)
CURVE = "/v1/risk/liquidation-curve"


def find_adapter(slug: str) -> Adapter:
    return LakeAdapter() if slug == "pond" else find_fake(slug)


@pytest.fixture
async def site(database: Database) -> AsyncIterator[Site]:
    opened = open_site(database, find_adapter=find_adapter)
    yield opened
    await opened.client.aclose()
    await opened.app.state.read_context.aclose()


@pytest.fixture
async def lake(site: Site) -> Site:
    """Alice falls at -25 %, Bob at -50 %, Carol at a rise by 25 %; Dave owes nothing. WETH is at 3,000."""
    await site.register()
    await site.commit(
        5,
        [
            pond_account(ALICE, weth=ETHER, usdc_debt=1800 * DOLLAR),
            pond_account(BOB, weth=ETHER, usdc_debt=1200 * DOLLAR),
            pond_account(CAROL, usdc=4687_500_000, weth_debt=ETHER),
            pond_account(DAVE, weth=ETHER),
        ],
    )
    return site


async def got(site: Site, path: str, **parameters: object) -> dict[str, Any]:
    answer = await site.get(path, **parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def simulated(site: Site, change: str, **more: object) -> dict[str, Any]:
    body = {"moves": [{"group": "eth", "change": change}], **more}
    answer = await site.client.post("/v1/risk/simulate", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_summary_says_who_is_where_and_who_owes_most(lake: Site) -> None:
    view = await got(lake, "/v1/risk/summary")
    assert view["as_of"]["block_number"] == 5
    lending = view["lending"]
    assert lending["accounts"] == {"liquidatable": 0, "unknown": 0, "healthy": 3, "no_debt": 1}
    assert (lending["collateral_usd"], lending["requirement_usd"]) == ("13687.50", "6000.00")
    assert lending["utilization"] == "0.547945"
    assert [(b["at_least"], b["accounts"]) for b in lending["health"] if b["accounts"]] == [
        ("1.25", 2),
        ("2", 1),
    ]
    assert view["per_chain"][0]["lending"] == lending
    assert view["deployments"][0]["deployment_id"] == "pond-devnet"
    largest = view["concentration"]["accounts"][0]
    assert (largest["wallet"], largest["debt_usd"], largest["share"]) == (to_checksum(CAROL), "3000.00", "0.500000")
    assert view["excluded"] == {"unknown_accounts": 0, "unconverted_accounts": 0, "outside_book_accounts": 0}


async def test_a_groups_curve_has_101_points_and_falls_where_accounts_do(lake: Site) -> None:
    view = await got(lake, CURVE, group="eth")
    assert (view["moves"][0], view["moves"][50], view["moves"][-1], len(view["moves"])) == ("-0.5", "0", "0.5", 101)
    at = dict(zip(view["moves"], view["lending"]["accounts"], strict=True))
    assert (at["-0.49"], at["-0.26"], at["-0.24"], at["0"], at["0.24"], at["0.26"]) == (1, 1, 0, 0, 0, 1)
    debt = dict(zip(view["moves"], view["lending"]["debt_usd"], strict=True))
    assert (debt["-0.26"], debt["0.26"]) == ("1800.00", "3780.00")
    assert view["deployments"][0]["accounts"] == view["lending"]["accounts"]


async def test_a_markets_curve_moves_its_token_alone(lake: Site) -> None:
    view = await got(
        lake, f"/v1/markets/pond-devnet/{WETH.code}/liquidation-curve", **{"from": "-0.6", "to": 0, "points": 4}
    )
    assert view["moves"] == ["-0.6", "-0.4", "-0.2", "0"]
    assert (view["moved"], view["asset"]) == ("WETH", to_checksum(WETH.asset))
    assert view["lending"]["accounts"] == [2, 1, 0, 0]


@pytest.mark.parametrize(
    ("path", "parameters", "status"),
    [
        (CURVE, {"group": "cheese"}, 422),
        (CURVE, {"group": "other"}, 422),
        (CURVE, {"group": "eth", "from": 0.5, "to": 0.1}, 422),
        (CURVE, {"group": "eth", "from": -1}, 422),
        (CURVE, {"group": "eth", "points": 100_000}, 422),
        (CURVE, {"group": "eth", "chain_id": 5}, 404),
        ("/v1/risk/summary", {"chain_id": 5}, 404),
        ("/v1/markets/pond-devnet/nothing/liquidation-curve", {}, 404),
        ("/v1/markets/nobody/nothing/liquidation-curve", {}, 404),
    ],
)
async def test_what_cannot_be_asked_is_said(lake: Site, path: str, parameters: dict[str, object], status: int) -> None:
    answer = await lake.get(path, **parameters)
    if answer.status_code != status:
        status = {422: 400}.get(status, status)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")


async def test_the_book_moves_with_the_blocks_and_back_with_a_reorg(lake: Site) -> None:
    before = await got(lake, "/v1/risk/summary")
    await lake.commit(6, [pond_account(ALICE, weth=ETHER, usdc_debt=2500 * DOLLAR, block_number=6)])
    after = await got(lake, "/v1/risk/summary")
    assert after["as_of"]["block_number"] == 6
    assert after["lending"]["accounts"]["liquidatable"] == 1
    await lake.drop_above(5)
    again = await got(lake, "/v1/risk/summary")
    assert again["lending"] == before["lending"]
    await lake.commit(6, [], pond_records(weth=2000 * USD8))
    assert (await got(lake, "/v1/risk/summary"))["lending"]["accounts"]["liquidatable"] == 1


async def test_many_who_ask_at_once_get_one_answer_made_once(lake: Site) -> None:
    answers = await asyncio.gather(*(got(lake, CURVE, group="eth") for _ in range(8)), got(lake, "/v1/risk/summary"))
    assert all(answer == answers[0] for answer in answers[:8])
    assert len(lake.app.state.read_context.risk_views._kept) == 2


async def test_an_answer_from_memory_has_its_age_of_now(lake: Site) -> None:
    await got(lake, "/v1/risk/summary")
    lake.now = EPOCH + 5000
    assert (await got(lake, "/v1/risk/summary"))["as_of"]["stale"]


async def test_a_simulation_names_who_falls(lake: Site) -> None:
    view = await simulated(lake, "-0.3", impact={"depth_usd": {}})
    assert (view["liquidatable_now"], view["liquidatable_after"], view["fallen_accounts"]) == (0, 1, 1)
    assert view["fallen"] == [{"wallet": to_checksum(ALICE), "deployment_id": "pond-devnet", "unit": ""}]
    assert view["at_move"] == view["at_rest"]
    assert view["at_move"]["debt_usd"] == "1800.00"
    assert view["at_move"]["collateral_usd"] == "2100.00"


async def test_a_rise_names_who_recovers(lake: Site) -> None:
    await lake.commit(6, [], pond_records(weth=2000 * USD8))
    view = await simulated(lake, "0.5")
    assert (view["liquidatable_now"], view["liquidatable_after"], view["recovered_accounts"]) == (1, 0, 1)
    assert view["recovered"][0]["wallet"] == to_checksum(ALICE)


async def test_at_the_line_itself_the_exact_rule_decides(lake: Site) -> None:
    """At -25 % Alice's health is 1 to the last digit: not liquidatable, and with a hair less she is."""
    assert (await simulated(lake, "-0.25"))["liquidatable_after"] == 0
    assert (await simulated(lake, "-0.250000001"))["liquidatable_after"] == 1


async def test_sales_take_others_along_where_the_pool_is_shallow(lake: Site) -> None:
    view = await simulated(lake, "-0.3", impact={"depth_usd": {"eth": "50"}, "close_factor": "1", "bonus": "0.1"})
    assert (view["at_move"]["accounts"], view["at_rest"]["accounts"]) == (1, 2)
    assert view["is_at_rest"]
    assert [pool["pool"] for pool in view["pools"]] == ["eth"]
    assert float(view["pools"][0]["impact"]) < 0.72


@pytest.mark.parametrize(
    "body",
    [
        {"moves": [{"group": "eth", "change": "-1"}]},
        {"moves": [{"group": "cheese", "change": "0.1"}]},
        {"moves": [{"change": "0.1"}]},
        {"moves": [{"group": "eth", "change": "0.1"}] * 2},
        {"impact": {"close_factor": "0"}},
        {"impact": {"close_factor": "1.1"}},
        {"impact": {"bonus": "2"}},
        {"impact": {"depth_usd": {"eth": "0"}}},
        {"impact": {"depth_usd": {"volatile": "5"}}},
        {"impact": {"max_rounds": 0}},
        {"cheese": 1},
    ],
)
async def test_a_simulation_that_cannot_be_is_refused(lake: Site, body: dict[str, object]) -> None:
    answer = await lake.client.post("/v1/risk/simulate", json=body)
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")


async def test_accounts_outside_the_book_are_counted_and_decided_all_the_same(lake: Site) -> None:
    await lake.commit(6, [pond_account(EVE, weth=ETHER, usdc_debt=2000 * DOLLAR, block_number=6)])
    view = await simulated(lake, "-0.3")
    assert view["excluded"]["outside_book_accounts"] == 1
    assert view["liquidatable_after"] == 2
    assert view["at_move"]["accounts"] == 1
    assert (await got(lake, "/v1/risk/summary"))["lending"]["accounts"]["healthy"] == 4


async def test_a_deployment_that_is_set_aside_is_named_and_its_accounts_are_unknown(lake: Site) -> None:
    block = await lake.commit(6)
    await lake.set_aside(block, "the pool answers as something else")
    view = await got(lake, "/v1/risk/summary")
    assert view["lending"]["accounts"] == {"liquidatable": 0, "unknown": 4, "healthy": 0, "no_debt": 0}
    assert view["lending"]["requirement_usd"] == "0.00"
    assert [one["deployment_id"] for one in view["troubled_deployments"]] == ["pond-devnet"]
    assert view["excluded"]["unknown_accounts"] == 4
    assert sum((await got(lake, CURVE, group="eth"))["lending"]["accounts"]) == 0


async def test_what_is_counted_in_a_token_is_converted_by_another_markets_oracle(lake: Site) -> None:
    """Another pond on the same chain counts in what nothing converts: counted apart."""
    await lake.register(pond_deployment(id="mere-devnet", name="Mere", address=Address(b"\x91" * 20)))
    records = pond_records("mere-devnet", in_usd=False)
    account = pond_account(BOB, weth=ETHER, usdc_debt=2399 * DOLLAR, deployment_id="mere-devnet", block_number=6)
    await lake.commit(6, [account], records, deployment_id="mere-devnet")
    view = await got(lake, CURVE, group="eth")
    assert view["excluded"]["unconverted_accounts"] == 1
    at = view["moves"].index("-0.1")
    assert (view["lending"]["accounts"][at], view["lending"]["unconverted_accounts"][at]) == (1, 1)
    assert view["lending"]["debt_usd"][at] == "0.00"


async def test_perps_are_apart(lake: Site) -> None:
    await lake.register(tide_deployment())
    account = tide_account(BOB, cash=2000 * USD6, size=4 * LOT, entry=3100 * USD6)
    await lake.commit_tide(6, [account])
    view = await got(lake, "/v1/risk/summary")
    assert sum(view["perps"]["accounts"].values()) == 1
    assert sum(view["lending"]["accounts"].values()) == 4


async def test_before_anything_is_stored_it_is_said(site: Site) -> None:
    assert (await site.get("/v1/risk/summary")).status_code == 503


async def test_answers_carry_a_validator(lake: Site) -> None:
    first = await lake.get("/v1/risk/summary", chain_id=DEVNET)
    again = await lake.client.get(
        "/v1/risk/summary", params={"chain_id": DEVNET}, headers={"If-None-Match": first.headers["etag"]}
    )
    assert again.status_code == 304
