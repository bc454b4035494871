"""Members: every form of address, all faults told, CSV that comes back as it was and is no danger in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator

import httpx
import pytest

from app.api.app import create_app
from app.api.frame.addresses import to_checksum
from app.api.schemas.watchlists import LineFault
from app.api.watch.member_forms import MOST_FAULTS, MOST_NAMES, csv_lines, read_csv, read_members
from app.domain.chain import Address
from app.domain.watch import Member
from app.errors import Refused, Retryable
from app.store.postgres.engine import Database
from app.store.watch.members import StoredMember
from tests.api.keyed import bearer, make_key
from tests.fakes.site import Site, open_site, wallet

pytestmark = pytest.mark.database

LIST = "/v1/watchlists/1"
ALICE, BOB, CAROL = (to_checksum(wallet(n)) for n in range(3))
BAD_CHECKSUM = "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


class _Names:
    """A resolver that knows one name."""

    async def resolve(self, name: str) -> Address | None:
        if name == "down.eth":
            raise Retryable("no node")
        if "_" in name:
            raise Refused("not a name that can be normalised")
        return wallet(0) if name == "alice.eth" else None


@pytest.fixture
async def desk(site: Site) -> httpx.AsyncClient:
    """A client that may do everything, names resolved, with one list."""
    site.app.state.name_resolver = _Names()
    site.client.headers.update(bearer(await make_key(site.database)))
    await site.client.post("/v1/watchlists", json={"name": "treasury"})
    return site.client


async def _chunks(text: str | bytes, size: int = 7) -> AsyncIterator[bytes]:
    data = text if isinstance(text, bytes) else text.encode()
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def _read(text: str | bytes) -> tuple[list[Member], list[LineFault]]:
    read = await read_members(read_csv(_chunks(text)), _Names())
    return read.members, read.faults


async def test_members_are_added_in_any_form_shown_and_removed(desk: httpx.AsyncClient) -> None:
    items = [
        {"address": ALICE.lower(), "label": "cold", "tags": ["a", "b", "a"]},
        {"address": f"eip155:10:{ALICE}"},
        {"address": BOB.upper().replace("X", "x"), "chain_id": 1},
        {"address": "alice.eth", "chain_id": 5},
    ]
    added = await desk.post(f"{LIST}/members", json={"items": items})
    assert added.json() == {"added": 4, "updated": 0, "faults": []}
    shown = (await desk.get(f"{LIST}/members")).json()["items"]
    assert [(one["address"], one["chain_id"], one["caip10"], one["given"]) for one in shown] == [
        (ALICE, None, None, ""),
        (ALICE, 10, f"eip155:10:{ALICE}", f"eip155:10:{ALICE}"),
        (BOB, 1, f"eip155:1:{BOB}", ""),
        (ALICE, 5, f"eip155:5:{ALICE}", "alice.eth"),
    ]
    assert shown[0]["tags"] == ["a", "b"]
    of_alice = (await desk.get(f"{LIST}/members", params={"address": ALICE})).json()["items"]
    assert of_alice == [shown[0], shown[1], shown[3]]
    page = (await desk.get(f"{LIST}/members", params={"limit": 3})).json()
    rest = (await desk.get(f"{LIST}/members", params={"limit": 3, "cursor": page["next_cursor"]})).json()
    assert (page["items"] + rest["items"], rest["next_cursor"]) == (shown, None)
    again = await desk.post(f"{LIST}/members", json={"items": [{"address": ALICE, "label": "hot"}]})
    assert again.json() == {"added": 0, "updated": 1, "faults": []}
    assert (await desk.delete(f"{LIST}/members/eip155:10:{ALICE}")).status_code == 204
    assert (await desk.delete(f"{LIST}/members/{ALICE}")).status_code == 204
    assert (await desk.delete(f"{LIST}/members/{ALICE}")).status_code == 404
    assert [one["address"] for one in (await desk.get(f"{LIST}/members")).json()["items"]] == [BOB]
    log = (await desk.get("/v1/change-log")).json()["items"]
    assert [one["action"] for one in log[:3]] == ["members.remove", "members.remove", "members.add"]


async def test_all_faults_are_told_and_nothing_is_stored_unless_partly_is_asked_for(desk: httpx.AsyncClient) -> None:
    lines = [
        "address,label,chain_id,tags",
        f"{ALICE},cold,1,a; b",
        f"{BAD_CHECKSUM},,,",
        "",
        "nobody.eth,,,",
        "a_b.eth,,,",
        f"eip155:1:{BOB},,2,",
        f"{BOB},,x,",
        f"{BOB},too,many,cells,here",
        f'{BOB},"open,,',
        f"{BOB},{'x' * 101},,",
        f"{BOB},,,{'t' * 51}",
        f"{CAROL},last,,",
    ]
    body = "\n".join(lines)
    refused = await desk.post(f"{LIST}/members.csv", content=body)
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid-lines")
    assert "9 of 11" in refused.json()["detail"]
    faults = {one["line"]: one["fault"] for one in refused.json()["faults"]}
    assert list(faults) == [3, 5, 6, 7, 8, 9, 10, 11, 12]
    assert "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed" in faults[3]
    assert faults[5] == "this name has no address"
    assert faults[6] == "not a name that can be normalised"
    assert (await desk.get(f"{LIST}/members")).json()["items"] == []
    partly = await desk.post(f"{LIST}/members.csv", params={"partial": True}, content=body)
    assert (partly.json()["added"], len(partly.json()["faults"])) == (2, 9)
    assert [one["label"] for one in (await desk.get(f"{LIST}/members")).json()["items"]] == ["cold", "last"]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("", None),
        ("name,label\n", "first line names the columns"),
        ("address,address\n", "first line names the columns"),
        (b"address\n\xff\xfe\n", "UTF-8"),
        (b"address\n0x\xc3", "UTF-8"),
        ("address\n" + "x" * 5000, "at most 4096 characters"),
    ],
)
async def test_what_is_no_file_of_members_is_refused(
    desk: httpx.AsyncClient, body: str | bytes, fault: str | None
) -> None:
    answer = await desk.post(f"{LIST}/members.csv", content=body, headers={"Content-Length": str(len(body))})
    if fault is None:
        assert answer.json() == {"added": 0, "updated": 0, "faults": []}
    else:
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-request")
        assert fault in answer.json()["detail"]


async def test_too_large_a_file_is_refused_before_it_is_read(desk: httpx.AsyncClient) -> None:
    answer = await desk.post(f"{LIST}/members.csv", content=b"x" * (8 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")


LABELS = ["=1+1", "+1", "-1", "@cmd", "'=1", "''-1", "'plain", "plain", "a,b", 'say "so"', "ünï", "", "x;y", "0"]


async def test_what_is_exported_is_imported_as_it_was_and_holds_no_formula() -> None:
    members = [
        StoredMember(n, 1, Member(wallet(n), None if n % 2 else n + 1, label, (label or "t", "b") if n < 4 else ()), 5)
        for n, label in enumerate(LABELS)
    ]
    text = "address,chain_id,label,tags\r\n" + csv_lines(members)
    for row in csv.reader(io.StringIO(text)):
        assert not [cell for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    for written in (text, text.replace("\r\n", "\n"), "\ufeff" + text):
        again, faults = await _read(written)
        assert faults == []
        assert again == [stored.member for stored in members]


async def test_a_list_comes_back_from_its_own_export(desk: httpx.AsyncClient) -> None:
    items = [{"address": str(wallet(n)), "label": label, "tags": ["=t", "u"]} for n, label in enumerate(LABELS)]
    await desk.post(f"{LIST}/members", json={"items": items})
    exported = await desk.get(f"{LIST}/members.csv")
    assert exported.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="watchlist-1.csv"' in exported.headers["content-disposition"]
    before = (await desk.get(f"{LIST}/members")).json()["items"]
    await desk.post("/v1/watchlists", json={"name": "copy"})
    added = await desk.post("/v1/watchlists/2/members.csv", content=exported.content)
    assert added.json() == {"added": len(LABELS), "updated": 0, "faults": []}
    assert (await desk.get("/v1/watchlists/2/members")).json()["items"] == before


async def test_names_wait_for_a_node_and_are_refused_without_one(desk: httpx.AsyncClient, site: Site) -> None:
    body = {"items": [{"address": "down.eth"}]}
    assert (await desk.post(f"{LIST}/members", json=body)).status_code == 503
    site.app.state.name_resolver = None
    answer = await desk.post(f"{LIST}/members", json=body)
    assert (answer.status_code, "names are not resolved here" in answer.text) == (422, True)


async def test_no_request_has_a_node_asked_without_bound() -> None:
    members, faults = await _read("address\n" + "alice.eth\n" * (MOST_NAMES + 1))
    assert (members, len(faults)) == ([], MOST_FAULTS)
    assert "1,000 names" in faults[0].fault


async def test_a_hundred_thousand_lines_are_read_and_stored(database: Database) -> None:
    """In seconds: the test's own time limit is what holds it to that."""
    site = open_site(database)
    key = bearer(await make_key(database))
    await site.client.post("/v1/watchlists", json={"name": "all"}, headers=key)
    text = "address,label\n" + "".join(f"0x{n:040x},n{n}\n" for n in range(100_000))
    added = await site.client.post(f"{LIST}/members.csv", content=text, headers=key)
    assert added.json()["added"] == 100_000
    exported = await site.client.get(f"{LIST}/members.csv", headers=key)
    assert exported.text.count("\r\n") == 100_001
    await site.client.aclose()


def test_the_app_takes_a_resolver(database: Database) -> None:
    names = _Names()
    assert create_app(database, name_resolver=names).state.name_resolver is names
