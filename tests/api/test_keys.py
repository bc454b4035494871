"""Keys: who may do what, where a key may come from, and that none is ever told."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping

import psycopg
import pytest
from starlette.responses import Response

from app.api.frame import keys
from app.api.frame.keys import COOKIE, drop_cookie, keep_in_cookie, new_key
from app.store.postgres.engine import Database
from app.store.watch.keys import Scope, revoke_key
from tests.api.keyed import bearer, make_key
from tests.fakes.site import EPOCH, Site

pytestmark = pytest.mark.database

LISTS = "/v1/watchlists"
HOST = "http://waterline.test"


async def test_a_key_is_named_random_and_kept_as_a_hash_only(site: Site, database_url: str) -> None:
    key = await make_key(site.database)
    assert re.fullmatch(r"wl_[a-z0-9]{12}_[A-Za-z0-9_-]{43}", key.text)
    assert new_key().text != new_key().text
    secret = key.text.split("_", 2)[2]
    with psycopg.connect(database_url) as connection:
        ((stored,),) = connection.execute("SELECT to_jsonb(api_keys)::text FROM api_keys").fetchall()
    assert secret not in stored
    assert hashlib.sha256(secret.encode()).hexdigest() in stored
    assert secret not in repr(key)


async def test_without_a_key_or_with_a_wrong_one_nothing_is_told(site: Site) -> None:
    key = await make_key(site.database)
    other = await make_key(site.database)
    headers: list[Mapping[str, str]] = [
        {},
        {"Authorization": ""},
        {"Authorization": f"Basic {key.text}"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {key.text}x"},
        {"Authorization": f"Bearer {key.text[:-1]}"},
        {"Authorization": f"Bearer wl_{other.id}_{key.text.split('_', 2)[2]}"},
        {"Cookie": f"{COOKIE}=nonsense"},
    ]
    for given in headers:
        answer = await site.client.get(LISTS, headers=given)
        assert answer.status_code == 401, given
        assert answer.json()["type"] == "/problems/unauthorized"
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert (await site.client.get(LISTS, headers=bearer(key))).status_code == 200
    assert (await site.client.get(LISTS, headers={"Authorization": f"bearer  {key.text} "})).status_code == 200


async def test_a_revoked_key_is_refused_at_once(site: Site) -> None:
    key = await make_key(site.database)
    assert (await site.client.get(LISTS, headers=bearer(key))).status_code == 200
    async with site.database.write() as session:
        await revoke_key(session, key.id, EPOCH)
    assert (await site.client.get(LISTS, headers=bearer(key))).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", LISTS, Scope.WATCH_READ),
        ("POST", LISTS, Scope.WATCH_WRITE),
        ("DELETE", f"{LISTS}/1", Scope.WATCH_WRITE),
        ("GET", "/v1/change-log", Scope.OPS),
    ],
)
async def test_a_missing_scope_is_named(site: Site, method: str, path: str, scope: Scope) -> None:
    key = await make_key(site.database, *(set(Scope) - {scope}))
    body = {"name": "a"} if method == "POST" else None
    answer = await site.client.request(method, path, headers=bearer(key), json=body)
    assert answer.status_code == 403
    assert scope.value in answer.json()["detail"]
    assert f'scope="{scope.value}"' in answer.headers["www-authenticate"]


async def test_everything_about_watching_needs_a_key_and_says_so(site: Site) -> None:
    document = (await site.get("/openapi.json")).json()
    kept = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            is_kept = re.match("/v1/(watchlists|channels|episodes|deliveries|change-log)", path) is not None
            assert bool(operation.get("security")) == is_kept, path
            if is_kept:
                body = {} if method in ("post", "put", "patch") and "requestBody" in operation else None
                answer = await site.client.request(method, re.sub(r"\{[^}]+\}", "1", path), json=body)
                assert answer.status_code == 401, (method, path)
                kept += 1
    assert kept > 25


async def test_what_everybody_may_read_needs_no_key(site: Site) -> None:
    for path in ("/v1/deployments", "/v1/status", "/health", "/openapi.json", "/docs"):
        assert (await site.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "same-site", "Origin": HOST}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": HOST}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": HOST}, 201),
        ({"Origin": "https://evil.test"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": f"{HOST}.evil.test"}, 403),
    ],
)
async def test_a_cookie_writes_only_from_this_sites_own_pages(site: Site, headers: dict[str, str], status: int) -> None:
    key = await make_key(site.database)
    cookie = {"Cookie": f"{COOKIE}={key.text}"}
    assert (await site.client.get(LISTS, headers=cookie)).status_code == 200
    answer = await site.client.post(LISTS, headers=cookie | headers, json={"name": "a"})
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["type"] == "/problems/cross-site"
    evil = headers | {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}
    by_header = await site.client.post(LISTS, headers=bearer(key) | evil, json={"name": "b"})
    assert by_header.status_code == 201


def test_the_cookie_is_for_this_site_and_no_script() -> None:
    response = Response()
    keep_in_cookie(response, "wl_x", is_secure=True)
    cookie = response.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=strict", "secure", "path=/"))
    drop_cookie(response)
    assert "max-age=0" in response.headers.getlist("set-cookie")[1].lower()


async def test_the_last_use_is_noted_at_most_once_a_minute(site: Site, database_url: str) -> None:
    key = await make_key(site.database)

    def last_used() -> object:
        with psycopg.connect(database_url) as connection:
            return connection.execute("SELECT last_used_at FROM api_keys").fetchall()[0][0]

    for later, noted in ((0, EPOCH), (59, EPOCH), (60, EPOCH + 60)):
        site.now = EPOCH + later
        await site.client.get(LISTS, headers=bearer(key))
        assert last_used() == noted


async def test_secrets_are_compared_in_constant_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[object] = []
    original = keys.hmac.compare_digest
    monkeypatch.setattr(keys.hmac, "compare_digest", lambda a, b: compared.append(a) or original(a, b))
    key = await make_key(site.database)
    assert (await site.client.get(LISTS, headers=bearer(key))).status_code == 200
    assert compared == [key.secret_hash]


async def test_no_answer_and_no_log_tells_a_key(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = await make_key(site.database)
    secret = key.text.split("_", 2)[2]
    told = []
    for headers in (bearer(key), {"Authorization": f"Bearer {key.text}x"}, {"Cookie": f"{COOKIE}={key.text}"}):
        for method, path in (("GET", LISTS), ("POST", LISTS), ("GET", "/v1/change-log"), ("GET", "/metrics")):
            answer = await site.client.request(method, path, headers=headers, json={"name": "a", "x": secret})
            told.append(answer.text + str(answer.headers))
    assert secret not in "".join(told)
    assert secret not in caplog.text


async def test_a_form_to_log_in_can_check_a_key(site: Site, database: Database) -> None:
    key = await make_key(database, name="me")
    doorkeeper = site.app.state.doorkeeper
    actor = await doorkeeper.check(f" {key.text}\n", "127.0.0.1")
    assert (actor.name, actor.is_browser, actor.label) == ("me", True, f"key:{key.id} me")
    assert await doorkeeper.check("nonsense", "127.0.0.1") is None
