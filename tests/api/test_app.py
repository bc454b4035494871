"""What holds for every route: problems, headers, validators, the OpenAPI document, exact numbers, no crash."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.responses import Response

from app.api import (
    accounts,
    accuracy,
    board,
    deployments,
    history,
    market_simulation,
    markets,
    risk,
    simulate,
    status,
    tracking,
    wallets,
)
from app.api.frame.deps import ApiOptions
from app.api.watch import alert_routes, changes, channels, deliveries, episodes, members, rules, watchlists
from app.errors import Fatal
from app.store.postgres.engine import Database
from tests.fakes.pond import DOLLAR, ETHER, pond_account, pond_records
from tests.fakes.site import DEVNET, EPOCH, Site, block_ref, open_site, wallet

ALICE = wallet(1)
ROUTES = (
    f"/v1/wallets/{ALICE}",
    f"/v1/wallets/{ALICE}/history",
    "/v1/accounts?limit=2",
    "/v1/deployments",
    "/v1/markets",
    "/v1/accuracy",
    "/v1/status",
    "/ready",
    "/health",
)
VALIDATED = ROUTES[:5]

pytestmark = pytest.mark.database


async def _fill(site: Site) -> None:
    await site.register()
    accounts = [pond_account(wallet(n), weth=ETHER, usdc_debt=n * 500 * DOLLAR) for n in range(5)]
    await site.commit(7, accounts, pond_records(updated_at=EPOCH))


def _parse_strictly(text: str) -> Any:
    def refuse(number: str) -> Any:
        raise AssertionError(f"a JSON float: {number}")

    return json.loads(text, parse_float=refuse, parse_constant=refuse)


@pytest.mark.parametrize("route", ROUTES)
async def test_no_answer_holds_a_float(site: Site, route: str) -> None:
    await _fill(site)
    answer = await site.get(route)
    assert answer.status_code == 200
    assert _parse_strictly(answer.text)


@pytest.mark.parametrize("route", ROUTES[:7])
async def test_every_answer_says_as_of_which_block_without_any_parameter(site: Site, route: str) -> None:
    await _fill(site)
    as_of = (await site.get(route.partition("?")[0])).json()["as_of"]
    assert (as_of["chain_id"], as_of["block_number"], as_of["block_hash"]) == (DEVNET, 7, str(block_ref(7).hash))
    assert (as_of["lag_seconds"], as_of["finality"], as_of["stale"], as_of["stale_reason"]) == (
        0,
        "latest",
        False,
        None,
    )


@pytest.mark.parametrize("route", ROUTES)
async def test_every_answer_carries_a_request_id_and_security_headers(site: Site, route: str) -> None:
    await _fill(site)
    answer = await site.client.get(route, headers={"X-Request-ID": "my-id.1"})
    assert answer.headers["x-request-id"] == "my-id.1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["content-type"] == "application/json"
    other = await site.client.get(route, headers={"X-Request-ID": "bad\x7fid; drop"})
    assert re.fullmatch("[0-9a-f]{16}", other.headers["x-request-id"])


@pytest.mark.parametrize("route", VALIDATED)
async def test_an_answer_is_unchanged_until_its_block_is_another(site: Site, route: str) -> None:
    await _fill(site)
    first = await site.get(route)
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    for given_tag in (tag, tag.removeprefix("W/"), f'"x", {tag}', "*"):
        again = await site.client.get(route, headers={"If-None-Match": given_tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    site.now += 20  # older, though not stale: the same tag
    assert (await site.client.get(route, headers={"If-None-Match": tag})).status_code == 304
    await site.commit(8)
    after = await site.client.get(route, headers={"If-None-Match": tag})
    assert after.status_code == 200
    assert after.headers["etag"] != tag


@pytest.mark.parametrize("route", VALIDATED)
async def test_an_answer_that_became_stale_or_safer_is_another(site: Site, route: str) -> None:
    await _fill(site)
    tag = (await site.get(route)).headers["etag"]
    await site.observe(7, finalized_number=7)
    finalized = (await site.get(route)).headers["etag"]
    site.now += 31
    stale = (await site.get(route)).headers["etag"]
    assert len({tag, finalized, stale}) == 3


async def test_tags_tell_requests_apart(site: Site) -> None:
    await _fill(site)
    asked = [*VALIDATED, f"/v1/wallets/{wallet(2)}", f"/v1/wallets/{ALICE}?target_health_factor=2", "/v1/accounts"]
    assert len({(await site.get(route)).headers["etag"] for route in asked}) == len(asked)


async def test_answers_may_be_reused_for_less_than_a_block_time(database: Database) -> None:
    site = open_site(database)
    await site.register()
    await site.commit(7)
    assert "max-age=0" in (await site.get(f"/v1/wallets/{ALICE}")).headers["cache-control"]
    await site.commit(7, chain_id=1, bare=True)
    asked = await site.get(f"/v1/wallets/{ALICE}", chain_id=1)
    assert "max-age=6" in asked.headers["cache-control"]
    assert "no-store" in (await site.get("/v1/status")).headers["cache-control"]
    await site.client.aclose()


@pytest.mark.parametrize(
    ("method", "path", "status", "problem"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/v1/wallets", 404, "not-found"),
        ("GET", "/v1/wallets/", 404, "not-found"),
        ("POST", "/v1/accounts", 405, "method-not-allowed"),
        ("DELETE", f"/v1/wallets/{ALICE}", 405, "method-not-allowed"),
        ("GET", "/v1/wallets/vitalik.eth", 400, "invalid-address"),
        ("GET", "/v1/wallets/0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed", 400, "invalid-address"),
        ("GET", f"/v1/wallets/{ALICE}?chain_id=5", 404, "unknown-chain"),
        ("GET", f"/v1/wallets/{ALICE}?chain_id=x", 422, "invalid-parameter"),
        ("GET", f"/v1/wallets/{ALICE}?block_number=-1", 422, "invalid-parameter"),
        ("GET", f"/v1/wallets/{ALICE}?block_number={10**30}", 422, "invalid-parameter"),
        ("GET", f"/v1/wallets/eip155:5:{ALICE}?chain_id={DEVNET}", 422, "invalid-parameter"),
        ("GET", "/v1/accounts?limit=0", 422, "invalid-parameter"),
        ("GET", "/v1/accounts?limit=201", 422, "invalid-parameter"),
        ("GET", "/v1/accounts?status=fine", 422, "invalid-parameter"),
        ("GET", "/v1/accounts?max_health_factor=1.5x", 422, "invalid-parameter"),
        ("GET", f"/v1/accounts?max_health_factor={'9' * 79}", 422, "invalid-parameter"),
        ("GET", "/v1/accounts?cursor=abc", 400, "invalid-cursor"),
        ("GET", "/v1/markets?deployment_id=none", 404, "unknown-deployment"),
        ("GET", f"/v1/wallets/0x{'a' * 5000}", 400, "invalid-address"),
        ("GET", "/problems/none", 404, "not-found"),
    ],
)
async def test_every_error_is_a_problem(site: Site, method: str, path: str, status: int, problem: str) -> None:
    await _fill(site)
    answer = await site.client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "instance", "request_id"}
    assert body["type"] == f"/problems/{problem}"
    assert body["status"] == status
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["instance"] == path.partition("?")[0]
    assert (await site.get(body["type"])).json()["type"] == body["type"]


async def test_a_wrong_checksum_is_told_with_the_right_form(site: Site) -> None:
    answer = await site.get("/v1/wallets/0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed")
    assert "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed" in answer.json()["detail"]


@pytest.mark.parametrize("error", [RuntimeError("password=hunter2"), Fatal("password=hunter2")])
async def test_a_fault_inside_tells_nothing_of_itself(
    database: Database, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    site = open_site(database)

    @site.app.get("/broken")
    async def broken() -> Response:
        raise error

    answer = await site.get("/broken")
    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/internal-error"
    assert "hunter2" not in answer.text
    assert answer.json()["request_id"] in caplog.text
    await site.client.aclose()


async def test_browsers_of_other_origins_may_read_only_where_that_is_set(database: Database) -> None:
    for origins, allowed in (((), None), (("https://a.test",), "https://a.test")):
        site = open_site(database, ApiOptions(cors_origins=origins))
        answer = await site.client.get("/health", headers={"Origin": "https://a.test"})
        assert answer.headers.get("access-control-allow-origin") == allowed
        await site.client.aclose()


async def test_large_answers_are_compressed_for_those_who_can(site: Site) -> None:
    await site.register()
    await site.commit(7, [pond_account(wallet(n), weth=ETHER) for n in range(60)])
    assert (await site.get("/v1/accounts")).headers["content-encoding"] == "gzip"
    plain = await site.client.get("/v1/accounts", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers


# ------------------------------------------------------------------------------------- the OpenAPI document


def _operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(path, operation) for path, methods in document["paths"].items() for operation in methods.values()]


async def test_every_route_is_documented_with_summary_tag_and_example(site: Site) -> None:
    document = (await site.get("/openapi.json")).json()
    for path, operation in _operations(document):
        assert operation["summary"], path
        assert operation["tags"], path
        (good,) = (response for code, response in operation["responses"].items() if code.startswith("2"))
        for media, content in good.get("content", {}).items():
            assert "example" in content or media == "text/plain", path


def test_every_example_is_of_its_model_with_every_field() -> None:
    checked = 0
    resources = (
        wallets,
        history,
        simulate,
        accounts,
        deployments,
        markets,
        status,
        risk,
        market_simulation,
        board,
        accuracy,
        tracking,
        watchlists,
        members,
        rules,
        alert_routes,
        channels,
        episodes,
        deliveries,
        changes,
    )
    for route in (route for resource in resources for route in resource.router.routes):
        if not isinstance(route, APIRoute) or route.response_model is None:
            continue
        good = next(response for code, response in route.responses.items() if str(code).startswith("2"))
        example = good["content"]["application/json"]["example"]
        again = route.response_model.model_validate(example).model_dump(mode="json")
        assert again == example, route.path
        _parse_strictly(json.dumps(example))
        checked += 1
    assert checked >= 40


async def test_the_document_has_no_dangling_reference_and_shows_problems_as_such(site: Site) -> None:
    text = (await site.get("/openapi.json")).text
    document = json.loads(text)
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert references <= set(document["components"]["schemas"])
    for path, operation in _operations(document):
        for code, response in operation["responses"].items():
            if code in ("400", "401", "403", "404", "409", "410", "413", "422"):
                assert set(response["content"]) == {"application/problem+json"}, path


async def test_the_docs_page_lists_every_route_without_scripts(site: Site) -> None:
    page = await site.get("/docs")
    assert page.status_code == 200
    assert "<script" not in page.text
    assert "http" not in re.sub(r"HTTP|http-equiv", "", page.text)
    for path in (await site.get("/openapi.json")).json()["paths"]:
        assert path in page.text
    assert "invalid-cursor" in page.text


# ------------------------------------------------------------------------------------------------ fuzzing

_WORDS = st.one_of(
    st.text(max_size=60),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(["", "NaN", "1e5", "0x", str(ALICE), "healthy", "pond-devnet", "1.5", "\x00", "%00", "٣"]),
)
_NAMES = ("chain_id", "block_number", "target_health_factor", "deployment_id", "from_block", "to_block", "limit")
_NAMES += ("status", "max_health_factor", "protocol", "cursor")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(
        ["/v1/wallets/{}", "/v1/wallets/{}/history", "/v1/accounts", "/v1/markets", "/v1/deployments"]
    ),
    word=_WORDS,
    query=st.dictionaries(st.sampled_from(_NAMES), _WORDS, max_size=4),
)
async def test_nothing_a_caller_can_send_breaks_it(fuzzed: Site, path: str, word: str, query: dict[str, str]) -> None:
    answer = await fuzzed.client.get(path.replace("{}", quote(word, safe="")), params=query)
    assert answer.status_code < 500
    body = _parse_strictly(answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert body["status"] == answer.status_code


@pytest.fixture
async def fuzzed(site: Site) -> Site:
    await _fill(site)
    return site


async def test_hashes_and_addresses_have_their_forms(site: Site) -> None:
    await _fill(site)
    body = (await site.get(f"/v1/wallets/{ALICE}")).json()
    assert body["as_of"]["block_hash"] == str(block_ref(7).hash)
    assert body["accounts"][0]["positions"][0]["asset"] != body["accounts"][0]["positions"][0]["asset"].lower()
