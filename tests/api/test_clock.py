"""The service's clock set back and forth: an indexer that has died stays found out, in every answer."""

from __future__ import annotations

import pytest

from app.api.frame.stream import BlockStream
from tests.fakes.pond import pond_account
from tests.fakes.site import Site, wallet

pytestmark = pytest.mark.database

HOUR = 3_600


async def told(site: Site) -> list[bool]:
    """Whether each kind of answer says that it is stale."""
    found = []
    for path in (f"/v1/wallets/0x{bytes(wallet(1)).hex()}", "/v1/accounts", "/v1/risk/summary", "/v1/status"):
        answer = (await site.client.get(path)).json()
        found.append(answer["as_of"]["stale"])
    found.append((await site.client.get("/ready")).status_code == 503)
    return found


async def test_a_dead_indexer_stays_dead_whatever_the_clock_is_set_to(site: Site) -> None:
    passed = 0.0
    site.app.state.read_context.sightings.elapsed = lambda: passed
    await site.register()
    await site.commit(1, [pond_account(wallet(1), weth=100)])
    assert not any((await told(site))[:4])
    passed = 600.0
    for clock in (0, -HOUR, HOUR, -400 * HOUR, 0):
        site.now += clock
        assert all(await told(site)), clock
        view = (await site.client.get("/v1/status")).json()
        assert view["chains"][0]["observed_seconds_ago"] >= 600
        assert view["chains"][0]["lag_seconds"] >= 600


async def test_an_answer_kept_from_the_same_second_of_a_clock_set_back_is_not_given_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = 0.0
    site.app.state.read_context.sightings.elapsed = lambda: passed
    await site.register()
    await site.commit(1, [pond_account(wallet(1), weth=100)])
    path = f"/v1/wallets/0x{bytes(wallet(1)).hex()}"
    monkeypatch.setattr(BlockStream, "generation", 7)  # as while it hears of blocks: answers are kept
    assert not (await site.client.get(path)).json()["as_of"]["stale"]
    passed = 600.0
    assert (await site.client.get(path)).json()["as_of"]["stale"]
