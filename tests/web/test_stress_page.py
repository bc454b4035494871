"""The what-ifs of a wallet page: the API's own numbers, in words and in order."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.api.frame.addresses import to_checksum
from app.api.source import ReadPath
from app.errors import Retryable
from app.store.postgres.engine import Database
from app.web.routes import mount_pages
from app.web.stress import SHOWN_ACCOUNTS
from tests.fakes.perp import LOT, USD6, tide_account, tide_deployment
from tests.fakes.pond import DOLLAR, ETHER, pond_account, pond_deployment
from tests.fakes.site import Site, open_site, wallet
from tests.web import builders as b
from tests.web.html import Page
from tests.web.stress_builders import crowded, simulation
from tests.web.test_pages import get
from tests.web.test_readpath import answered_by_the_api, page_of

ALICE = wallet(1)
PATH = f"/wallet/{to_checksum(ALICE)}"


@pytest.fixture
async def site(database: Database) -> AsyncIterator[Site]:
    opened = open_site(database)
    mount_pages(opened.app, ReadPath(opened.app.state.read_context))
    yield opened
    await opened.client.aclose()
    await opened.app.state.read_context.aclose()


@pytest.mark.database
async def test_every_number_of_the_what_ifs_is_one_that_simulate_answers(site: Site) -> None:
    await site.register(pond_deployment(), tide_deployment())
    await site.commit(4, [pond_account(ALICE, weth=ETHER, usdc_debt=2000 * DOLLAR)])
    await site.commit_tide(5, [tide_account(ALICE, cash=1000 * USD6, size=-LOT)])
    page = page_of(await site.get(PATH))
    section = page.one("section", aria_labelledby="stress-title")
    shown = {e.attributes["data-value"] for e in page.all() if "data-value" in e.attributes}
    assert shown <= await answered_by_the_api(site)
    assert shown & {"0.960000000000000000", "0.840000000000000000"}, "after a fall of 20 % and of 30 %"
    rows = page.rows("Each account by")
    assert rows[0] == "ETH-like assets −20.0 % Pond (devnet) 1.2000 0.9600 Liquidatable −600.00"
    assert "Tide (devnet)" in rows[1]
    assert "+600.00" in rows[1]
    assert "nothing changes" in section.text, "no BTC in it"
    assert "POST /v1/simulate" in section.text
    live = Page((await site.get(f"{PATH}/live")).text)
    assert live.one("section", aria_labelledby="stress-title").text == section.text


@pytest.mark.database
async def test_a_wallet_without_debt_has_no_what_ifs(site: Site) -> None:
    await site.register()
    await site.commit(5, [pond_account(ALICE, weth=ETHER)])
    assert "What if prices moved" not in page_of(await site.get(PATH)).text


async def test_riskiest_first_the_rest_counted_and_what_is_unknown_says_so() -> None:
    page = await get(f"/wallet/{b.CHECKSUMMED}", b.StubSource(stresses=[simulation(), crowded()]))
    rows = page.rows("Each account by")
    assert len(rows) == 2 + SHOWN_ACCOUNTS + 1
    assert rows[2].startswith(
        "All volatile assets −30.0 % A protocol with quite a long name, third edition on Optimism"
    )
    assert "Unknown" in rows[3]
    assert "2 more accounts are not listed" in rows[-1], "an account without debt before and after is not counted"


async def test_what_cannot_be_worked_out_is_said_and_leaves_the_page_alone() -> None:
    page = await get(f"/wallet/{b.CHECKSUMMED}", b.StubSource(stresses=Retryable("gone")))
    assert "This could not be worked out just now." in page.text
    assert "Health factor" in page.text
