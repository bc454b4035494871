"""Deployments, markets, status, probes and metrics."""

from __future__ import annotations

import re

import pytest

from app.api.frame.deps import ApiOptions
from app.domain.account import AccountKey, Unreadable
from app.domain.batch import DueAccount, ScanRange
from app.domain.endpoint import EndpointHealth, EndpointStatus, LearnedLimits
from app.store.endpoints import note_endpoints
from app.store.postgres.engine import Database
from app.store.scans import plan_scan
from tests.fakes.pond import DOLLAR, ETHER, WETH, pond_account, pond_deployment, pond_records
from tests.fakes.site import DEVNET, EPOCH, Site, open_site, wallet

pytestmark = pytest.mark.database


async def test_a_deployment_says_how_far_it_is_and_how_many_accounts_it_has(site: Site) -> None:
    await site.register()
    await site.commit(
        5,
        [
            pond_account(wallet(1), weth=ETHER),
            pond_account(wallet(2), weth=ETHER, usdc_debt=1200 * DOLLAR),
            pond_account(wallet(3), weth=ETHER, usdc_debt=3000 * DOLLAR),
            Unreadable(AccountKey("pond-devnet", wallet(4)), 5, "reverts"),
        ],
    )
    async with site.database.write() as session:
        await plan_scan(session, ScanRange("pond-devnet", 1, 4))
    await site.queue([DueAccount(AccountKey("pond-devnet", wallet(9)), frozenset())])
    (item,) = (await site.get("/v1/deployments")).json()["items"]
    assert item["accounts"] == {"liquidatable": 1, "unknown": 1, "healthy": 1, "no_debt": 1}
    assert (item["rules"], item["rules_samples"]) == ("confirmed", 5)
    assert item["scan_remaining_blocks"] == 4
    assert item["pending_reads"] == 2  # the one never read, and the one to be read again
    assert (item["id"], item["chain_id"], item["protocol"]) == ("pond-devnet", DEVNET, "pond")


async def test_rules_that_were_never_confirmed_and_deployments_never_indexed_say_so(site: Site) -> None:
    await site.register(pond_deployment(), pond_deployment(id="pond-base", chain_id=8453))
    await site.commit(5, records=pond_records(samples=None))
    by_id = {item["id"]: item for item in (await site.get("/v1/deployments")).json()["items"]}
    assert (by_id["pond-devnet"]["rules"], by_id["pond-devnet"]["rules_samples"]) == ("unconfirmed", None)
    assert (by_id["pond-base"]["rules"], by_id["pond-base"]["accounts"]) == ("unknown", None)
    only = (await site.get("/v1/deployments", chain_id=8453)).json()
    assert [item["id"] for item in only["items"]] == ["pond-base"]


async def test_nothing_followed_is_an_empty_list(site: Site) -> None:
    assert (await site.get("/v1/deployments")).json() == {"as_of": None, "items": []}


async def test_markets_show_the_price_every_number_rests_on(site: Site) -> None:
    await site.register()
    await site.commit(5, records=pond_records(usdc=None, updated_at=EPOCH))
    body = (await site.get("/v1/markets", deployment_id="pond-devnet")).json()
    usdc, weth = body["items"]
    assert (weth["market"], weth["symbol"], weth["decimals"]) == (WETH.code, "WETH", 18)
    assert (weth["price"], weth["price_updated_at"], weth["price_age_seconds"]) == ("3000.00000000", EPOCH, 5)
    assert usdc["price"] is None
    assert weth["total_supplied"] is weth["supply_rate"] is None
    assert (weth["deployment_id"], weth["chain_id"], weth["value_currency"]) == ("pond-devnet", DEVNET, "USD")
    assert body["as_of"]["block_number"] == 5
    missing = await site.get("/v1/markets", deployment_id="nothing")
    assert missing.status_code == 404
    assert "pond-devnet" in missing.json()["detail"]


async def test_markets_are_those_of_every_deployment_or_of_one_chain(site: Site) -> None:
    assert (await site.get("/v1/markets")).status_code == 503
    await site.register(pond_deployment(), pond_deployment(id="pond-base", chain_id=8453))
    await site.commit(5)
    await site.commit(9, records=pond_records("pond-base"), chain_id=8453, deployment_id="pond-base")
    shown = [(m["deployment_id"], m["symbol"]) for m in (await site.get("/v1/markets")).json()["items"]]
    both = ["pond-base", "pond-devnet"]
    assert shown == [(one, symbol) for one in both for symbol in ("USDC", "WETH")]
    base = (await site.get("/v1/markets", chain_id=8453)).json()
    assert ({m["deployment_id"] for m in base["items"]}, base["as_of"]["block_number"]) == ({"pond-base"}, 9)


async def test_markets_come_in_pages_that_leave_out_and_repeat_nothing(site: Site) -> None:
    ponds = ["pond-a", "pond-b", "pond-c"]
    await site.register(*(pond_deployment(id=pond) for pond in ponds))
    for number, pond in enumerate(ponds, 1):
        await site.commit(number, records=pond_records(pond), deployment_id=pond)
    whole = (await site.get("/v1/markets")).json()
    assert (len(whole["items"]), whole["next_cursor"]) == (6, None)
    for limit in (1, 2, 4, 5, 6):
        items, cursor = [], None
        for _ in range(len(whole["items"])):
            page = (await site.get("/v1/markets", limit=limit, cursor=cursor)).json()
            items += page["items"]
            assert len(page["items"]) <= limit
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert [(m["deployment_id"], m["market"]) for m in items] == [
            (m["deployment_id"], m["market"]) for m in whole["items"]
        ]


async def test_a_cursor_of_markets_is_for_its_own_listing(site: Site) -> None:
    await site.register()
    await site.commit(1)
    cursor = (await site.get("/v1/markets", limit=1)).json()["next_cursor"]
    for path, parameters in (
        ("/v1/markets", {"chain_id": DEVNET, "cursor": cursor}),
        ("/v1/markets", {"cursor": "abc"}),
        ("/v1/accounts", {"cursor": cursor}),
    ):
        answer = await site.get(path, **parameters)
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-cursor")
    assert (await site.get("/v1/markets", limit=501)).status_code == 422


async def test_status_tells_all_of_a_chain(site: Site) -> None:
    await site.register()
    await site.commit(3)
    await site.commit(9)
    await site.observe(12)
    site.now = EPOCH + 20
    body = (await site.get("/v1/status")).json()
    as_of = body.pop("as_of")
    assert (as_of["block_number"], as_of["lag_seconds"], as_of["stale"]) == (9, 11, False)
    assert body == {
        "ready": True,
        "time": EPOCH + 20,
        "chains": [
            {
                "chain_id": DEVNET,
                "chain": "Devnet",
                "ready": True,
                "head_number": 12,
                "head_timestamp": EPOCH + 12,
                "safe_number": 10,
                "finalized_number": 8,
                "indexed_number": 9,
                "indexed_timestamp": EPOCH + 9,
                "first_stored_number": 3,
                "blocks_behind": 3,
                "lag_seconds": 11,
                "observed_seconds_ago": 8,
                "pending_reads": 0,
                "unread_accounts": 0,
                "scan_remaining_blocks": 0,
                "stale": False,
                "stale_reason": None,
                "not_ready_reason": None,
                "troubled_deployments": [],
                "endpoints": [],
            }
        ],
    }


async def test_status_tells_of_each_endpoint_by_number_and_host(site: Site) -> None:
    await site.observe(12)
    limits = LearnedLimits(2_000, 250, None)
    down = EndpointStatus(DEVNET, 2, "b.example:8545", EndpointHealth.DOWN, 9, 3, 0.5, None, "no answer", limits)
    well = EndpointStatus(DEVNET, 1, "a.example", EndpointHealth.HEALTHY, 12, 0, 0.0, 0.0841, None)
    async with site.database.write() as session:
        await note_endpoints(session, [well, down], EPOCH + 15)
    site.now = EPOCH + 20
    (chain,) = (await site.get("/v1/status")).json()["chains"]
    assert [(one["number"], one["host"], one["health"], one["latency_ms"]) for one in chain["endpoints"]] == [
        (1, "a.example", "healthy", 84),
        (2, "b.example:8545", "down", None),
    ]
    second = chain["endpoints"][1]
    assert (second["lag_blocks"], second["error_share"], second["trouble"]) == (3, "0.500", "no answer")
    assert (second["range_blocks"], second["chunk_calls"], second["observed_seconds_ago"]) == (2_000, 250, 5)
    told = (await site.get("/metrics")).text
    assert 'waterline_chain_endpoint_healthy{chain="31337",endpoint="#2 b.example:8545"} 0.0' in told


@pytest.mark.parametrize(
    ("age", "silence", "trouble", "reason"),
    [
        (0, 0, None, None),
        (30, 30, None, None),
        (31, 0, None, "31 seconds old"),
        (31, 61, None, "silent for 61 seconds"),
        (0, 0, "node: connection refused", "connection refused"),
    ],
)
async def test_staleness_has_a_reason_wherever_it_shows(
    site: Site, age: int, silence: int, trouble: str | None, reason: str | None
) -> None:
    await site.register()
    await site.commit(100, [pond_account(wallet(1), weth=ETHER)])
    site.now = EPOCH + 100 + age
    await site.observe(100, observed_at=site.now - silence, trouble=trouble)
    as_of = (await site.get(f"/v1/wallets/{wallet(1)}")).json()["accounts"][0]["as_of"]
    ready = await site.get("/ready")
    status = (await site.get("/v1/status")).json()
    assert as_of["stale"] is status["chains"][0]["stale"] is (reason is not None)
    assert ready.status_code == (200 if reason is None else 503)
    assert ready.json()["ready"] is status["ready"] is (reason is None)
    if reason is not None:
        assert reason in as_of["stale_reason"]
        assert reason in ready.json()["reasons"][0]["reason"]
    assert as_of["lag_seconds"] == age


async def test_a_clock_behind_the_chain_gives_no_negative_age(site: Site) -> None:
    await site.register()
    await site.commit(100)
    site.now = EPOCH + 90
    assert (await site.get(f"/v1/wallets/{wallet(1)}")).json()["as_of"]["lag_seconds"] == 0


@pytest.mark.parametrize(("number", "finality"), [(6, "finalized"), (7, "safe"), (8, "safe"), (9, "latest")])
async def test_finality_is_what_the_chain_last_said_of_the_height(site: Site, number: int, finality: str) -> None:
    await site.register()
    await site.commit(6)
    for each in (7, 8, 9, 10):
        await site.commit(each, bare=True)
    body = (await site.get(f"/v1/wallets/{wallet(1)}", block_number=number)).json()
    assert body["as_of"]["finality"] == finality


async def test_ready_waits_for_every_configured_chain_and_no_other(database: Database) -> None:
    site = open_site(database, ApiOptions(chain_ids=(DEVNET, 8453)))
    await site.register(pond_deployment(), pond_deployment(id="pond-op", chain_id=10))
    await site.commit(5)
    answer = await site.get("/ready")
    assert answer.status_code == 503
    assert [each["chain_id"] for each in answer.json()["reasons"]] == [8453]
    await site.commit(5, chain_id=8453, bare=True)
    assert (await site.get("/ready")).status_code == 200
    await site.client.aclose()


async def test_nothing_followed_is_not_ready(site: Site) -> None:
    answer = await site.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == [{"chain_id": None, "reason": "no chain is followed yet"}]


async def test_without_a_database_the_process_is_up_but_not_ready(tmp_path: object) -> None:
    site = open_site(Database(f"postgresql://waterline:secret@/gone?host={tmp_path}"))
    assert (await site.get("/health")).json() == {"status": "ok"}
    ready = await site.get("/ready")
    assert ready.status_code == 503
    assert "database" in ready.json()["reasons"][0]["reason"]
    asked = await site.get(f"/v1/wallets/{wallet(1)}")
    assert asked.status_code == 503
    assert asked.headers["retry-after"] == "1"
    metrics = await site.get("/metrics")
    assert "waterline_database_up 0.0" in metrics.text
    for answer in (ready, asked, metrics):
        assert str(tmp_path) not in answer.text
        assert "secret" not in answer.text
    await site.client.aclose()


async def test_metrics_have_base_units_and_never_a_wallet(site: Site) -> None:
    await site.register()
    await site.commit(5, [pond_account(wallet(1), weth=ETHER)])
    await site.get(f"/v1/wallets/{wallet(1)}")
    await site.get(f"/v1/wallets/{wallet(1)}", chain_id="x")
    await site.get("/nowhere/0x123")
    answer = await site.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert f'waterline_last_indexed_block{{chain="{DEVNET}"}} 5.0' in answer.text
    assert f'waterline_snapshot_age_seconds{{chain="{DEVNET}"}} 0.0' in answer.text
    assert f'waterline_chain_ready{{chain="{DEVNET}"}} 1.0' in answer.text
    counted = 'waterline_http_requests_total{method="GET",route="/v1/wallets/{address}",status='
    assert counted + '"200"} 1.0' in answer.text
    assert counted + '"422"} 1.0' in answer.text
    assert 'route="none",status="404"} 1.0' in answer.text
    assert not re.search("0x[0-9a-fA-F]{3}", answer.text)


async def test_while_old_blocks_are_searched_nothing_is_ready_and_every_wallet_says_so(site: Site) -> None:
    await site.register()
    await site.commit(3)
    await site.observe(3)
    async with site.database.write() as session:
        await plan_scan(session, ScanRange("pond-devnet", 1, 2))
    answer = await site.get("/ready")
    assert answer.status_code == 503
    assert "2 old blocks are still to be searched" in answer.text
    wallet = (await site.get(f"/v1/wallets/{'0x' + '11' * 20}")).json()
    assert wallet["accounts"] == []
    assert wallet["scan_remaining_blocks"] == 2
    assert wallet["as_of"]["stale"] is False
