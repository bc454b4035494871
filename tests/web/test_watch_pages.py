"""The pages of watchlists over a real database: what they show, what they change, and whom they let."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from app.api.frame.addresses import to_checksum
from app.api.frame.keys import COOKIE
from app.domain.watch import Severity
from app.store.postgres.engine import Database
from app.store.watch.change_log import load_changes
from app.store.watch.keys import Scope
from app.store.watch.outbox import load_deliveries
from app.web.presets import PRESETS
from tests.fakes.site import EPOCH
from tests.web.html import Page
from tests.web.watch_world import ALICE, BOB, CAROL, Watching, begin

pytestmark = pytest.mark.database


@pytest.fixture
async def world(database: Database) -> AsyncIterator[Watching]:
    made = await begin(database)
    yield made
    await made.client.aclose()
    await made.site.app.state.read_context.aclose()


async def shown(world: Watching, path: str, status: int = 200) -> Page:
    answer = await world.client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    return Page(answer.text)


def went(answer: httpx.Response) -> str:
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def pages_of(list_id: int) -> tuple[str, ...]:
    return (
        "/watchlists",
        f"/watchlists/{list_id}",
        f"/watchlists/{list_id}/edit",
        f"/wallet/{to_checksum(ALICE)}/watch",
    )


async def test_nobody_sees_a_list_without_a_key_and_is_told_how_to_get_one(world: Watching) -> None:
    await world.log_in()
    list_id = await world.make_list("secret plans")
    world.client.cookies.clear()
    for path in ("/watchlists", f"/watchlists/{list_id}", f"/watchlists/{list_id}/edit", "/watchlists/99"):
        page = await shown(world, path, 401)
        assert page.one("form", action="/login")
        assert page.one(name="next").attributes["value"] == path
        assert "waterline key create" in page.text
        assert "secret" not in page.text


async def test_logging_in_keeps_the_key_in_a_cookie_no_script_and_no_other_site_reads(world: Watching) -> None:
    world.client.headers["Origin"] = str(world.client.base_url).rstrip("/")
    wrong = await world.client.post("/login", data={"key": "wl_nope", "next": "/watchlists"})
    assert (wrong.status_code, COOKIE in wrong.cookies) == (401, False)
    assert "That did not work." in Page(wrong.text).text
    assert "wl_nope" not in wrong.text

    right = await world.client.post("/login", data={"key": f" {world.key.text} ", "next": "/watchlists/7"})
    assert went(right) == "/watchlists/7"
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


@pytest.mark.parametrize("onwards", ["https://evil.test/", "//evil.test/", "/\\evil.test", "javascript:alert(1)", ""])
async def test_after_logging_in_nobody_is_sent_elsewhere(world: Watching, onwards: str) -> None:
    world.client.headers["Origin"] = str(world.client.base_url).rstrip("/")
    assert went(await world.client.post("/login", data={"key": world.key.text, "next": onwards})) == "/watchlists"


async def test_another_sites_form_changes_nothing(world: Watching) -> None:
    await world.log_in()
    list_id = await world.make_list()
    world.client.headers["Origin"] = "https://evil.test"
    for path in ("/watchlists", f"/watchlists/{list_id}", "/logout"):
        answer = await world.post(path, f"/watchlists/{list_id}/edit", name="x", do="delete", sure="yes")
        assert answer.status_code == 403, path
    login = await world.client.post("/login", data={"key": world.key.text})
    assert (login.status_code, "set-cookie" in login.headers) == (401, False)
    assert (await world.client.get(f"/watchlists/{list_id}")).status_code == 200


async def test_a_form_without_its_token_changes_nothing(world: Watching) -> None:
    await world.log_in()
    for token in ("", "0" * 32):
        answer = await world.client.post("/watchlists", data={"form": token, "name": "x"})
        assert answer.status_code == 403
        assert "load the page again" in answer.text
    assert (await world.client.post("/watchlists", json={"name": "x"})).status_code == 400
    assert "None yet." in (await shown(world, "/watchlists")).text


async def test_a_key_that_may_only_read_sees_everything_and_is_offered_nothing_to_change(world: Watching) -> None:
    await world.log_in()
    list_id = await world.make_list("treasury", ALICE)
    await world.find(list_id)
    await world.log_in(Scope.WATCH_READ)
    for path in (
        "/watchlists",
        f"/watchlists/{list_id}",
        f"/watchlists/{list_id}/edit",
        f"/wallet/{to_checksum(ALICE)}/watch",
    ):
        page = await shown(world, path)
        assert {form.attributes["action"] for form in page.all("form", method="post")} <= {"/logout"}
    answer = await world.post(f"/watchlists/{list_id}", do="pause", on="1")
    assert answer.status_code == 403


async def test_a_new_list_says_what_it_lacks(world: Watching) -> None:
    await world.log_in()
    assert "None yet. A list holds wallets" in (await shown(world, "/watchlists")).text
    list_id = await world.make_list()
    page = await shown(world, f"/watchlists/{list_id}")
    assert "No rule yet" in page.text
    assert "No wallet yet." in page.text
    assert "Nobody is told." in page.text
    assert "Not watching" in (await shown(world, "/watchlists")).text


async def test_a_list_at_a_glance_shows_each_wallet_riskiest_first(world: Watching) -> None:
    await world.log_in()
    list_id = await world.make_list("treasury", BOB, CAROL, ALICE)
    page = await shown(world, f"/watchlists/{list_id}")
    rows = [element.text for element in page.all("tr")[1:]]
    assert rows[0].startswith("wallet 3")
    assert "Close to the line" in rows[0] or "Thin margin" in rows[0] or "Liquidatable" in rows[0]
    assert rows[1].startswith("wallet 1")
    assert "Wide margin" in rows[1]
    assert rows[2].startswith("wallet 2")
    assert "no account seen" in rows[2]
    assert page.one("svg", klass="spark").attributes["aria-label"].startswith("Utilisation in two days: lowest 77%")
    assert len(page.all("svg", klass="gauge")) == 3


async def test_an_episode_shows_its_block_and_numbers_and_is_acknowledged_once(world: Watching) -> None:
    await world.log_in()
    list_id = await world.make_list("treasury", ALICE)
    episode_id = await world.find(list_id)
    page = await shown(world, f"/watchlists/{list_id}")
    assert page.one("span", klass="far").text == "1 open episode, 1 critical"
    assert "health factor 1.0423 is at or below 1.05" in page.text
    assert "block 8: 1.0423 against 1.05" in page.text
    assert "Critical" in (await shown(world, "/watchlists")).text

    answer = await world.post(f"/watchlists/{list_id}", do="acknowledge", episode=str(episode_id))
    assert went(answer) == f"/watchlists/{list_id}?done=acknowledge"
    page = await shown(world, f"/watchlists/{list_id}?done=acknowledge")
    assert "nobody is reminded of it any more" in page.text
    assert f"by key:{world.key.id} desk" in page.text
    assert not page.all("button", aria_label="Acknowledge: wallet 1")
    async with world.site.database.read() as session:
        (change, *_) = await load_changes(session, 1)
    assert (change.action, change.subject) == ("episode.acknowledge", f"episode:{episode_id}")


async def test_a_message_that_was_given_up_says_why_and_is_replayed(world: Watching) -> None:
    await world.log_in()
    list_id = await world.make_list("treasury", ALICE)
    await world.find(list_id)
    await world.give_up()
    page = await shown(world, f"/watchlists/{list_id}")
    assert "Given up" in page.text
    assert "The receiver answered 503." in page.text
    delivery = page.one("input", name="delivery").attributes["value"]
    assert went(await world.post(f"/watchlists/{list_id}", do="replay", delivery=delivery))
    async with world.site.database.read() as session:
        (told,) = await load_deliveries(session, limit=9)
    assert (told.id, told.state, told.attempts) == (delivery, "pending", 0)


async def test_what_others_wrote_is_text_and_never_markup(world: Watching) -> None:
    await world.log_in()
    evil = "<script>alert(1)</script>\"'"
    list_id = await world.make_list(evil)
    path = f"/watchlists/{list_id}"
    answer = await world.post(path, f"{path}/edit", do="add", wallets=f"{to_checksum(ALICE)}, {evil}")
    assert answer.status_code == 303
    await world.find(list_id)
    for page in (path, f"{path}/edit", f"{path}/live", "/watchlists", f"/wallet/{to_checksum(ALICE)}/watch"):
        source = (await world.client.get(page)).text
        assert "<script>alert" not in source
        assert "price <b>" not in source
        assert "&lt;script&gt;alert(1)" in source


async def test_rules_to_begin_with_are_added_switched_off_and_deleted(world: Watching) -> None:
    await world.log_in()
    list_id = await world.make_list("treasury", ALICE)
    path = f"/watchlists/{list_id}"
    chosen = {f"preset-{preset.code}": "1" for preset in PRESETS}
    assert went(await world.post(path, f"{path}/edit", do="presets", **chosen)) == f"{path}/edit?done=presets"
    page = await shown(world, f"{path}/edit")
    assert "health factor at or below 1.1 (warning), 1.03 (critical); ends past 1.15" in page.text
    assert "status is liquidatable (critical)" in page.text
    assert "distance in daily standard deviations of volatile assets at or below 3 (warning)" in page.text
    assert "Add the chosen" not in page.text  # all of them are on the list
    rule = page.all("input", name="rule")[0].attributes["value"]
    assert went(await world.post(path, f"{path}/edit", do="switch", rule=rule, on="0"))
    assert "health factor (off)" in (await shown(world, f"{path}/edit")).text
    assert went(await world.post(path, f"{path}/edit", do="unrule", rule=rule))
    assert "(off)" not in (await shown(world, f"{path}/edit")).text
    assert "Nothing found" in (await shown(world, path)).text


async def test_a_rule_that_is_not_sound_is_refused_with_what_is_wrong(world: Watching) -> None:
    await world.log_in()
    list_id = await world.make_list()
    path = f"/watchlists/{list_id}"
    for fields, said in (
        ({"warning": "1.0", "critical": "1.2"}, "a worse severity has a lower level"),
        ({"warning": "many"}, "decimal number"),
        ({}, "level"),
        ({"warning": "1", "metric": "mood"}, "metric"),
    ):
        answer = await world.post(
            path, f"{path}/edit", **{"do": "rule", "name": "x", "metric": "health_factor", **fields}
        )
        assert answer.status_code in (400, 422), fields
        assert said in Page(answer.text).text.lower(), Page(answer.text).text


async def test_who_is_told_is_set_tested_and_taken_away(world: Watching) -> None:
    await world.log_in()
    list_id = await world.make_list("treasury", ALICE)
    await world.find(list_id)
    path = f"/watchlists/{list_id}"
    channel = "1"
    route = {"min_severity": "warning", "timezone": "Europe/Berlin", "quiet_from": "22:00", "quiet_to": "07:00"}
    more = {"quiet_override": "critical", "repeat": "30", "digest_at": "08:00"}
    assert went(await world.post(path, f"{path}/edit", do="tell", channel=channel, **route, **more))
    page = await shown(world, path)
    assert (
        "warning and worse; quiet from 22:00 to 07:00 (Europe/Berlin), but critical at any time;"
        " again every 30 min until acknowledged; a digest at 08:00 (Europe/Berlin)" in page.text
    )
    assert went(await world.post(path, do="test", channel=channel)) == f"{path}?done=test"
    async with world.site.database.read() as session:
        assert "test" in {one.kind for one in await load_deliveries(session, limit=9)}
    assert went(await world.post(path, f"{path}/edit", do="untell", channel=channel))
    assert "Nobody is told." in (await shown(world, path)).text


async def test_a_list_is_renamed_paused_and_deleted_only_when_that_is_meant(world: Watching) -> None:
    await world.log_in()
    list_id = await world.make_list("treasury", ALICE)
    path = f"/watchlists/{list_id}"
    await world.post(path, f"{path}/edit", do="describe", name="cold", note="of the firm")
    await world.post(path, f"{path}/edit", do="pause", on="1")
    page = await shown(world, path)
    assert page.one("h1").text == "cold"
    assert "Nothing is evaluated and nobody is told." in page.text
    assert (await world.post(path, f"{path}/edit", do="delete")).status_code == 400
    assert went(await world.post(path, f"{path}/edit", do="delete", sure="yes")) == "/watchlists?done=delete"
    await shown(world, path, 404)


async def test_what_cannot_be_seen_is_never_called_calm(world: Watching) -> None:
    await world.log_in()
    list_id = await world.make_list("treasury", ALICE)
    path = f"/watchlists/{list_id}"
    await world.post(path, f"{path}/edit", do="presets", **{"preset-health": "1"})
    assert "Nothing found" in (await shown(world, path)).text

    world.site.now = EPOCH + 500
    page = await shown(world, path)
    assert page.one("span", klass="far").text == "Cannot be said"
    assert page.one(id="watch-live").has_class("stale")
    assert "Blind." in page.text
    lists = await shown(world, "/watchlists")
    assert "Cannot be said" in lists.text
    assert "Nothing open" not in lists.text
    await world.find(list_id, severity=Severity.WARNING)
    assert (await shown(world, path)).one("span", klass="far").text == "1 open episode"


async def test_a_chain_that_no_wallet_of_the_list_is_on_does_not_blind_it(world: Watching) -> None:
    await world.log_in()
    lists = {chain_id: await world.make_list(f"on {chain_id}") for chain_id in ("31337", "10", "")}
    for chain_id, list_id in lists.items():
        link = f"/wallet/{to_checksum(ALICE)}/watch"
        assert went(await world.post(link, list=str(list_id), chain_id=chain_id))
    await world.site.observe(4, chain_id=10)
    blind = {chain_id for chain_id, id in lists.items() if "Blind." in (await shown(world, f"/watchlists/{id}")).text}
    assert blind == {"10", ""}


async def test_rules_that_are_not_evaluated_are_said_to_be(world: Watching) -> None:
    await world.log_in()
    list_id = await world.make_list("treasury", ALICE)
    for number in range(9, 99):
        if number in (9, 98):
            await world.site.commit(number, [])
    page = await shown(world, f"/watchlists/{list_id}")
    assert "rules have not been evaluated for 1 min 29 s" in page.text


async def test_a_wallet_is_put_on_a_list_from_its_own_page(world: Watching) -> None:
    page = Page((await world.client.get(f"/wallet/{to_checksum(ALICE)}")).text)
    link = f"/wallet/{to_checksum(ALICE)}/watch"
    assert "Watch this wallet" in [element.text for element in page.all("a", href=link)]
    assert (await shown(world, link, 401)).one(name="next").attributes["value"] == link

    await world.log_in()
    first = went(await world.post(link, name="mine", label="cold"))
    page = await shown(world, first)
    assert "On the list." in page.text
    assert "cold" in page.text
    list_id = first.removeprefix("/watchlists/").partition("?")[0]
    assert went(await world.post(f"/wallet/{to_checksum(BOB)}/watch", list=list_id)) == first
    assert (await world.post(link)).status_code == 400


async def test_every_control_has_a_name_and_every_page_one_heading(world: Watching) -> None:
    await world.log_in()
    list_id = await world.make_list("treasury", ALICE, BOB)
    await world.find(list_id)
    await world.give_up()
    paths = (
        "/watchlists",
        f"/watchlists/{list_id}",
        f"/watchlists/{list_id}/edit",
        f"/wallet/{to_checksum(ALICE)}/watch",
    )
    for path in paths:
        page = await shown(world, path)
        assert len(page.all("h1")) == 1
        ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
        assert len(ids) == len(set(ids))
        for button in page.all("button"):
            assert button.text or button.attributes.get("aria-label")
        bare = re.sub(r"<label.*?</label>", "", page.source, flags=re.DOTALL)
        outside = [one for one in Page(bare).elements if one.tag in ("input", "select", "textarea")]
        named = {label.attributes.get("for") for label in page.all("label")}
        for element in outside:
            assert element.attributes.get("type") == "hidden" or element.attributes.get("id") in named
        assert "style=" not in page.source


async def test_pages_without_watchlists_do_not_offer_them() -> None:
    from tests.web import builders as b
    from tests.web.test_pages import PATH, get

    page = await get(PATH, b.StubSource())
    assert "Watch this wallet" not in page.text
    assert "Watchlists" not in page.text
    await get("/watchlists", b.StubSource(), 404)
