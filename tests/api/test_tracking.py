"""Having a wallet looked up: one small list, bounded in size and rate; and what else the service may write."""

from __future__ import annotations

import ast
from pathlib import Path

import psycopg
import pytest
from rich.console import Console

from app.api.frame.limits import Allowance
from app.api.source import ReadPath
from app.api.tracking import Tracker
from app.commands.upkeep import parse_wallets, read_lines, thin, track
from app.errors import Refused
from app.settings import load_settings
from app.store.tracked import TrackList
from app.web.routes import mount_pages
from tests.fakes.site import DEVNET, Site, wallet

pytestmark = pytest.mark.database

ALICE = wallet(1)
PATH = f"/v1/wallets/{ALICE}/track"


async def test_a_wallet_is_put_on_the_list_once_and_asking_for_it_does_not(site: Site, database_url: str) -> None:
    await site.register()
    await site.commit(1)
    assert (await site.get(PATH)).json()["chains"][0]["state"] == "not_asked"
    for _ in range(2):
        answer = await site.client.post(PATH)
        assert answer.status_code == 200
        (chain,) = answer.json()["chains"]
        assert (chain["chain_id"], chain["state"], chain["looked_up_block"]) == (DEVNET, "next_block", None)
    assert answer.json()["looked_up_in"] == ["pond-devnet"]
    assert (await site.get(PATH)).json()["chains"] == [chain]
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT wallet, chain_id FROM tracked_wallets").fetchall() == [(bytes(ALICE), DEVNET)]


async def test_it_is_bounded_in_rate_and_in_size(site: Site) -> None:
    await site.register()
    await site.commit(1)
    context = site.app.state.read_context
    site.app.state.tracker = Tracker(TrackList(site.database, most=2), context, Allowance(4, 0.0, lambda: 0.0))
    statuses = [(await site.client.post(f"/v1/wallets/{wallet(n)}/track")) for n in range(5)]
    assert [one.status_code for one in statuses] == [200, 200, 429, 429, 429]
    assert "full" in statuses[2].json()["detail"]
    assert "just now" in statuses[4].json()["detail"]
    assert all(one.json()["type"] == "/problems/too-many-requests" for one in statuses[2:])
    assert all(int(one.headers["retry-after"]) > 0 for one in statuses[2:])


async def test_what_is_not_a_wallet_or_not_followed_or_has_a_body_is_refused(site: Site) -> None:
    await site.register()
    await site.commit(1)
    assert (await site.client.post("/v1/wallets/0x12/track")).status_code == 400
    assert (await site.client.post(PATH, params={"chain_id": 5})).status_code == 404
    assert (await site.client.post(PATH, content=b"x")).status_code == 400
    assert (await site.client.delete(PATH)).status_code == 405


async def test_the_page_of_a_wallet_nobody_has_seen_says_that_it_is_being_looked_up(site: Site) -> None:
    await site.register()
    await site.commit(1)
    mount_pages(site.app, ReadPath(site.app.state.read_context, site.app.state.tracker))
    page = (await site.client.get(f"/wallet/{ALICE}", follow_redirects=True)).text
    assert "Being looked up at the next block" in page
    assert (await site.get(PATH)).json()["chains"][0]["state"] == "next_block"


def test_an_allowance_refills() -> None:
    now = [0.0]
    allowance = Allowance(2, 0.5, lambda: now[0])
    assert [allowance.take() for _ in range(3)] == [True, True, False]
    now[0] = 2.0
    assert [allowance.take() for _ in range(2)] == [True, False]
    now[0] = 1_000.0
    assert [allowance.take() for _ in range(3)] == [True, True, False]


def test_the_service_and_its_pages_write_through_three_doors_only() -> None:
    """The list of wallets to look up, the note that a key was used, and changes that have their line in the log."""
    root = Path(__file__).parents[2] / "app"
    doors = {"TrackList": ["tracking.py"], "KeyRing": ["app.py", "keys.py"], "change_log": ["changes.py"]}
    found: dict[str, set[str]] = {door: set() for door in doors}
    for path in [*(root / "api").rglob("*.py"), *(root / "web").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Name) and node.id in doors:
                found[node.id].add(path.name)
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("write", "lock") or "database" not in ast.unparse(node.value), path
            if isinstance(node, ast.Name):
                assert node.id != "WriteSession", path
            if isinstance(node, ast.ImportFrom) and node.module == "app.store.watch.change_log":
                assert "changing" not in {name.name for name in node.names}, path
    assert {door: sorted(paths) for door, paths in found.items()} == doors


async def test_the_command_takes_addresses_and_files(site: Site, database_url: str, tmp_path: Path) -> None:
    await site.register()
    await site.commit(1)
    file = tmp_path / "wallets.txt"
    file.write_text(f"# mine\n{wallet(2)}  # cold\n\n{wallet(1)}\n")
    settings = load_settings({"DATABASE_URL": database_url})
    console = Console(record=True, width=200)
    assert await track(settings, [str(ALICE)], file, None, console) == 0
    assert "2 of 2 wallets" in console.export_text()
    for one in (1, 2):
        assert (await site.get(f"/v1/wallets/{wallet(one)}/track")).json()["chains"][0]["state"] == "next_block"
    with pytest.raises(Refused, match="chain 5 is not followed"):
        await track(settings, [str(ALICE)], None, 5, console)


def test_every_line_that_is_no_address_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"(?s)'0x12'.*'nonsense'"):
        parse_wallets(["0x12", str(ALICE), "nonsense"])
    with pytest.raises(Refused, match="name wallets"):
        parse_wallets([])
    with pytest.raises(Refused, match="--file"):
        read_lines(tmp_path / "absent")


async def test_the_thinning_command_wants_a_retention_and_says_what_it_did(site: Site, database_url: str) -> None:
    await site.register()
    for number in range(1, 120):
        await site.commit(number)
    console = Console(record=True, width=200)
    with pytest.raises(Refused, match="RETENTION_DAYS"):
        await thin(load_settings({"DATABASE_URL": database_url}), None, None, console)
    await thin(load_settings({"DATABASE_URL": database_url, "RETENTION_DAYS": "1"}), None, None, console)
    assert "history begins at block" in console.export_text()
    answer = await site.get("/v1/wallets/" + str(ALICE), block_number=2)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/block-not-stored")
