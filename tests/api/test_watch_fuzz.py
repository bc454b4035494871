"""Nothing that somebody with a key can send breaks the service: no answer is its own fault."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.keyed import bearer, make_key
from tests.fakes.site import Site, wallet

pytestmark = pytest.mark.database

_TEXT = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["\x00", "a\x00b", "\ud800", "1.05", "-1", "1e9", "9" * 90, "health_factor", "status", "x.eth"]),
    st.just(str(wallet(1))),
)
_VALUE: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_RULE = {
    "name": _TEXT,
    "metric": st.sampled_from(["health_factor", "price_distance", "blind", "status", "debt_at_risk"]),
    "levels": st.dictionaries(st.sampled_from(["info", "warning", "critical"]), _TEXT, max_size=3),
    **dict.fromkeys(("clear_at", "asset", "group", "move", "window_seconds", "statuses", "chain_id"), _VALUE),
}
_BODIES = {
    "/v1/watchlists": {"name": _TEXT, "note": _VALUE},
    "/v1/watchlists/1/members": {
        "items": st.lists(st.fixed_dictionaries({"address": _TEXT}, optional={"label": _VALUE}))
    },
    "/v1/watchlists/1/rules": _RULE,
    "/v1/channels": {
        "name": _TEXT,
        "kind": st.sampled_from(["webhook", "smtp", "telegram", "stdout"]),
        "settings": st.dictionaries(st.sampled_from(["url", "host", "username", "chat_id", "recipients"]), _VALUE),
    },
}
_FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
async def desk(site: Site) -> Site:
    """A site whose client may do everything, with one list."""
    site.client.headers.update(bearer(await make_key(site.database)))
    await site.client.post("/v1/watchlists", json={"name": "treasury"})
    return site


@_FUZZ
@given(data=st.data(), path=st.sampled_from(sorted(_BODIES)))
async def test_no_body_breaks_it(desk: Site, data: st.DataObject, path: str) -> None:
    body = json.dumps(data.draw(st.fixed_dictionaries({}, optional=_BODIES[path])))
    answer = await desk.client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code < 500, (body, answer.text)


@_FUZZ
@given(lines=st.lists(st.lists(_TEXT, max_size=4).map(",".join), max_size=5))
async def test_no_file_breaks_it(desk: Site, lines: list[str]) -> None:
    body = "\n".join(["address,label,tags,chain_id", *lines]).encode("utf-8", "surrogatepass")
    answer = await desk.client.post("/v1/watchlists/1/members.csv?partial=1", content=body)
    assert answer.status_code < 500, (body, answer.text)


@_FUZZ
@given(word=_TEXT, path=st.sampled_from(["deliveries/{}", "episodes/{}", "watchlists/1/members/{}", "channels/{}"]))
async def test_no_path_and_no_filter_breaks_it(desk: Site, word: str, path: str) -> None:
    given = quote(word.encode("utf-8", "surrogatepass"), safe="")
    asked = [("GET", "/v1/" + path.replace("{}", given)), ("DELETE", f"/v1/watchlists/1/members/{given}")]
    asked += [("GET", f"/v1/{name}?{field}={given}") for name, field in _FILTERS]
    for method, where in asked:
        answer = await desk.client.request(method, where)
        assert answer.status_code < 500, (method, where, answer.text)


_FILTERS = (
    ("change-log", "actor"),
    ("change-log", "subject"),
    ("change-log", "cursor"),
    ("deliveries", "cursor"),
    ("deliveries", "state"),
    ("episodes", "address"),
    ("watchlists/1/members", "address"),
)
