from __future__ import annotations

import base64
import json

import pytest

from app.domain.account import AccountKey, Unreadable
from tests.fakes.pond import DOLLAR, ETHER, USD8, pond_account, pond_deployment, pond_records
from tests.fakes.site import DEVNET, Site, open_site, wallet

pytestmark = pytest.mark.database


async def _walk(site: Site, limit: int, between: object = None, **filters: object) -> list[dict[str, object]]:
    """All items, page by page; `between` is awaited after each page with its number."""
    items: list[dict[str, object]] = []
    cursor, page = None, 0
    while True:
        answer = await site.get("/v1/accounts", limit=limit, cursor=cursor, **filters)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return items
        page += 1
        if callable(between):
            await between(page)


def _population(count: int) -> list[object]:
    """Wallet n owes n x 100 dollars against 1 ether at 3000: liquidatable from 25 on. Wallet 0 has no debt."""
    return [pond_account(wallet(n), weth=ETHER, usdc_debt=n * 100 * DOLLAR) for n in range(count)]


async def test_accounts_are_listed_riskiest_first(site: Site) -> None:
    await site.register()
    await site.commit(
        1,
        [
            pond_account(wallet(1), weth=ETHER),
            pond_account(wallet(2), weth=ETHER, usdc_debt=1200 * DOLLAR),
            Unreadable(AccountKey("pond-devnet", wallet(3)), 1, "reverts"),
            pond_account(wallet(4), weth=ETHER, usdc_debt=3000 * DOLLAR),
            pond_account(wallet(5), weth=ETHER, usdc_debt=2400 * DOLLAR),
        ],
    )
    body = (await site.get("/v1/accounts")).json()
    assert [(i["status"], i["health_factor"]) for i in body["items"]] == [
        ("liquidatable", "0.800000000000000000"),
        ("unknown", None),
        ("healthy", "1.000000000000000000"),
        ("healthy", "2.000000000000000000"),
        ("no_debt", None),
    ]
    assert body["items"][1]["collateral_value"] is None
    assert body["items"][3]["utilization"] == "0.500000000000000000"
    assert body["next_cursor"] is None
    assert body["as_of"]["block_number"] == 1


async def test_pages_are_complete_and_without_duplicates_while_blocks_arrive(site: Site) -> None:
    await site.register(pond_deployment(), pond_deployment(id="pond-two"))
    await site.commit(1, _population(23))  # type: ignore[arg-type]
    others = [
        pond_account(wallet(n), weth=ETHER, usdc_debt=n * 100 * DOLLAR, deployment_id="pond-two") for n in range(23)
    ]
    await site.commit(2, others, deployment_id="pond-two")
    whole = (await site.get("/v1/accounts", limit=200)).json()["items"]

    async def block_arrives(page: int) -> None:
        moved = pond_account(wallet(page), weth=ETHER, usdc_debt=(29 - page) * 100 * DOLLAR)
        await site.commit(2 + page, [moved], pond_records(weth=(3000 - 100 * page) * USD8))

    assert await _walk(site, 5, block_arrives) == whole
    assert len({(item["wallet"], item["deployment_id"]) for item in whole}) == 46


async def test_pages_turned_in_another_process_are_the_same(site: Site) -> None:
    await site.register()
    await site.commit(1, _population(9))  # type: ignore[arg-type]
    first = (await site.get("/v1/accounts", limit=4)).json()
    await site.commit(2, records=pond_records(weth=100 * USD8))
    other = open_site(site.database)
    other.now = site.now
    rest = (await other.get("/v1/accounts", limit=200, cursor=first["next_cursor"])).json()
    await other.client.aclose()
    assert rest["as_of"]["block_number"] == 1
    assert len(first["items"] + rest["items"]) == 9
    assert {item["status"] for item in rest["items"]} == {"healthy", "no_debt"}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"status": "liquidatable"}, [29, 28, 27, 26, 25]),
        ({"status": "no_debt"}, [0]),
        ({"status": "unknown"}, []),
        ({"max_health_factor": "1"}, [29, 28, 27, 26, 25, 24]),
        ({"max_health_factor": "1", "status": "healthy"}, [24]),
        ({"max_health_factor": "0.9"}, [29, 28, 27]),
        ({"max_health_factor": "0"}, []),
        ({"max_health_factor": "1", "status": "no_debt"}, []),
        ({"protocol": "nothing"}, []),
        ({"deployment_id": "pond-devnet", "status": "no_debt"}, [0]),
        ({"chain_id": DEVNET, "status": "no_debt", "protocol": "pond"}, [0]),
    ],
)
async def test_filters_choose_and_keep_the_order(site: Site, filters: dict[str, object], expected: list[int]) -> None:
    await site.register()
    await site.commit(1, _population(30))  # type: ignore[arg-type]
    names = {str(wallet(n)): n for n in range(30)}
    for limit in (1, 2, 200):
        items = await _walk(site, limit, **filters)
        assert [names[str(item["wallet"]).lower()] for item in items] == expected


async def test_a_cursor_of_replaced_blocks_or_of_long_ago_ends_the_listing(site: Site) -> None:
    await site.register()
    await site.commit(1, _population(9))  # type: ignore[arg-type]
    await site.commit(2)
    cursor = (await site.get("/v1/accounts", limit=4)).json()["next_cursor"]
    await site.drop_above(1)
    gone = await site.get("/v1/accounts", cursor=cursor, limit=4)
    await site.commit(2, fork=1)
    replaced = await site.get("/v1/accounts", cursor=cursor, limit=4)
    assert gone.status_code == replaced.status_code == 410
    assert replaced.json()["type"] == "/problems/cursor-expired"
    cursor = (await site.get("/v1/accounts", limit=4)).json()["next_cursor"]
    await site.commit(2 + 900)
    assert (await site.get("/v1/accounts", cursor=cursor)).status_code == 200
    await site.commit(2 + 901, bare=True)
    assert (await site.get("/v1/accounts", cursor=cursor)).status_code == 410


async def test_a_cursor_fits_its_own_filters_only(site: Site) -> None:
    await site.register()
    await site.commit(1, _population(9))  # type: ignore[arg-type]
    cursor = (await site.get("/v1/accounts", limit=4)).json()["next_cursor"]
    assert (await site.get("/v1/accounts", limit=7, cursor=cursor)).status_code == 200
    answer = await site.get("/v1/accounts", cursor=cursor, status="healthy")
    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/invalid-cursor"


async def test_what_is_no_cursor_is_refused(site: Site) -> None:
    await site.register()
    await site.commit(1, _population(9))  # type: ignore[arg-type]
    good = (await site.get("/v1/accounts", limit=4)).json()["next_cursor"]
    inside = json.loads(base64.urlsafe_b64decode(good + "=="))
    broken = [
        {**inside, "b": {"x": inside["b"][str(DEVNET)]}},
        {**inside, "b": {str(DEVNET): [10**30, "00" * 32]}},
        {**inside, "b": {str(DEVNET): [1.5, "00" * 32]}},
        {**inside, "h": "1.5"},
        {**inside, "w": "zz"},
        {**inside, "extra": 1},
        [],
        None,
    ]
    texts = [base64.urlsafe_b64encode(json.dumps(each).encode()).decode() for each in broken]
    for text in ["", "x", "é", good[:-5], good + "A", *texts]:
        answer = await site.get("/v1/accounts", cursor=text)
        assert answer.status_code == 400, text
        assert answer.json()["type"] == "/problems/invalid-cursor"


async def test_accounts_not_read_yet_are_counted_with_the_deployment_not_listed(site: Site) -> None:
    from app.domain.batch import DueAccount

    await site.register()
    await site.commit(1, _population(2))  # type: ignore[arg-type]
    await site.queue([DueAccount(AccountKey("pond-devnet", wallet(7)), frozenset())])
    assert len((await site.get("/v1/accounts")).json()["items"]) == 2
    (deployment,) = (await site.get("/v1/deployments")).json()["items"]
    assert deployment["pending_reads"] == 1


async def test_without_any_block_the_listing_is_empty_and_stale(site: Site) -> None:
    await site.register()
    body = (await site.get("/v1/accounts")).json()
    assert body["items"] == []
    assert body["as_of"]["stale"] is True


async def test_with_nothing_followed_at_all_it_is_a_problem_to_come_back_for(site: Site) -> None:
    for path in ("/v1/accounts", f"/v1/wallets/{wallet(1)}"):
        answer = await site.get(path)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
