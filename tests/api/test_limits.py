"""Rates: by address and by key, told in headers, harder on wrong keys, and never on probes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import HTTPConnection

from app.api.frame.deps import ApiOptions
from app.api.frame.limits import Buckets, LimitOptions, Limits, client_address
from app.store.postgres.engine import Database
from tests.api.keyed import bearer, make_key
from tests.fakes.site import Site, open_site

pytestmark = pytest.mark.database

LISTS = "/v1/watchlists"


class _Time:
    now = 0.0


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> _Time:
    time = _Time()
    monkeypatch.setattr("app.api.app.Limits", lambda options: Limits(options, lambda: time.now))
    return time


@pytest.fixture
async def limited(database: Database, time: _Time) -> AsyncIterator[Site]:
    site = open_site(database, ApiOptions(limits=LimitOptions(per_address=3, per_key=5, failures_per_address=2)))
    yield site
    await site.client.aclose()
    await site.app.state.read_context.aclose()


def _from(site: Site, address: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=site.app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://waterline.test")


async def test_an_address_has_so_many_a_minute_and_is_told_what_is_left(limited: Site, time: _Time) -> None:
    answers = [await limited.get("/v1/deployments") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"address";q=3;w=60'
    assert [answer.headers["ratelimit"] for answer in answers] == [
        '"address";r=2;t=20',
        '"address";r=1;t=40',
        '"address";r=0;t=60',
        '"address";r=0;t=60',
    ]
    refused = answers[3]
    assert refused.headers["content-type"] == "application/problem+json"
    assert (refused.json()["type"], refused.headers["retry-after"]) == ("/problems/too-many-requests", "20")
    assert refused.headers["x-request-id"] == refused.json()["request_id"]
    time.now += 20
    assert [(await limited.get("/v1/deployments")).status_code for _ in range(2)] == [200, 429]
    async with _from(limited, "10.0.0.9") as other:
        assert (await other.get("/v1/deployments")).status_code == 200


async def test_probes_are_never_limited(limited: Site) -> None:
    for path in ("/health", "/ready", "/metrics") * 5:
        answer = await limited.get(path)
        assert answer.status_code in (200, 503)
        assert "ratelimit" not in answer.headers


async def test_a_key_that_is_known_has_a_rate_of_its_own(limited: Site) -> None:
    key = await make_key(limited.database)
    first = await limited.client.get(LISTS, headers=bearer(key))
    assert first.headers["ratelimit-policy"].startswith('"address"')  # not known to be good yet
    answers = [await limited.client.get(LISTS, headers=bearer(key)) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[5].headers["ratelimit-policy"] == '"key";q=5;w=60'
    assert (await limited.get("/v1/deployments")).status_code == 200


async def test_wrong_keys_are_soon_not_looked_at_while_good_ones_are(
    database: Database, time: _Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = open_site(database, ApiOptions(limits=LimitOptions(failures_per_address=2)))
    key, unseen = await make_key(database), await make_key(database)
    assert (await site.client.get(LISTS, headers=bearer(key))).status_code == 200
    wrong = {"Authorization": f"Bearer {key.text[:-2]}xy"}
    assert [(await site.client.get(LISTS, headers=wrong)).status_code for _ in range(4)] == [401, 401, 429, 429]
    asked: list[str] = []
    find = type(site.app.state.doorkeeper._ring).find

    async def counted(self: object, key_id: str) -> object:
        asked.append(key_id)
        return await find(self, key_id)  # type: ignore[arg-type]

    monkeypatch.setattr(type(site.app.state.doorkeeper._ring), "find", counted)
    answer = await site.client.get(LISTS, headers=wrong)
    assert (answer.status_code, int(answer.headers["retry-after"])) == (429, 30)
    assert (await site.client.get(LISTS, headers=bearer(unseen))).status_code == 429
    assert asked == []
    assert (await site.client.get(LISTS, headers=bearer(key))).status_code == 200
    async with _from(site, "10.0.0.9") as other:
        assert (await other.get(LISTS, headers=bearer(unseen))).status_code == 200
    time.now += 30
    assert (await site.client.get(LISTS, headers=wrong)).status_code == 401
    await site.client.aclose()


def test_buckets_are_bounded_and_the_oldest_are_forgotten() -> None:
    buckets = Buckets(2, lambda: 0.0, most=3)
    for name in "abcd":
        buckets.of(name).take()
    assert [buckets.of(name).left for name in "bcda"] == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("socket", "socket"),
        (None, "unknown"),
    ],
)
def test_an_ipv6_subscriber_is_one_address(host: str | None, name: str) -> None:
    client = None if host is None else (host, 1)
    assert client_address(HTTPConnection({"type": "http", "client": client, "headers": []})) == name
