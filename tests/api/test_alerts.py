"""Channels, routes, episodes and deliveries through the API; and that no secret of a channel ever comes out."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import insert, update

from app.alerts.destination import Policy
from app.alerts.vault import Vault, new_key
from app.api.app import create_app
from app.api.frame.addresses import to_checksum
from app.api.watch.channels import ChannelSetup
from app.domain.units import WAD
from app.store.postgres.engine import Database
from app.store.tables.watch import episode_events, episodes, outbox
from app.store.watch.outbox import new_message_id, store_messages
from tests.api.keyed import bearer, make_key
from tests.fakes.site import EPOCH, Site, block_ref, wallet
from tests.store.watch_rows import add_channel, add_list, message

pytestmark = pytest.mark.database

MARKER = "m4rkerm4rkerm4rkerm4rker"
WEBHOOK = f"https://hooks.example/{MARKER}?token={MARKER}"
CHANNELS: list[dict[str, Any]] = [
    {"name": "pager", "kind": "webhook", "settings": {"url": WEBHOOK, "secret": "whsec_" + "bTRya2Vy" * 4}},
    {"name": "team", "kind": "slack", "settings": {"url": WEBHOOK}},
    {"name": "chat", "kind": "telegram", "settings": {"chat_id": "-100", "token": f"123:{MARKER}"}},
    {
        "name": "mail",
        "kind": "smtp",
        "settings": {
            "host": "mail.example",
            "sender": "a@example.org",
            "recipients": ["b@example.org"],
            "username": "u",
            "password": MARKER,
        },
    },
]


@pytest.fixture
async def desk(site: Site) -> httpx.AsyncClient:
    """A client that may do everything, where secrets can be kept."""
    environment = {"CHANNEL_SECRET_TEAM": WEBHOOK}
    site.app.state.channel_setup = ChannelSetup(Vault([new_key()]), Policy(), environment)
    site.client.headers.update(bearer(await make_key(site.database)))
    return site.client


async def test_a_channel_is_set_up_shown_changed_and_deleted(desk: httpx.AsyncClient) -> None:
    made = await desk.post("/v1/channels", json={"name": "pager", "kind": "webhook", "settings": {"url": WEBHOOK}})
    assert made.status_code == 201, made.text
    shown = made.json()
    assert shown.pop("signing_secret").startswith("whsec_")
    assert shown["settings"] == {"host": "hooks.example:443"}
    place = made.headers["location"]
    assert (await desk.get(place)).json() == shown
    assert (await desk.get("/v1/channels")).json() == {"items": [shown]}
    off = (await desk.patch(place, json={"is_enabled": False})).json()
    assert (off["is_enabled"], off["disabled_reason"]) == (False, "by hand")
    assert (await desk.post(f"{place}/test")).status_code == 409
    on = await desk.patch(place, json={"is_enabled": True, "name": "pager 2"})
    assert on.json() == shown | {"name": "pager 2"}
    assert (await desk.patch(place, json={"name": "no/slash"})).status_code == 422
    await desk.post("/v1/channels", json={"name": "log", "kind": "stdout"})
    assert (await desk.patch(place, json={"name": "log"})).status_code == 409
    assert (await desk.post("/v1/channels", json={"name": "log", "kind": "stdout"})).status_code == 409
    assert (await desk.delete(place)).status_code == 204
    assert (await desk.delete(place)).status_code == 404


@pytest.mark.parametrize(
    "settings",
    [
        {"url": f"http://hooks.example/{MARKER}"},
        {"url": f"https://127.0.0.1/{MARKER}"},
        {"url": f"https://[::ffff:10.0.0.1]/{MARKER}"},
        {"url": f"https://user:{MARKER}@hooks.example/"},
        {"url": WEBHOOK, "secret": MARKER},
        {"url": WEBHOOK, MARKER: "x"},
        {"url": [MARKER]},
        {"secret_from_env": f"PATH_{MARKER}"},
    ],
)
async def test_what_may_not_be_sent_to_is_refused_without_repeating_it(
    desk: httpx.AsyncClient, settings: dict[str, Any]
) -> None:
    answer = await desk.post("/v1/channels", json={"name": "x", "kind": "webhook", "settings": settings})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-parameter")
    if MARKER not in settings:
        assert MARKER not in answer.text
    assert (await desk.get("/v1/channels")).json()["items"] == []


async def test_text_that_cannot_be_kept_is_refused(desk: httpx.AsyncClient) -> None:
    mail = CHANNELS[3]
    for name, value in (("username", "a\0"), ("recipients", ["b@example.org\0"])):
        given = mail | {"settings": mail["settings"] | {name: value}}
        assert (await desk.post("/v1/channels", json=given)).status_code == 422


async def test_without_a_key_to_encrypt_with_no_secret_is_taken(desk: httpx.AsyncClient, site: Site) -> None:
    site.app.state.channel_setup = ChannelSetup()
    answer = await desk.post("/v1/channels", json=CHANNELS[1])
    assert (answer.status_code, "SECRETS_KEY" in answer.text) == (422, True)
    assert (await desk.post("/v1/channels", json={"name": "log", "kind": "stdout"})).status_code == 201


async def test_no_secret_of_a_channel_is_in_any_answer_log_or_table(
    desk: httpx.AsyncClient, site: Site, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = []
    for channel in CHANNELS:
        made = await desk.post("/v1/channels", json=channel)
        assert made.status_code == 201, made.text
        told.append(made)
        told.append(await desk.post("/v1/channels", json=channel))  # the name is taken
        told.append(await desk.post(f"{made.headers['location']}/test"))
        told.append(await desk.get(told[-1].headers["location"]))
        told.append(await desk.patch(made.headers["location"], json={"is_enabled": False}))
        told.append(await desk.get(made.headers["location"]))
    from_env = {"name": "env", "kind": "slack", "settings": {"secret_from_env": "CHANNEL_SECRET_TEAM"}}
    told.append(await desk.post("/v1/channels", json=from_env))
    assert told[-1].status_code == 201
    for path in ("/v1/channels", "/v1/deliveries", "/v1/change-log", "/metrics"):
        told.append(await desk.get(path))
    everything = "".join(one.text + str(one.headers) for one in told) + caplog.text
    with psycopg.connect(database_url) as connection:
        for table in ("channels", "change_log", "outbox", "api_keys"):
            rows = connection.execute(f"SELECT to_jsonb(t)::text FROM {table} t").fetchall()  # type: ignore[call-overload]
            everything += "".join(row for (row,) in rows)
    assert MARKER not in everything
    assert "bTRya2Vy" not in everything
    assert len(told) > 20


async def test_a_test_message_waits_in_the_outbox(desk: httpx.AsyncClient) -> None:
    place = (await desk.post("/v1/channels", json={"name": "log", "kind": "stdout"})).headers["location"]
    sent = await desk.post(f"{place}/test")
    assert sent.status_code == 202
    delivery = (await desk.get(f"/v1/deliveries/{sent.json()['delivery_id']}")).json()
    assert (delivery["kind"], delivery["state"], delivery["attempts"], delivery["tries"]) == ("test", "pending", 0, [])
    assert delivery["body"]["type"] == "test"


async def test_a_route_is_set_whole_and_taken_away(desk: httpx.AsyncClient) -> None:
    await desk.post("/v1/watchlists", json={"name": "treasury"})
    await desk.post("/v1/channels", json={"name": "log", "kind": "stdout"})
    place = "/v1/watchlists/1/routes/1"
    given = {
        "min_severity": "warning",
        "timezone": "Europe/Berlin",
        "quiet_from": "22:00",
        "quiet_to": "07:30",
        "quiet_override": "critical",
        "repeat_seconds": 1800,
        "digest_at": "00:05",
    }
    shown = given | {"watchlist_id": 1, "channel_id": 1}
    assert (await desk.put(place, json=given)).json() == shown
    assert (await desk.get("/v1/watchlists/1/routes")).json() == {"items": [shown]}
    bare = (await desk.put(place, json={})).json()
    assert (bare["min_severity"], bare["timezone"], bare["quiet_from"], bare["digest_at"]) == (
        "info",
        "UTC",
        None,
        None,
    )
    assert (await desk.get("/v1/watchlists/1/routes")).json() == {"items": [bare]}
    for wrong in (
        {"quiet_from": "22:00"},
        {"quiet_from": "22:00", "quiet_to": "22:00"},
        {"quiet_from": "24:00", "quiet_to": "07:00"},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../../etc/passwd"},
        {"repeat_seconds": 1},
        {"min_severity": "awful"},
    ):
        assert (await desk.put(place, json=wrong)).status_code == 422, wrong
    assert (await desk.put("/v1/watchlists/1/routes/9", json={})).status_code == 404
    assert (await desk.put("/v1/watchlists/9/routes/1", json={})).status_code == 404
    assert (await desk.delete(place)).status_code == 204
    assert (await desk.delete(place)).status_code == 404


async def _episode(site: Site, subject: str, *, state: str = "open", metric: str = "health_factor") -> int:
    values = {
        "watchlist_id": 1,
        "rule_name": "health",
        "metric": metric,
        "chain_id": 1,
        "subject": subject,
        "wallet": wallet(1) if subject.startswith("account") else None,
        "state": state,
        "severity": 2,
        "opened_at": EPOCH,
    }
    ref = block_ref(7)
    event = {
        "kind": "opened",
        "severity": 2,
        "at": EPOCH,
        "value": WAD + 1,
        "level": 11 * WAD // 10,
        "inputs": {"status": "healthy", "collateral_value": {"integer": str(2**200)}, "price": None},
        "chain_id": 1,
        "block_id": 5,
        "block_number": 7,
        "block_hash": ref.hash,
        "block_timestamp": ref.timestamp,
    }
    async with site.database.write() as session:
        made = await session.connection.execute(insert(episodes).values(values).returning(episodes.c.id))
        episode_id = int(made.scalar_one())
        await session.connection.execute(insert(episode_events).values(event | {"episode_id": episode_id}))
    return episode_id


async def test_an_episode_is_shown_with_its_exact_numbers_and_acknowledged_once(
    desk: httpx.AsyncClient, site: Site
) -> None:
    async with site.database.write() as session:
        await add_list(session)
    subject = f"account:pond-devnet:{wallet(1)}:"
    episode_id = await _episode(site, subject)
    place = f"/v1/episodes/{episode_id}"
    shown = (await desk.get(place)).json()
    assert shown["subject"] == {
        "kind": "account",
        "chain_id": 1,
        "deployment_id": "pond-devnet",
        "address": to_checksum(wallet(1)),
        "unit": "",
    }
    (event,) = shown["events"]
    assert (event["value"], event["level"]) == ("1.000000000000000001", "1.1")
    assert event["inputs"] == {"status": "healthy", "collateral_value": str(2**200), "price": None}
    assert event["block"]["block_number"] == 7
    seen = (await desk.post(f"{place}/acknowledge")).json()
    assert (seen["acknowledged_at"], seen["acknowledged_by"].endswith(" desk")) == (EPOCH, True)
    site.now += 60
    assert (await desk.post(f"{place}/acknowledge")).json() == seen
    log = (await desk.get("/v1/change-log")).json()["items"]
    assert [one["action"] for one in log].count("episode.acknowledge") == 1
    async with site.database.write() as session:
        await session.connection.execute(update(episodes).values(state="cleared", acknowledged_at=None))
    assert (await desk.post(f"{place}/acknowledge")).status_code == 409
    assert (await desk.post("/v1/episodes/99/acknowledge")).status_code == 404


async def test_episodes_are_found_by_list_wallet_and_state_page_by_page(desk: httpx.AsyncClient, site: Site) -> None:
    async with site.database.write() as session:
        await add_list(session)
    account = await _episode(site, f"account:pond-devnet:{wallet(1)}:x", state="retracted")
    market = await _episode(site, "market:pond-devnet", metric="debt_at_risk")
    chain = await _episode(site, "chain:1", metric="blind")

    async def found(**asked: object) -> list[int]:
        answer = await site.get("/v1/episodes", **asked)
        return [one["id"] for one in answer.json()["items"]]

    assert await found() == [chain, market, account]
    assert await found(watchlist_id=2) == []
    assert await found(address=wallet(1)) == [account]
    assert await found(state="open") == [chain, market]
    first = (await site.get("/v1/episodes", limit=2)).json()
    assert [one["subject"]["kind"] for one in first["items"]] == ["chain", "market"]
    assert await found(limit=2, cursor=first["next_cursor"]) == [account]
    assert (await site.get("/v1/episodes", limit=2, state="open", cursor=first["next_cursor"])).status_code == 400


async def test_a_dead_delivery_is_replayed_and_no_other(desk: httpx.AsyncClient, site: Site) -> None:
    async with site.database.write() as session:
        channel = await add_channel(session)
        await store_messages(session, [message(channel) for _ in range(3)], EPOCH)
    page = (await site.get("/v1/deliveries", limit=2)).json()
    rest = (await site.get("/v1/deliveries", limit=2, cursor=page["next_cursor"])).json()
    ids = [one["id"] for one in page["items"] + rest["items"]]
    assert len(set(ids)) == 3
    place = f"/v1/deliveries/{ids[0]}"
    assert (await desk.post(f"{place}/replay")).status_code == 409
    async with site.database.write() as session:
        dead = {"state": "dead", "attempts": 9, "last_error": "no answer"}
        await session.connection.execute(update(outbox).where(outbox.c.id == ids[0]).values(dead))
    assert [one["id"] for one in (await site.get("/v1/deliveries", state="dead")).json()["items"]] == [ids[0]]
    replayed = (await desk.post(f"{place}/replay")).json()
    assert (replayed["state"], replayed["attempts"], replayed["last_error"]) == ("pending", 0, None)
    assert (await desk.post(f"/v1/deliveries/{new_message_id()}/replay")).status_code == 404
    assert (await site.get("/v1/deliveries", channel_id=channel + 1)).json()["items"] == []


def test_the_app_takes_a_setup_of_channels(database: Database) -> None:
    setup = ChannelSetup()
    assert create_app(database, channel_setup=setup).state.channel_setup is setup
