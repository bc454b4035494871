"""Perp cards, converted values and deployments in trouble, as pages show them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.api.schemas.wallets import WalletView
from tests.web import builders as b
from tests.web import perp_builders as p
from tests.web.html import Page
from tests.web.test_pages import PATH, get, show


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


@pytest.mark.parametrize(
    "view",
    [
        b.wallet(p.perp_account(p.eth_long(), p.btc_short())),
        b.wallet(p.drowned_perp(), p.converted_account(), b.no_debt_account()),
        b.wallet(p.idle_perp()),
    ],
    ids=["two legs", "three kinds", "idle"],
)
async def test_every_number_shown_is_among_the_apis_own_strings(view: WalletView) -> None:
    page = await get(PATH, b.StubSource(view=view))
    shown = {e.attributes["data-value"] for e in page.all() if "data-value" in e.attributes}
    assert len(shown) > 5
    assert shown <= set(strings(view.model_dump(mode="json")))


async def test_a_perp_leg_names_side_size_notional_leverage_prices_results_and_liquidation_price() -> None:
    eth, btc = (await show(p.perp_account(p.eth_long(), p.btc_short()))).rows("Perp positions")
    assert eth == (
        "ETH long 4.2000 12,600.50 USD 5.07x 3,139.64 3,000.12 2 min old −585.99 1.25 2,750.11 if it falls −8.33 %"
    )
    assert btc == (
        "BTC short −0.050000 3,000.00 USD 1.21x 61,200.00 60,000.00 2 min old +60.00 3.14 of fees earned −0.40 "
        "91,000.00 if it rises +51.6 %"
    )


async def test_a_perp_card_shows_its_equity_against_the_margin_it_needs() -> None:
    page = await show(p.perp_account())
    assert "Utilisation of the equity31.7 %" in page.text
    assert "Equity2,489.61 USD Maintenance margin787.53 USD Leverage5.07x" in page.text
    assert page.one("p", klass="says").text.startswith("Long 4.2000 ETH at 5.07x; liquidated if the mark price falls")
    gauge = page.one("svg", klass="gauge")
    assert gauge.attributes["aria-label"] == "Waterline gauge: utilisation 31.7 %; liquidation starts at 100 %"
    assert page.rows("Margin posted") == ["USDC 3,076.85 3,076.85 USD – 0.99998"]
    assert "Close at the mark price, fees and slippage apart" in page.text
    assert "Available to borrow" not in page.text


async def test_without_equity_the_gauge_is_past_every_number_and_says_why() -> None:
    page = await show(p.drowned_perp())
    assert page.one("svg", klass="gauge").attributes["aria-label"].startswith("Waterline gauge: utilisation no equity")
    assert "no equity left" in page.text
    assert page.one(data_key="a1-hf").text == "−0.6468"


async def test_the_sums_name_perps_only_where_there_are_any() -> None:
    accounts = [p.perp_account()]
    totals = b.totals(accounts, perp_equity_usd="2489.61600000", perp_notional_usd="12600.50400000")
    page = await show(*accounts, totals=totals)
    assert "Perp equity2,489.61 USD Perp notional12,600.50 USD" in page.text
    assert "Perp equity" not in (await show(b.account())).text


async def test_cards_come_in_the_apis_order_each_with_its_chain() -> None:
    page = await show(p.drowned_perp(), b.unknown_account(), p.perp_account(), b.no_debt_account(chain_id=8453))
    assert [e.text for e in page.all("h2") if e.attributes.get("id", "").startswith("name-")] == [
        "Perpetual Protocol V2 on Optimism",
        "Aave V3 on Ethereum",
        "Perpetual Protocol V2 on Optimism",
        "Aave V3 on Base",
    ]


async def test_converted_values_name_their_source_and_its_age_and_missing_ones_the_reason() -> None:
    accounts = [p.converted_account()]
    page = await show(*accounts, totals=b.totals(accounts, converted_accounts=1))
    dollars = page.one("section", aria_label="In US dollars").text
    assert "Collateral18,633.20 USD Debt13,547.11 USD One WETH2,093.87 USD" in dollars
    assert "By the oracle of aave-v3-ethereum at the same block, 2 min old" in dollars
    assert "1 account is counted in a token and converted by another pool's oracle, named at it." in page.text
    missing = await show(p.converted_account(usd=None, usd_missing_reason="no lending pool followed prices WETH"))
    assert "Not stated in US dollars: no lending pool followed prices WETH." in missing.text
    assert not (await show(b.account())).all("section", aria_label="In US dollars")


async def test_a_deployment_in_trouble_is_a_banner_with_its_reason_with_and_without_accounts() -> None:
    for accounts in ((b.account(),), ()):
        page = await show(*accounts, troubled_deployments=[p.trouble()])
        said = "Not read. Spark on Ethereum: its addresses provider names another pool. What this wallet has there"
        assert said in page.text


async def test_the_front_page_shows_a_perps_notional_where_lending_shows_its_debt() -> None:
    ranked = [b.ranked(kind="perp", debt_value=None, notional_value="12600.504"), b.ranked()]
    page: Page = await get("/", b.StubSource(riskiest=ranked))
    cells = [e.text for e in page.all("td", data_label="Debt or notional")]
    assert cells == ["12,600.50 USD", "6,469.98 USD"]
