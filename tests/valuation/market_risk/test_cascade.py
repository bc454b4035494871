"""The cascade: no impact is the plain curve, more impact is never less, and the rest explains itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.account import AccountKey
from app.domain.legs import Leg
from app.domain.units import WAD
from app.valuation.groups import ETH, OTHER, VOLATILE
from app.valuation.market_risk import Impact, ImpactModel, cascade, risk_curve
from app.valuation.shocks import Shock
from tests.valuation.market_risk.builders import PERPS, PRICES, VAULT, holds, key, market_of, owes

SHALLOW = Impact({ETH: 1000.0})


def fall(percent: int, group: str = ETH) -> Shock:
    return Shock({group: WAD * (100 - percent) // 100})


amounts = st.floats(0.01, 1e4)
volatile = st.sampled_from(["WETH", "WBTC", "LINK", "UNI"])


@st.composite
def borrowers(draw: st.DrawFn) -> list[Leg]:
    """Volatile collateral, stable debt somewhere around the line."""
    held = [holds(symbol, draw(amounts)) for symbol in draw(st.lists(volatile, min_size=1, max_size=3, unique=True))]
    capacity = sum(leg.capacity * PRICES[leg.factor] for leg in held)
    return [*held, owes("DAI", capacity * draw(st.floats(0.3, 1.1)))]


populations = st.lists(borrowers(), min_size=1, max_size=12).map(
    lambda found: {key(number): legs for number, legs in enumerate(found)}
)
mixed = st.lists(
    st.lists(
        st.one_of(
            st.builds(holds, st.sampled_from(sorted(PRICES)), amounts),
            st.builds(owes, st.sampled_from(sorted(PRICES)), amounts),
        ),
        max_size=5,
    ),
    max_size=15,
).map(lambda found: {key(number): legs for number, legs in enumerate(found)})


@settings(max_examples=60, deadline=None)
@given(mixed, st.sampled_from([ETH, VOLATILE]), st.integers(0, 50))
def test_without_impact_the_cascade_is_the_plain_curve(
    accounts: dict[AccountKey, list[Leg]], group: str, percent: int
) -> None:
    market = market_of(accounts)
    found = cascade([market], fall(percent, group), Impact({}))
    plain = risk_curve(market, market.of_group(group), [1 - percent / 100]).lending
    assert found.at_shock == found.at_rest
    assert (found.rounds, found.is_at_rest, found.sold_usd) == (1, True, {})
    assert found.at_rest.accounts == plain.accounts[0]
    assert found.at_rest.debt == pytest.approx(plain.debt[0], rel=1e-9)
    assert found.at_rest.collateral == pytest.approx(plain.collateral[0], rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(populations, st.integers(0, 40), st.floats(1e3, 1e9), st.floats(1.0, 100.0), st.sampled_from(ImpactModel))
def test_more_impact_never_liquidates_less(
    accounts: dict[AccountKey, list[Leg]], percent: int, depth: float, deeper: float, model: ImpactModel
) -> None:
    market, shock = market_of(accounts), fall(percent, VOLATILE)
    small = cascade([market], shock, Impact({ETH: depth * deeper, "btc": depth * deeper, OTHER: depth * deeper}, model))
    large = cascade([market], shock, Impact({ETH: depth, "btc": depth, OTHER: depth}, model))
    assert large.at_rest.accounts >= small.at_rest.accounts
    assert large.at_rest.bad_debt >= small.at_rest.bad_debt * (1 - 1e-9)
    for pool, impact in small.impact.items():
        assert large.impact[pool] <= impact * (1 + 1e-9)
        assert large.sold_usd[pool] >= small.sold_usd[pool] * (1 - 1e-6)


def test_equal_inputs_give_equal_results() -> None:
    accounts = {key(n): [holds("WETH", 10 + n), owes("DAI", 7000 + 900 * n)] for n in range(20)}
    first, again = (cascade([market_of(accounts)], fall(10), Impact({ETH: 5000.0})) for _ in range(2))
    assert first == again
    assert first.rounds > 2


def test_at_rest_the_price_explains_what_is_sold_and_the_sales_the_price() -> None:
    """10 WETH at 1,000 carry 8,000: safe with 7,900 until it falls by 2 %. Half of the debt and 5 % are sold."""
    found = cascade([market_of({key(1): [holds("WETH", 10), owes("DAI", 7900)]})], fall(2), SHALLOW)
    price = 980 * found.impact[ETH]
    assert found.sold_usd[ETH] == pytest.approx(0.5 * 1.05 * 7900 / price * 1000, rel=1e-6)
    assert found.impact[ETH] == pytest.approx(1 - 0.01 * found.sold_usd[ETH] / 1000, rel=1e-6)
    assert found.is_at_rest
    assert found.at_rest.collateral == pytest.approx(10 * price, rel=1e-6)
    assert found.at_shock.collateral == 9800


def test_the_square_root_model_moves_by_the_root() -> None:
    impact = Impact({ETH: 1000.0}, ImpactModel.SQUARE_ROOT)
    assert impact.of(4000, 1000) == pytest.approx(0.98)
    assert Impact({ETH: 1000.0}).of(4000, 1000) == pytest.approx(0.96)
    assert Impact({ETH: 1000.0}).of(1e9, 1000) == 0.01


def test_sales_of_one_account_take_the_next_one_along() -> None:
    accounts = {
        key(1): [holds("WETH", 10), owes("DAI", 7900)],
        key(2): [holds("WETH", 10), owes("DAI", 7600)],
        key(3): [holds("WETH", 10), owes("DAI", 3000)],
    }
    found = cascade([market_of(accounts)], fall(2), SHALLOW)
    assert (found.at_shock.accounts, found.at_rest.accounts) == (1, 2)


def test_sales_on_one_chain_take_accounts_on_another_along() -> None:
    here = market_of({key(1): [holds("WETH", 10), owes("DAI", 7900)]})
    there = market_of({key(2): [holds("WETH", 10), owes("DAI", 7600)]})
    found = cascade([here, there], fall(2), SHALLOW)
    assert (found.at_shock.accounts, found.at_rest.accounts) == (1, 2)
    assert cascade([], fall(2)).at_rest.accounts == 0


def test_who_was_below_the_line_once_has_sold_whatever_prices_do_then() -> None:
    """A rise takes along who owes WETH; the sales of another bring the price back down."""
    accounts = {
        key(1): [holds("DAI", 10_000), owes("WETH", 7.5)],
        key(2): [holds("WETH", 10), owes("DAI", 9_900)],
    }
    found = cascade([market_of(accounts)], Shock({ETH: WAD * 11 // 10}), SHALLOW)
    assert found.impact[ETH] < 0.96
    assert (found.at_shock.accounts, found.at_rest.accounts) == (2, 2)


def test_other_assets_do_not_move_together() -> None:
    accounts = {
        key(1): [holds("LINK", 1000), owes("DAI", 8100)],
        key(2): [holds("UNI", 2000), owes("DAI", 7900)],
        key(3): [holds("LINK", 1000), owes("DAI", 7900)],
    }
    found = cascade([market_of(accounts)], Shock(), Impact({OTHER: 1000.0}))
    assert found.at_rest.accounts == 2
    assert found.impact["UNI"] == 1.0
    assert found.impact["LINK"] < 0.97


def test_what_is_counted_in_a_token_sells_for_what_the_token_is_worth() -> None:
    """1,200 DAI against 1 WETH: 0.96 WETH of capacity. It is the WETH owed that would have to be bought."""
    found = cascade(
        [market_of({key(1, VAULT): [holds("DAI", 1200), owes("WETH", 1)]})], Shock(), Impact({"stable": 1e5})
    )
    assert found.sold_usd["stable"] == pytest.approx(525, rel=1e-2)
    assert found.at_rest.debt == pytest.approx(1000)


def test_perps_and_what_cannot_be_converted_are_counted_and_sell_nothing() -> None:
    accounts = {
        key(1, PERPS): [Leg("WETH", 10, 10, 0.6), Leg("", -9_900, -9_900, 0)],
        key(2, VAULT): [holds("DAI", 1200), owes("WETH", 1)],
    }
    found = cascade([market_of(accounts, converts_weth=False)], Shock(), Impact({"eth": 1.0, "stable": 1.0}))
    assert (found.at_rest.accounts, found.at_rest.perp_accounts, found.at_rest.unconverted) == (1, 1, 1)
    assert set(found.sold_usd.values()) == {0.0}
    assert found.at_rest.debt == 0.0


def test_rounds_are_bounded_and_it_is_said_when_they_end_too_soon() -> None:
    accounts = {key(n): [holds("WETH", 10), owes("DAI", 7900 - 50 * n)] for n in range(30)}
    found = cascade([market_of(accounts)], fall(2), Impact({ETH: 3000.0}, max_rounds=2))
    assert (found.rounds, found.is_at_rest) == (2, False)
