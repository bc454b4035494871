"""Lists and rules through the API: made, changed and deleted, each with its line in the log."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.store.watch.keys import Scope
from app.store.watch.watchlists import load_watch_version
from tests.api.keyed import bearer, make_key
from tests.fakes.site import EPOCH, Site

pytestmark = pytest.mark.database

LISTS = "/v1/watchlists"
RULE: dict[str, Any] = {
    "name": "health",
    "metric": "health_factor",
    "levels": {"warning": "1.1", "critical": "1.02"},
    "clear_at": "1.15",
    "cooldown_seconds": 600,
}


@pytest.fixture
async def desk(site: Site) -> httpx.AsyncClient:
    """A client whose key may do everything."""
    site.client.headers.update(bearer(await make_key(site.database)))
    return site.client


async def _version(site: Site) -> int:
    async with site.database.read() as session:
        return await load_watch_version(session)


async def test_a_list_is_made_shown_changed_and_deleted(site: Site, desk: httpx.AsyncClient) -> None:
    made = await desk.post(LISTS, json={"name": "treasury", "note": "cold ones"})
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    shown = {
        "id": made.json()["id"],
        "name": "treasury",
        "note": "cold ones",
        "is_paused": False,
        "created_at": EPOCH,
        "members": 0,
        "rules": 0,
        "open_episodes": 0,
        "severity": None,
    }
    place = made.headers["location"]
    assert made.json() == (await desk.get(place)).json() == shown
    assert (await desk.get(LISTS)).json() == {"items": [shown], "next_cursor": None}
    changed = await desk.patch(place, json={"is_paused": True})
    assert changed.json() == shown | {"is_paused": True}
    assert (await desk.patch(place, json={"name": "vault", "note": ""})).json()["name"] == "vault"
    assert (await desk.delete(place)).status_code == 204
    for method in ("GET", "DELETE"):
        gone = await desk.request(method, place)
        assert (gone.status_code, gone.json()["type"]) == (404, "/problems/unknown-id")


async def test_lists_are_turned_page_by_page(desk: httpx.AsyncClient) -> None:
    for number in range(5):
        await desk.post(LISTS, json={"name": f"list {number}"})
    names: list[str] = []
    cursor: str | None = None
    while cursor is not None or not names:
        page = (await desk.get(LISTS, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        names += [one["name"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert names == [f"list {number}" for number in range(5)]
    assert (await desk.get(LISTS, params={"cursor": "abc"})).json()["type"] == "/problems/invalid-cursor"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "problem"),
    [
        ("POST", LISTS, {"name": "treasury"}, 409, "conflict"),
        ("POST", LISTS, {"name": ""}, 422, "invalid-parameter"),
        ("POST", LISTS, {"name": " x"}, 422, "invalid-parameter"),
        ("POST", LISTS, {"name": "a\u0000b"}, 422, "invalid-parameter"),
        ("POST", LISTS, {"name": "x" * 101}, 422, "invalid-parameter"),
        ("POST", LISTS, {"name": "x", "owner": "me"}, 422, "invalid-parameter"),
        ("POST", LISTS, {"name": "x", "note": "n" * 70_000}, 413, "too-large"),
        ("PATCH", f"{LISTS}/99", {"name": "x"}, 404, "unknown-id"),
        ("PATCH", f"{LISTS}/0", {"name": "x"}, 422, "invalid-parameter"),
        ("PUT", f"{LISTS}/1", {"name": "x"}, 405, "method-not-allowed"),
        ("POST", f"{LISTS}/99/rules", RULE, 404, "unknown-id"),
        ("PUT", f"{LISTS}/1/rules/99", RULE, 404, "unknown-id"),
        ("DELETE", f"{LISTS}/1/rules/99", None, 404, "unknown-id"),
        ("GET", f"{LISTS}/99/rules", None, 404, "unknown-id"),
        ("GET", f"{LISTS}/99/members", None, 404, "unknown-id"),
        ("GET", f"{LISTS}/99/members.csv", None, 404, "unknown-id"),
        ("POST", f"{LISTS}/1/rules", RULE | {"metric": "luck"}, 422, "invalid-parameter"),
        ("POST", f"{LISTS}/1/rules", RULE | {"levels": {}}, 422, "invalid-rule"),
        ("POST", f"{LISTS}/1/rules", RULE | {"levels": {"warning": 1.1}}, 422, "invalid-parameter"),
        ("POST", f"{LISTS}/1/rules", RULE | {"levels": {"warning": "1e1"}}, 422, "invalid-rule"),
        ("POST", f"{LISTS}/1/rules", RULE | {"deployment_id": "nowhere"}, 422, "invalid-rule"),
        ("POST", f"{LISTS}/1/rules", RULE | {"cooldown_seconds": -1}, 422, "invalid-rule"),
    ],
)
async def test_what_cannot_be_is_a_problem_and_changes_nothing(
    site: Site, desk: httpx.AsyncClient, method: str, path: str, body: Any, status: int, problem: str
) -> None:
    await desk.post(LISTS, json={"name": "treasury"})
    before = await _version(site)
    answer = await desk.request(method, path, json=body) if body is not None else await desk.request(method, path)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{problem}"), answer.text
    assert await _version(site) == before
    assert len((await desk.get("/v1/change-log")).json()["items"]) == 1


async def test_a_rule_is_shown_as_it_was_meant(desk: httpx.AsyncClient) -> None:
    place = (await desk.post(LISTS, json={"name": "treasury"})).headers["location"]
    made = await desk.post(f"{place}/rules", json=RULE)
    assert made.status_code == 201
    shown = made.json()
    assert (shown["levels"], shown["clear_at"], shown["unit"], shown["bad_when"]) == (
        {"info": None, "warning": "1.1", "critical": "1.02"},
        "1.15",
        "ratio",
        "at_or_below",
    )
    assert (await desk.get(made.headers["location"])).json() == shown
    assert (await desk.get(f"{place}/rules")).json() == {"items": [shown]}
    put = await desk.put(made.headers["location"], json=RULE | {"clear_at": None, "is_enabled": False})
    assert put.json() == shown | {"clear_at": "1.1", "is_enabled": False}
    again = await desk.post(f"{place}/rules", json=RULE)
    assert (again.status_code, again.json()["detail"]) == (409, "the list has a rule named 'health' already")
    assert (await desk.delete(made.headers["location"])).status_code == 204
    assert (await desk.get(f"{place}/rules")).json() == {"items": []}


@pytest.mark.parametrize(
    "rule",
    [
        {"metric": "joint_distance", "levels": {"critical": "0.05"}, "group": "eth"},
        {"metric": "status", "levels": {"critical": "1"}, "statuses": ["unknown", "liquidatable"]},
        {"metric": "blind", "levels": {"warning": "60", "critical": "300"}, "clear_at": "30"},
        {"metric": "debt_at_risk", "levels": {"info": "0.1"}, "group": "volatile", "move": "-0.2"},
        {"metric": "collateral_change", "levels": {"info": "0.1"}, "clear_at": "0.05", "window_seconds": 3600},
    ],
)
async def test_every_kind_of_parameter_comes_back(site: Site, desk: httpx.AsyncClient, rule: dict[str, Any]) -> None:
    await site.register()
    if rule["metric"] == "debt_at_risk":
        rule = rule | {"deployment_id": "pond-devnet"}
    place = (await desk.post(LISTS, json={"name": "treasury"})).headers["location"]
    made = await desk.post(f"{place}/rules", json={"name": "one", **rule})
    assert made.status_code == 201, made.text
    shown = made.json()
    for name, value in rule.items():
        if name == "levels":
            assert {level: one for level, one in shown["levels"].items() if one is not None} == value
        elif name == "statuses":
            assert set(shown[name]) == set(value)
        else:
            assert shown[name] == value


async def test_everything_wrong_with_a_rule_is_said_at_once(desk: httpx.AsyncClient) -> None:
    place = (await desk.post(LISTS, json={"name": "treasury"})).headers["location"]
    bad = RULE | {"levels": {"warning": "1", "critical": "2"}, "clear_at": "0.5", "group": "eth", "asset": "WETH"}
    answer = await desk.post(f"{place}/rules", json=bad)
    assert len(answer.json()["faults"]) == 4
    assert "health_factor takes no asset" in answer.json()["detail"]


async def test_every_change_is_in_the_log_with_who_did_it(site: Site, desk: httpx.AsyncClient) -> None:
    place = (await desk.post(LISTS, json={"name": "treasury"})).headers["location"]
    rule = (await desk.post(f"{place}/rules", json=RULE)).headers["location"]
    await desk.put(rule, json=RULE)
    await desk.delete(rule)
    await desk.patch(place, json={"is_paused": True})
    await desk.delete(place)
    log = (await desk.get("/v1/change-log")).json()["items"]
    assert [one["action"] for one in reversed(log)] == [
        "watchlist.create",
        "rule.create",
        "rule.update",
        "rule.delete",
        "watchlist.update",
        "watchlist.delete",
    ]
    assert {one["subject"] for one in log} == {f"watchlist:{place.rsplit('/', 1)[1]}"}
    assert all(one["actor"].startswith("key:") and one["actor"].endswith(" desk") for one in log)
    first = (await desk.get("/v1/change-log", params={"limit": 4})).json()
    rest = (await desk.get("/v1/change-log", params={"limit": 4, "cursor": first["next_cursor"]})).json()
    assert first["items"] + rest["items"] == log
    assert (await desk.get("/v1/change-log", params={"actor": "cli"})).json()["items"] == []


async def test_a_key_that_may_only_read_sees_lists_but_changes_none(site: Site, desk: httpx.AsyncClient) -> None:
    place = (await desk.post(LISTS, json={"name": "treasury"})).headers["location"]
    desk.headers.update(bearer(await make_key(site.database, Scope.WATCH_READ)))
    assert (await desk.get(f"{place}/rules")).status_code == 200
    for method, path, body in (("POST", f"{place}/rules", RULE), ("PATCH", place, {"note": "x"})):
        assert (await desk.request(method, path, json=body)).status_code == 403
    assert (await desk.delete(place)).status_code == 403
