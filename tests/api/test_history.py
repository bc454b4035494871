from __future__ import annotations

import pytest

from app.domain.account import AccountKey, Unreadable
from tests.fakes.pond import DOLLAR, ETHER, USD8, pond_account, pond_deployment, pond_records
from tests.fakes.site import DEVNET, EPOCH, Site, wallet

ALICE = wallet(1)
PATH = f"/v1/wallets/{ALICE}/history"

pytestmark = pytest.mark.database


async def _three_blocks(site: Site) -> None:
    await site.register()
    await site.commit(10, [pond_account(ALICE, weth=ETHER, usdc_debt=2000 * DOLLAR)])
    await site.commit(11, records=pond_records(weth=2400 * USD8))
    await site.commit(12, [pond_account(ALICE, weth=ETHER, usdc_debt=1200 * DOLLAR)], pond_records(weth=2400 * USD8))


async def test_the_past_is_recomputed_exactly_and_marks_the_accounts_own_changes(site: Site) -> None:
    await _three_blocks(site)
    body = (await site.get(PATH, deployment_id="pond-devnet")).json()
    (account,) = body["accounts"]
    assert (account["from_block"], account["to_block"], account["complete"]) == (10, 12, True)
    assert (account["deployment_id"], account["chain_id"], account["protocol"]) == ("pond-devnet", DEVNET, "pond")
    assert [
        (p["block_number"], p["block_timestamp"], p["status"], p["health_factor"], p["is_change"])
        for p in account["points"]
    ] == [
        (10, EPOCH + 10, "healthy", "1.200000000000000000", True),
        (11, EPOCH + 11, "liquidatable", "0.960000000000000000", False),
        (12, EPOCH + 12, "healthy", "1.600000000000000000", True),
    ]
    assert account["points"][1]["collateral_value"] == "2400.00000000"
    assert account["value_currency"] == "USD"


async def test_a_point_is_what_the_wallet_answer_was_at_that_block(site: Site) -> None:
    await _three_blocks(site)
    points = (await site.get(PATH, deployment_id="pond-devnet")).json()["accounts"][0]["points"]
    for point in points:
        past = (await site.get(f"/v1/wallets/{ALICE}", block_number=point["block_number"])).json()["accounts"][0]
        for field in ("status", "health_factor", "utilization", "collateral_value", "debt_value"):
            assert past[field] == point[field]


async def test_range_and_limit_are_kept_to(site: Site) -> None:
    await site.register()
    for number in range(1, 41):
        changed = [pond_account(ALICE, weth=ETHER * number)] if number % 2 else []
        await site.commit(number, changed)
    body = (await site.get(PATH, deployment_id="pond-devnet", from_block=11, to_block=30, limit=10)).json()
    points = body["accounts"][0]["points"]
    numbers = [p["block_number"] for p in points]
    assert numbers == sorted(set(numbers))
    assert len(numbers) <= 10
    assert min(numbers) >= 11
    assert max(numbers) <= 30
    assert {21, 23, 25, 27, 29} <= {p["block_number"] for p in points if p["is_change"]}
    assert body["accounts"][0]["complete"] is False
    few = (await site.get(PATH, deployment_id="pond-devnet", from_block=30, to_block=33, limit=10)).json()
    assert few["accounts"][0]["complete"] is True
    assert [p["block_number"] for p in few["accounts"][0]["points"]] == [30, 31, 32, 33]


async def test_an_outage_in_the_past_is_unknown_there(site: Site) -> None:
    await site.register()
    await site.commit(1, [pond_account(ALICE, weth=ETHER, usdc_debt=DOLLAR)])
    await site.commit(2, [Unreadable(AccountKey("pond-devnet", ALICE), 2, "reverts")])
    await site.commit(3, [pond_account(ALICE, weth=ETHER, usdc_debt=DOLLAR)], pond_records(weth=None))
    points = (await site.get(PATH, deployment_id="pond-devnet")).json()["accounts"][0]["points"]
    assert [p["status"] for p in points] == ["healthy", "unknown", "unknown"]
    assert points[1]["collateral_value"] is points[2]["health_factor"] is None


async def test_a_wallet_without_a_past_has_no_accounts(site: Site) -> None:
    await _three_blocks(site)
    answer = await site.get(f"/v1/wallets/{wallet(2)}/history", deployment_id="pond-devnet")
    assert answer.status_code == 200
    assert answer.json()["accounts"] == []


@pytest.mark.parametrize(
    ("parameters", "status", "problem"),
    [
        ({"chain_id": 5}, 404, "unknown-chain"),
        ({"from_block": 12, "to_block": 11}, 422, "invalid-parameter"),
        ({"deployment_id": "nothing"}, 404, "unknown-deployment"),
        ({"deployment_id": "pond-devnet", "limit": 1}, 422, "invalid-parameter"),
        ({"deployment_id": "pond-devnet", "limit": 401}, 422, "invalid-parameter"),
        ({"deployment_id": "pond-devnet", "from_block": 12, "to_block": 11}, 422, "invalid-parameter"),
        ({"deployment_id": "pond-devnet", "to_block": 13}, 404, "block-not-stored"),
        ({"deployment_id": "pond-devnet", "from_block": 1, "to_block": 9}, 404, "block-not-stored"),
        ({"deployment_id": "pond-devnet", "from_block": -1}, 422, "invalid-parameter"),
    ],
)
async def test_what_cannot_be_answered_is_a_problem(
    site: Site, parameters: dict[str, object], status: int, problem: str
) -> None:
    await _three_blocks(site)
    answer = await site.get(PATH, **parameters)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{problem}")


async def test_a_caip10_address_must_be_on_the_deployments_chain(site: Site) -> None:
    await _three_blocks(site)
    right = await site.get(f"/v1/wallets/eip155:{DEVNET}:{ALICE}/history", deployment_id="pond-devnet")
    wrong = await site.get(f"/v1/wallets/eip155:1:{ALICE}/history", deployment_id="pond-devnet")
    assert (right.status_code, wrong.status_code) == (200, 404)


async def test_without_a_deployment_the_past_is_that_of_every_account_of_the_wallet(site: Site) -> None:
    await _three_blocks(site)
    other = pond_deployment(id="pond-base", chain_id=8453)
    await site.register(pond_deployment(), other)
    theirs = pond_account(ALICE, deployment_id="pond-base", weth=ETHER, usdc_debt=DOLLAR)
    await site.commit(500, [theirs], pond_records("pond-base"), chain_id=8453, deployment_id="pond-base")
    body = (await site.get(PATH)).json()
    shown = [(a["deployment_id"], a["from_block"], a["to_block"], len(a["points"])) for a in body["accounts"]]
    assert shown == [("pond-base", 500, 500, 1), ("pond-devnet", 10, 12, 3)]
    assert sorted(chain["chain_id"] for chain in body["chains"]) == [8453, DEVNET]
    assert body["as_of"] in body["chains"]
    alone = (await site.get(PATH, deployment_id="pond-devnet")).json()
    assert alone["accounts"] == (await site.get(PATH, chain_id=DEVNET)).json()["accounts"] == body["accounts"][1:]
    ranged = await site.get(PATH, from_block=10)
    assert (ranged.status_code, ranged.json()["type"]) == (422, "/problems/invalid-parameter")
    assert (await site.get(PATH, from_block=11, chain_id=DEVNET)).json()["accounts"][0]["from_block"] == 11
