"""The market page over the real read path: the API's own numbers, drawn and in words."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.api.frame.addresses import to_checksum
from app.api.schemas.risk import CurveView
from app.api.source import ReadPath
from app.errors import Retryable
from app.store.postgres.engine import Database
from app.web.curve_chart import HEIGHT, curve_chart
from app.web.routes import mount_pages
from tests.api.test_risk import ALICE, BOB, find_adapter
from tests.fakes.perp import LOT, USD6, tide_account, tide_deployment
from tests.fakes.pond import DOLLAR, ETHER, pond_account
from tests.fakes.site import Site, open_site
from tests.web.builders import StubSource
from tests.web.market_builders import market_answers
from tests.web.test_pages import get
from tests.web.test_readpath import page_of, strings

GROUPS = ("volatile", "eth", "btc", "stable")


@pytest.fixture
async def site(database: Database) -> AsyncIterator[Site]:
    opened = open_site(database, find_adapter=find_adapter)
    mount_pages(opened.app, ReadPath(opened.app.state.read_context))
    yield opened
    await opened.client.aclose()
    await opened.app.state.read_context.aclose()


async def answered(site: Site) -> set[str]:
    """Every string the API answers about the market."""
    found = set(strings((await site.get("/v1/risk/summary")).json()))
    for group in GROUPS:
        found |= set(strings((await site.get("/v1/risk/liquidation-curve", group=group)).json()))
    for change in ("-0.1", "-0.2", "-0.3"):
        body = {"moves": [{"group": "volatile", "change": change}], "limit": 0}
        found |= set(strings((await site.client.post("/v1/risk/simulate", json=body)).json()))
    return found


@pytest.mark.database
async def test_every_number_of_the_market_is_one_the_api_answers(site: Site) -> None:
    await site.register()
    await site.register(tide_deployment())
    accounts = [
        pond_account(ALICE, weth=ETHER, usdc_debt=1800 * DOLLAR),
        pond_account(BOB, weth=ETHER, usdc_debt=2300 * DOLLAR),
    ]
    await site.commit(5, accounts)
    await site.commit_tide(6, [tide_account(ALICE, cash=1000 * USD6, size=-LOT)])
    page = page_of(await site.get("/market"))
    shown = {e.attributes["data-value"] for e in page.all() if "data-value" in e.attributes}
    assert {"4100.00", "6000.00", "0.854167", "1800.00"} <= shown
    assert shown <= await answered(site)
    assert "0 lending accounts liquidatable, of 2 with debt" in page.text
    assert page.rows("At once")[2].startswith("−30.0 % 2 2 4,100.00")
    assert len(page.all("a", href=f"/wallet/{to_checksum(BOB)}")) == 1
    assert len(page.all("svg", klass="curve")) == 3, "nobody has BTC"


@pytest.mark.database
async def test_before_anything_is_followed_the_market_says_so(site: Site) -> None:
    assert "Nothing is indexed yet" in page_of(await site.get("/market"), 503).text


async def test_the_front_page_leads_to_the_market() -> None:
    assert len((await get("/", StubSource())).all("a", href="/market")) == 1


async def test_who_is_in_no_sum_is_said() -> None:
    page = await get("/market", StubSource())
    assert "Accounts in no sum: 12 unknown, 3 with values nobody states in USD." in page.text
    assert "2 lending accounts liquidatable, of 61,256 with debt" in page.text


async def test_what_cannot_be_had_is_said() -> None:
    page = await get("/market", StubSource(market=Retryable("the database is away")), 503)
    assert "No number is shown rather than an old or a guessed one" in page.text


def test_a_curve_is_drawn_from_its_lowest_to_its_highest_move() -> None:
    view = market_answers()[1]
    chart = curve_chart(view)
    assert chart is not None
    assert chart.trace == "M0.0 7.6L500.0 160.0L1000.0 153.0"
    assert chart.now_x == 50.0
    assert [place.label for place in chart.places][::2] == ["−50.0 %", "now", "+50.0 %"]
    assert all(0 <= tick.y <= HEIGHT for tick in chart.ticks)
    assert "5,200,000,000.00 USD at −50.0 %" in chart.summary


def test_where_nothing_falls_nothing_is_drawn() -> None:
    view = market_answers()[1]
    nothing = view.lending.model_copy(update={"debt_usd": ["0.00"] * 3})
    assert curve_chart(CurveView.model_validate(view.model_dump() | {"lending": nothing.model_dump()})) is None
