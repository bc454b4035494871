from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from app.api.frame.problems import BLOCK_NOT_STORED, UNKNOWN_CHAIN, ApiProblem
from app.api.schemas.account import ReasonView
from app.errors import Retryable
from app.web.routes import mount_pages
from tests.web import builders as b
from tests.web.html import Page

PATH = f"/wallet/{b.CHECKSUMMED}"


def client_of(source: b.StubSource) -> httpx.AsyncClient:
    app = FastAPI(docs_url=None, redoc_url=None)
    mount_pages(app, source)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://waterline.test")


async def get(path: str, source: b.StubSource | None = None, status: int = 200) -> Page:
    async with client_of(source or b.StubSource()) as client:
        answer = await client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Page(answer.text)


async def show(*accounts: object, **overrides: object) -> Page:
    return await get(PATH, b.StubSource(view=b.wallet(*accounts, **overrides)))  # type: ignore[arg-type]


async def test_a_healthy_wallet_opens_with_its_distance_and_keeps_full_precision() -> None:
    page = await show(b.account())
    assert "12.4 % from liquidation if WETH falls to 1,834.20 USD" in page.text
    assert "41 days by interest alone · repay 1,545.86 USDC or add 1.3343 WETH to reach 1.50" in page.text
    factor = page.one(data_key="a1-hf")
    assert factor.text == "1.1416"
    assert factor.attributes["data-value"] == "1.141609712345678901"
    assert page.one("title").text.startswith("12.4 % from liquidation")


async def test_every_number_shown_of_a_position_is_the_apis_own() -> None:
    page = await show(b.account())
    values = {e.attributes["data-value"] for e in page.all() if "data-value" in e.attributes}
    for position in b.account().positions:
        assert position.price in values
        assert position.liquidation_price is not None
        assert position.liquidation_price.price in values
        assert position.liquidation_price.distance in values
    assert {"4.250000000000000001", "6470.112233", "8898.95260000", "1545.857121", "1.334208112233445566"} <= values


async def test_positions_name_price_age_liquidation_price_and_distance() -> None:
    weth, usdc = (await show(b.account())).rows("Positions")
    assert weth == "WETH 4.2500 8,898.95 USD – yes at 83.00 % 2,093.87 2 min old 1,834.20 if it falls −12.4 %"
    assert usdc == "USDC – 6,470.11 6,469.98 USD – 0.99998 9 h old 1.1415 if it rises +14.1 %"


async def test_a_status_is_a_word_and_a_shape_never_colour_alone() -> None:
    for account, word, code in (
        (b.account(), "Thin margin", "thin"),
        (b.liquidatable_account(), "Liquidatable", "liquidatable"),
        (b.unknown_account(), "Unknown", "unknown"),
        (b.no_debt_account(), "No debt", "no_debt"),
    ):
        page = await show(account)
        assert {e.text for e in page.all(klass="status")} == {word}
        assert f'href="#s-{code}"' in page.source
        assert f'id="s-{code}"' in page.source


async def test_a_liquidatable_wallet_says_so_and_its_gauge_is_past_the_line() -> None:
    page = await show(b.liquidatable_account())
    assert "Liquidatable now at health factor 0.9879" in page.text
    assert "safe again above" in page.rows("Positions")[0]
    gauge = page.one("svg", klass="gauge")
    assert gauge.attributes["aria-label"] == "Waterline gauge: utilisation 101.3 %; liquidation starts at 100 %"


async def test_an_unknown_account_shows_its_reason_and_not_a_single_number() -> None:
    page = await show(b.unknown_account())
    assert "Unknown: Aave V3 on Ethereum could not be assessed" in page.text
    assert "the oracle gives no price for WETH price_unavailable" in page.text
    assert "Health factor" not in page.text
    assert "The sums leave out 1 unknown account." in page.text


async def test_no_debt_is_words_and_no_infinity() -> None:
    page = await show(b.no_debt_account())
    assert "No debt, so nothing to liquidate" in page.text
    assert "none without debt" in page.text
    assert "nfinit" not in page.text
    assert "∞" not in page.text


async def test_a_wallet_nobody_has_seen_names_what_was_looked_at() -> None:
    deployments = [b.deployment(), b.deployment(id="x", name="Compound V3", chain_id=8453, scan_remaining_blocks=1_234)]
    page = await get(PATH, b.StubSource(view=b.wallet(), deployments=deployments))
    assert "Nobody has seen this wallet in Aave V3 on Ethereum or Compound V3 on Base" in page.text
    assert "Ethereum block 23,456,789" in page.text
    assert "1,234 blocks to go" in page.text


async def test_a_stale_page_is_greyed_as_a_whole_with_the_reason() -> None:
    page = await show(b.account(as_of=b.stale_as_of()))
    assert page.one(id="live").has_class("stale")
    banner = page.one(id="stale-banner")
    assert "hidden" not in banner.attributes
    assert banner.text.startswith("Stale. Ethereum: the newest indexed block is 431 seconds old")
    assert "Stale" in page.one(id="live").attributes["data-announce"]


async def test_only_what_rests_on_a_stale_chain_is_greyed() -> None:
    fresh = b.as_of(chain_id=10, chain="Optimism")
    page = await show(b.account(as_of=b.stale_as_of()), b.account(chain_id=10, as_of=fresh))
    assert not page.one(id="live").has_class("stale")
    assert [a.has_class("stale") for a in page.all("article")] == [True, False]
    assert page.one("section", aria_label="Summary").has_class("stale")
    assert page.one(id="stale-banner").text.startswith("Partly stale. Ethereum:")


async def test_a_fresh_page_hides_its_banner() -> None:
    assert "hidden" in (await show(b.account())).one(id="stale-banner").attributes


async def test_a_chain_not_indexed_yet_is_named_and_does_not_grey_the_others() -> None:
    chains = [b.as_of(), b.unindexed_as_of(chain_id=10, chain="Optimism")]
    page = await show(b.account(), chains=chains)
    assert "Optimism: nothing of this chain is indexed yet" in page.one(id="stale-banner").text
    assert not page.one(id="live").has_class("stale")
    assert not page.one("section", aria_label="Summary").has_class("stale")


async def test_a_past_block_is_asked_for_labelled_and_not_followed_live() -> None:
    old = b.stale_as_of(stale_reason="block 23456790 itself is not stored: this is block 23456789")
    source = b.StubSource(view=b.wallet(b.account(as_of=old)))
    page = await get(PATH + "?block_number=23456790&chain_id=1", source)
    assert source.asked == [(str(b.WALLET), 1, 23_456_790)]
    past = page.one("p", klass="past").text
    assert past.startswith("A past block. This is how the wallet stood at block 23,456,789 of Ethereum, 2026-11-22")
    assert "Block 23456790 itself is not stored" in past
    assert "data-live" not in page.one(id="wallet").attributes
    assert not page.one(id="live").has_class("stale")
    assert page.all("a", href=f"/v1/wallets/{b.CHECKSUMMED}?chain_id=1&block_number=23456790")


async def test_accounts_of_many_chains_keep_the_apis_order_and_share_one_line() -> None:
    page = await show(
        b.liquidatable_account(),
        b.unknown_account(chain_id=42161, as_of=b.as_of(chain_id=42161, chain="Arbitrum One")),
        b.account(chain_id=10, as_of=b.as_of(chain_id=10, chain="Optimism")),
        b.no_debt_account(chain_id=8453, as_of=b.as_of(chain_id=8453, chain="Base")),
    )
    names = [e.text for e in page.all("h2") if e.attributes.get("id", "").startswith("name-")]
    assert names == [f"Aave V3 on {chain}" for chain in ("Ethereum", "Arbitrum One", "Optimism", "Base")]
    assert page.one("nav", klass="fleet").text.count("Aave V3 on") == 4
    assert "4 chains, the oldest Ethereum block" in page.text


async def test_hostile_names_and_reasons_are_shown_as_text() -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    position = b.weth_position(symbol=evil)
    prices = [p.model_copy(update={"symbol": evil}) for p in b.account().liquidation_prices]
    page = await show(
        b.account(
            name=evil,
            unit=evil,
            positions=[position],
            liquidation_prices=prices,
            reasons=[ReasonView(code=evil, detail=evil)],
            as_of=b.stale_as_of(stale_reason=evil, chain=evil),
        )
    )
    assert len(page.all("script")) == 1
    assert not page.all("img")
    assert not [e for e in page.elements if any(name.startswith("on") for name in e.attributes)]
    assert evil.replace("  ", " ") in page.text


async def test_reasons_of_a_healthy_account_are_shown() -> None:
    page = await show(
        b.account(reasons=[ReasonView(code="rules_unconfirmed", detail="not compared with the contract")])
    )
    assert "not compared with the contract rules_unconfirmed" in page.one("ul", klass="reasons").text


async def test_sums_that_leave_something_out_say_so() -> None:
    accounts = [b.account(), b.unknown_account()]
    totals = b.totals(accounts, other_currency_accounts=2)
    page = await show(*accounts, totals=totals)
    assert "The sums leave out 1 unknown account and 2 counted in another currency." in page.text


async def test_the_past_is_drawn_with_a_threshold_and_told_in_words() -> None:
    past = b.history(b.point(0, "0.5"), b.point(5, "0.9", is_change=True), b.point(9, "0.8"))
    page = await get(PATH, b.StubSource(past=past))
    chart = page.one("svg", klass="chart")
    assert "highest 90.0 %" in chart.attributes["aria-label"]
    assert "liquidation at 100 %" in chart.text
    assert len(page.all("circle", klass="change")) == 1


async def test_a_past_that_cannot_be_had_leaves_the_present_alone() -> None:
    page = await get(PATH, b.StubSource(past=Retryable("database gone")))
    assert "12.4 % from liquidation" in page.text


async def test_the_live_fragment_is_the_live_part_alone() -> None:
    page = await get(PATH + "/live")
    assert page.elements[0].attributes["id"] == "live"
    assert not page.all("html")
    assert page.elements[0].attributes["data-chains"].strip() == "1:7:120"


async def test_the_history_fragment_always_has_its_slot() -> None:
    for past in (b.history(), b.history(b.point(0, "0.5"), b.point(5, "0.9"))):
        page = await get(PATH + "/history", b.StubSource(past=past))
        assert page.elements[0].attributes["id"] == "history"


async def test_any_case_leads_to_the_checksummed_page_and_keeps_the_question() -> None:
    async with client_of(b.StubSource()) as client:
        answer = await client.get(f"/wallet/{b.CHECKSUMMED.lower()}?block_number=5&chain_id=1")
        assert answer.status_code == 308
        assert answer.headers["location"] == f"{PATH}?block_number=5&chain_id=1"
        caip = await client.get(f"/wallet/eip155:10:{b.CHECKSUMMED}")
        assert caip.headers["location"] == f"{PATH}?chain_id=10"


@pytest.mark.parametrize("start", ["/wallet/", "/search?q="])
async def test_a_bad_checksum_is_explained_and_corrected(start: str) -> None:
    page = await get(start + b.CHECKSUMMED.replace("Ef1", "EF1"), status=400)
    assert "This address fails its checksum" in page.text
    assert page.one("a", href=PATH).text == b.CHECKSUMMED
    assert [e.text for e in page.all(klass="wrong")] == ["F"]


@pytest.mark.parametrize(
    ("query", "location"),
    [
        (b.CHECKSUMMED.lower(), PATH),
        (f"https://etherscan.io/address/{b.CHECKSUMMED}", PATH),
        (f"eip155:42161:{b.CHECKSUMMED}", f"{PATH}?chain_id=42161"),
        ("  ", "/"),
    ],
)
async def test_a_search_leads_on(query: str, location: str) -> None:
    async with client_of(b.StubSource()) as client:
        answer = await client.get("/search", params={"q": query})
    assert (answer.status_code, answer.headers["location"]) == (303, location)


async def test_a_search_for_something_else_keeps_what_was_typed() -> None:
    page = await get("/search?q=vitalik.eth%22%3E", status=400)
    assert page.one("input").attributes["value"] == 'vitalik.eth">'
    page = await get("/search?q=vitalik.eth", status=400)
    assert "Names such as ENS are not resolved here" in page.text


async def test_the_front_page_offers_samples_with_words_and_says_how_fresh_it_is() -> None:
    ranked = [b.ranked(status="liquidatable", utilization="1.1"), b.ranked()]
    deployments = [b.deployment(), b.deployment(id="old", name="Old", as_of=b.stale_as_of())]
    page = await get("/", b.StubSource(riskiest=ranked, deployments=deployments))
    assert [e.text for e in page.all(klass="status")] == ["Liquidatable", "Thin margin", "Live", "Stale"]
    assert len(page.all("a", href=PATH)) == 2
    assert "431 seconds old" in page.text
    assert page.one("input", name="q").attributes["id"] == page.one("label").attributes["for"]


async def test_the_front_page_stands_when_nothing_can_be_loaded() -> None:
    gone = Retryable("secret dsn")
    page = await get("/", b.StubSource(riskiest=gone, deployments=gone))
    assert page.all("form", role="search")
    assert "The data is out of reach at this moment" in page.text
    assert "secret" not in page.source


async def test_nothing_here_is_a_designed_page() -> None:
    page = await get("/nowhere", status=404)
    assert "Nothing here" in page.text
    assert page.all("form", role="search")


async def test_the_apis_own_paths_are_answered_as_problems() -> None:
    async with client_of(b.StubSource()) as client:
        answer = await client.get("/v1/nowhere")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (
            ApiProblem(UNKNOWN_CHAIN, "chain 5 is not followed; these are: 1"),
            404,
            "Chain 5 is not followed; these are: 1.",
        ),
        (ApiProblem(BLOCK_NOT_STORED, "blocks 7 to 9 are stored"), 404, "Blocks 7 to 9 are stored."),
        (Retryable("postgres://user:secret@host"), 503, "No number is shown rather than an old or a guessed one."),
        (RuntimeError("postgres://user:secret@host"), 500, "No number is shown rather than an old or a guessed one."),
    ],
)
async def test_a_failure_is_a_page_that_tells_no_secret(error: Exception, status: int, said: str) -> None:
    page = await get(PATH, b.StubSource(view=error), status)
    assert said in page.text
    assert "secret" not in page.source


@pytest.mark.parametrize("query", ["block_number=abc", "chain_id=-1", "block_number=1" + "0" * 18])
async def test_a_question_that_is_no_number_is_refused(query: str) -> None:
    assert "has to be a whole number" in (await get(f"{PATH}?{query}", status=400)).text


async def test_an_unfilled_form_asks_for_now() -> None:
    source = b.StubSource()
    await get(f"{PATH}?block_number=&chain_id=", source)
    assert source.asked == [(str(b.WALLET), None, None)]


async def test_every_page_forbids_foreign_and_inline_code() -> None:
    async with client_of(b.StubSource()) as client:
        for path in ("/", PATH, PATH + "/live", "/nowhere", "/search?q=x"):
            answer = await client.get(path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "http" not in policy
            page = Page(answer.text)
            assert not page.all("style")
            assert not [e for e in page.elements if "style" in e.attributes]
            assert all(e.text == "" for e in page.all("script"))


async def test_static_files_are_cached_for_ever_under_their_hash_only() -> None:
    async with client_of(b.StubSource()) as client:
        page = Page((await client.get("/")).text)
        urls = [page.one("link", rel="stylesheet").attributes["href"], page.one("script").attributes["src"]]
        urls.append(page.one("link", rel="icon").attributes["href"])
        for url in urls:
            answer = await client.get(url)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
            again = await client.get(url, headers={"If-None-Match": answer.headers["etag"]})
            assert again.status_code == 304
            old = await client.get("/static/0000000000000000/" + url.rsplit("/", 1)[1])
            assert old.headers["cache-control"] == "no-cache"
        assert (await client.get("/static/0000000000000000/../routes.py")).status_code == 404
        assert (await client.get("/static/0000000000000000/nothing.js")).status_code == 404


async def test_pages_are_never_stored_by_caches() -> None:
    async with client_of(b.StubSource()) as client:
        assert (await client.get(PATH)).headers["cache-control"] == "no-store"


async def test_debt_without_any_capacity_is_not_shown_as_unknown() -> None:
    page = await show(b.liquidatable_account(utilization=None, health_factor="0.000000000000000000"))
    assert (
        page.one("svg", klass="gauge").attributes["aria-label"].startswith("Waterline gauge: utilisation no capacity")
    )
    assert "debt without any capacity" in page.text
