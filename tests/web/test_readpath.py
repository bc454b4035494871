"""The pages over the real read path and a real database: what they show is what the API answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from app.api.frame.addresses import to_checksum
from app.api.simulate import STRESSES
from app.api.source import ReadPath
from app.store.postgres.engine import Database
from app.web.routes import mount_pages
from tests.fakes.perp import LOT, USD6, tide_account, tide_deployment
from tests.fakes.pond import DOLLAR, ETHER, USD8, WETH, pond_account, pond_records
from tests.fakes.site import DEVNET, EPOCH, Site, open_site, wallet
from tests.web.html import Page

ALICE = wallet(1)
PATH = f"/wallet/{to_checksum(ALICE)}"

pytestmark = pytest.mark.database


@pytest.fixture
async def site(database: Database) -> AsyncIterator[Site]:
    opened = open_site(database)
    mount_pages(opened.app, ReadPath(opened.app.state.read_context))
    yield opened
    await opened.client.aclose()
    await opened.app.state.read_context.aclose()


@pytest.fixture
async def lake(site: Site) -> Site:
    """Alice borrows at block 5, and the price of her collateral falls at block 8."""
    await site.register()
    await site.commit(5, [pond_account(ALICE, weth=ETHER, usdc_debt=2000 * DOLLAR)])
    await site.commit(8, [], pond_records(weth=2600 * USD8))
    site.now = EPOCH + 9
    return site


def page_of(answer: httpx.Response, status: int = 200) -> Page:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    return Page(answer.text)


def strings(json: object) -> Iterator[str]:
    """Every string anywhere inside."""
    match json:
        case dict():
            for value in json.values():
                yield from strings(value)
        case list():
            for value in json:
                yield from strings(value)
        case str():
            yield json


async def answered_by_the_api(site: Site) -> set[str]:
    """Every string in the answers a wallet page is made of: the wallet, and the fixed what-ifs."""
    found = set(strings((await site.get(f"/v1/wallets/{ALICE}")).json()))
    for moves in STRESSES:
        asked = {"address": str(ALICE), "moves": [move.model_dump(exclude_none=True) for move in moves]}
        found |= set(strings((await site.client.post("/v1/simulate", json=asked)).json()))
    return found


async def test_every_number_on_the_page_is_one_the_api_answers(lake: Site) -> None:
    page = page_of(await lake.get(PATH))
    answered = await answered_by_the_api(lake)
    shown = {e.attributes["data-value"] for e in page.all() if "data-value" in e.attributes}
    assert len(shown) > 10
    assert shown <= answered


async def test_every_number_of_a_perp_and_of_its_dollars_is_one_the_api_answers(lake: Site) -> None:
    await lake.register(tide_deployment())
    account = tide_account(ALICE, cash=2000 * USD6, size=4 * LOT, entry=3100 * USD6)
    await lake.commit_tide(9, [account], measure=WETH.asset)
    page = page_of(await lake.get(PATH))
    answered = await answered_by_the_api(lake)
    shown = {e.attributes["data-value"] for e in page.all() if "data-value" in e.attributes}
    assert shown <= answered
    assert {"1600.000000", "12000.000000", "4160000.00000000"} <= shown
    assert "By the oracle of pond-devnet" in page.text
    assert [e.text for e in page.all("h2") if e.attributes.get("id", "").startswith("name-")] == [
        "Pond (devnet)",
        "Tide (devnet)",
    ]


async def test_a_past_block_is_the_past(lake: Site) -> None:
    now = page_of(await lake.get(PATH)).one(data_key="a1-hf").attributes["data-value"]
    past = page_of(await lake.get(PATH, chain_id=DEVNET, block_number=5)).one(data_key="a1-hf").attributes["data-value"]
    assert (past, now) == ("1.200000000000000000", "1.040000000000000000")


async def test_a_block_that_is_not_stored_is_said_so(lake: Site) -> None:
    page = page_of(await lake.get(PATH, chain_id=DEVNET, block_number=2), 404)
    assert "Block not stored" in page.text
    assert page_of(await lake.get(PATH, chain_id=5), 404).text.count("Chain not followed") == 1


async def test_the_past_is_drawn_over_the_stored_blocks(lake: Site) -> None:
    chart = page_of(await lake.get(PATH)).one("svg", klass="chart")
    assert "Utilisation from block 5 to 8: lowest 83.4 %, highest 96.2 %" in chart.attributes["aria-label"]


async def test_the_front_page_ranks_and_says_what_is_followed(lake: Site) -> None:
    page = page_of(await lake.get("/"))
    assert page.one("a", href=PATH)
    assert "Live" in page.text


async def test_a_wallet_nobody_saw_is_a_page_and_not_an_error(lake: Site) -> None:
    page = page_of(await lake.get(f"/wallet/{to_checksum(wallet(99))}"))
    assert "Nobody has seen this wallet in" in page.text


async def test_before_anything_is_followed_the_pages_say_so(site: Site) -> None:
    assert "No chain is followed yet." in page_of(await site.get(PATH), 503).text
    assert page_of(await site.get("/")).all("form", role="search")


async def test_silence_of_the_chain_greys_the_page(lake: Site) -> None:
    lake.now = EPOCH + 500
    page = page_of(await lake.get(PATH))
    assert page.one(id="live").has_class("stale")
    assert "Devnet:" in page.one(id="stale-banner").text


async def test_the_api_beside_the_pages_keeps_its_own_errors(lake: Site) -> None:
    for path in ("/v1/nothing", "/v1/wallets/0x12"):
        answer = await lake.get(path)
        assert answer.headers["content-type"] == "application/problem+json"
