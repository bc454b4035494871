"""The rule of margin: figures of the real contracts, the rule written out again, and what must always hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.account import AccountSnapshot
from app.domain.risk import Direction, RiskStatus
from app.protocols.perp_curie.funding import bounds
from app.protocols.perp_curie.raw import Growth, Status
from tests.protocols.perp_curie.builders import (
    BTC,
    ETH,
    NOW,
    OLD,
    STILL,
    WAD,
    WETH,
    maker,
    snapshot,
    taker,
)
from tests.protocols.perp_curie.contracts import FakeContracts
from tests.protocols.perp_curie.exact import EXACT, EXACT_STATE, USD, accounts, amounts, priced, with_market


@pytest.mark.parametrize(
    ("mark", "funding", "value", "requirement", "account_value", "status"),
    [
        (
            2008251567029069786589,
            45074539773739776590,
            8033006268116279146356,
            502062891757267446647,
            947062154 * 10**12,
            RiskStatus.HEALTHY,
        ),
        (
            1831745021315239629026,
            73146530738227726253,
            7326980085260958516104,
            457936255328809907256,
            212963980 * 10**12,
            RiskStatus.LIQUIDATABLE,
        ),
    ],
)
def test_figures_of_the_real_contracts(
    mark: int, funding: int, value: int, requirement: int, account_value: int, status: RiskStatus
) -> None:
    """A deposit of 1000 USDC and a long of 4 vETH, run on the package's own contracts (2.8.4)."""
    notional = -8040869574096380896409
    growth = Growth(bounds(4 * WAD, 0, funding).low, None)
    market = replace(EXACT.markets[ETH.code], mark_price=mark, growth=growth)
    account = snapshot(1_000 * USD, taker(ETH, 4 * WAD, notional, last=0))
    state = priced(with_market(EXACT, market))
    risk = state.assess(account)
    (perp,), margin = risk.perps, risk.margin
    assert margin is not None
    assert (perp.notional_value, perp.pending_funding_value) == (value, funding)
    assert perp.unrealized_pnl_value == margin.unrealized_pnl_value == value + notional
    assert (margin.requirement_value, margin.equity_value) == (requirement, account_value)
    assert risk.status is state.health(account).status is status
    assert risk.health_factor_wad == account_value * WAD // requirement
    assert state.truth(account) == (account_value, requirement, value, 0, value + notional, 0)


def test_the_figures_healths_are_those_of_the_facts() -> None:
    assert 947062154 * 10**12 * WAD // 502062891757267446647 // 10**14 == 18863
    assert 212963980 * 10**12 * WAD // 457936255328809907256 // 10**13 == 46505


@given(account=accounts())
def test_the_numbers_are_the_rules_as_written_in_the_contracts(account: AccountSnapshot) -> None:
    contracts, state = FakeContracts((account,)), priced()
    value, requirement, *_ = contracts.truth(account)
    assert state.truth(account) == contracts.truth(account)
    risk = state.assess(account)
    assert risk.margin is not None
    assert risk.margin.pending_funding_value == sum(map(contracts.funding, account.perps))
    liquidatable = value < requirement
    if requirement:
        assert (risk.status is RiskStatus.LIQUIDATABLE) == liquidatable
        assert risk.health_factor_wad is not None
        assert (risk.health_factor_wad < WAD) == liquidatable
        assert (risk.utilization_wad is None) == (value <= 0)
        assert risk.utilization_wad is None or (risk.utilization_wad > WAD) == liquidatable
        assert value <= 0 or risk.utilization_wad == -(-requirement * WAD // value)
    else:
        assert risk.status is RiskStatus.NO_DEBT
        assert risk.health_factor_wad is None
    assert sum(one.notional_value for one in risk.perps) == risk.margin.notional_value


@given(account=accounts())
def test_each_liquidation_price_is_where_the_verdict_turns(account: AccountSnapshot) -> None:
    state = priced()
    risk = state.assess(account)
    for found in (*(one.liquidation_price for one in risk.perps), *(one.liquidation_price for one in risk.positions)):
        if found is None:
            continue
        step = 1 if found.direction is Direction.FALL else -1
        for price, liquidatable in ((found.price, True), (found.price + step, False)):
            health = state.with_price(found.market, price).health(account)
            assert (health.status is RiskStatus.LIQUIDATABLE) == liquidatable


@given(
    size=st.integers(10**6, 10**22),
    balance=amounts,
    factor=st.integers(1_000_001, 100_000_000),
    other=st.integers(-(10**20), 10**20),
    sign=st.sampled_from([1, -1]),
)
def test_a_better_price_never_endangers_who_is_a_unit_of_the_settlement_token_clear_of_it(
    size: int, balance: int, factor: int, other: int, sign: int
) -> None:
    """Health itself may fall with a better price (of who has more margin than notional); the verdict may not turn."""
    account = snapshot(balance, taker(ETH, sign * size), taker(BTC, other))
    state = priced()
    margin = state.assess(account).margin
    assert margin is not None
    better = ETH.price * factor // 10**6 if sign > 0 else ETH.price * 10**6 // factor
    if margin.equity_value - margin.requirement_value >= 10**12:
        status = state.with_price(ETH.code, better).health(account).status
        assert status in (RiskStatus.HEALTHY, RiskStatus.NO_DEBT)


def test_equity_at_the_requirement_is_healthy_and_a_unit_less_is_not() -> None:
    """At a price of 1600 a size of 1 needs 100 dollars."""
    market = replace(EXACT.markets[ETH.code], mark_price=1_600 * WAD)
    state = priced(with_market(EXACT, market))
    held = taker(ETH, WAD, -1_600 * WAD, last=ETH.growth)
    assert state.health(snapshot(100 * USD, held)).health_factor_wad == WAD
    assert state.health(snapshot(100 * USD, held)).status is RiskStatus.HEALTHY
    assert state.health(snapshot(100 * USD - 1, held)).status is RiskStatus.LIQUIDATABLE
    assert state.health(snapshot(100 * USD, held, owed=-1)).status is RiskStatus.LIQUIDATABLE


def test_positions_do_not_offset_each_other_in_the_requirement() -> None:
    account = snapshot(100 * USD, taker(ETH, WAD), taker(BTC, -WAD // 32))
    margin = priced().assess(account).margin
    assert margin is not None
    assert margin.notional_value == ETH.price + BTC.price // 32
    assert margin.leverage_wad == -(-margin.notional_value * WAD // margin.equity_value)


def test_margin_below_zero_is_a_number_too() -> None:
    account = snapshot(-500 * USD, taker(ETH, WAD))
    state = priced()
    risk = state.assess(account)
    assert risk.status is RiskStatus.LIQUIDATABLE
    assert risk.health_factor_wad is not None
    assert risk.health_factor_wad < 0
    assert risk.utilization_wad is None
    assert risk.margin is not None
    assert risk.margin.leverage_wad is None
    assert "bad_debt" in {reason.code for reason in risk.reasons}
    debts = [(one.supplied_value, one.borrowed_value) for one in risk.positions]
    assert debts == [(0, 500 * WAD)]


def test_who_has_no_position_owes_no_margin_whatever_the_balance() -> None:
    for account in (snapshot(), snapshot(-5 * USD), snapshot(0, taker(ETH, 9, -1))):
        risk = priced().assess(account)
        assert (risk.status, risk.health_factor_wad, risk.utilization_wad) == (RiskStatus.NO_DEBT, None, 0)


def test_markets_that_are_not_open_are_valued_at_their_last_price_and_said_to_be() -> None:
    account = snapshot(100 * USD, taker(OLD, 20 * WAD), taker(STILL, -7 * WAD))
    risk = priced().assess(account)
    assert [one.mark_price for one in risk.perps] == [OLD.price, STILL.price]
    assert {(r.code, r.market) for r in risk.reasons} == {
        ("market_closed", OLD.code),
        ("market_paused", STILL.code),
    }
    assert priced(elapsed=10**6).truth(account) == priced().truth(account), "funding stands still"


def test_what_is_missing_is_named_and_makes_the_account_unknown() -> None:
    account = snapshot(100 * USD, taker(ETH, WAD), tokens={WETH: 1})
    eth, weth = EXACT.markets[ETH.code], EXACT.collaterals[WETH.code]
    for raw, code in (
        (with_market(EXACT, replace(eth, mark_price=None)), "price_unavailable"),
        (with_market(EXACT, replace(eth, growth=None)), "funding_unavailable"),
        (with_market(EXACT, replace(eth, status=None)), "market_unavailable"),
        (replace(EXACT, markets={}), "market_unavailable"),
        (replace(EXACT, terms=None), "market_unavailable"),
        (replace(EXACT, timestamp=None), "market_unavailable"),
        (replace(EXACT, collaterals={}), "market_unavailable"),
        (replace(EXACT, collaterals={WETH.code: replace(weth, price=None)}), "price_unavailable"),
        (replace(EXACT, collaterals={WETH.code: replace(weth, ratio=None)}), "market_unavailable"),
    ):
        state = priced(raw)
        risk = state.assess(account)
        assert (risk.status, [reason.code for reason in risk.reasons]) == (RiskStatus.UNKNOWN, [code])
        assert state.health(account).status is RiskStatus.UNKNOWN
        assert state.truth(account) is None
        assert state.restoration(account, 2 * WAD).add_collateral == ()


def test_a_position_that_is_not_counted_needs_no_price() -> None:
    raw = with_market(EXACT, replace(EXACT.markets[ETH.code], mark_price=None))
    account = snapshot(100 * USD, taker(ETH, -9, 4))
    risk = priced(raw).assess(account)
    assert risk.status is RiskStatus.NO_DEBT
    assert "position_dust" in {reason.code for reason in risk.reasons}


def test_funding_goes_on_at_the_premium_of_the_block() -> None:
    account = snapshot(1_000 * USD, taker(ETH, 4 * WAD), maker(BTC, WAD, -60_000 * WAD, funding=17))
    later = priced(elapsed=86_400).assess(account)
    now = priced().assess(account)
    for before, after, perp in zip(now.perps, later.perps, (ETH, BTC), strict=True):
        size = before.size_raw
        expected = size * perp.premium // 2**96
        assert abs(after.pending_funding_value - before.pending_funding_value - expected) <= 1
    assert now.perps[1].pending_funding_value == 17
    with pytest.raises(ValueError, match="taken back"):
        EXACT_STATE.at(NOW - 1, 1)


def test_orders_are_said_to_be_cancelled_first_and_have_no_entry_price() -> None:
    account = snapshot(1_000 * USD, maker(ETH, WAD, -2_000 * WAD, fee=5), taker(BTC, -WAD // 100))
    risk = priced().assess(account)
    assert [one.entry_price for one in risk.perps] == [None, BTC.price // 100 * 100]
    assert "maker_orders" in {reason.code for reason in risk.reasons}


def test_a_short_is_endangered_by_a_rise_however_far_and_a_long_by_a_fall() -> None:
    short, long = snapshot(10**7 * USD, taker(ETH, -WAD)), snapshot(500 * USD, taker(ETH, WAD))
    for account, direction in ((short, Direction.RISE), (long, Direction.FALL)):
        found = priced().assess(account).perps[0].liquidation_price
        assert found is not None
        assert found.direction is direction
        assert (found.distance_wad > 0) == (direction is Direction.RISE)
    unlevered = snapshot(10**7 * USD, taker(ETH, WAD))
    assert priced().assess(unlevered).perps[0].liquidation_price is None, "not even at a price of nothing"


def test_a_paused_clearing_house_is_said() -> None:
    assert EXACT.terms is not None
    raw = replace(EXACT, terms=EXACT.terms._replace(paused=1))
    codes = {reason.code for reason in priced(raw).assess(snapshot(100 * USD, taker(ETH, WAD))).reasons}
    assert codes == {"liquidation_blocked"}


def test_quotes_state_every_market_with_its_price() -> None:
    quotes = {quote.market: quote for quote in priced().quotes()}
    assert quotes[ETH.code].price == ETH.price
    assert quotes[WETH.code].price == WETH.price * 10**10
    assert quotes[WETH.code].liquidation_threshold_bps == 7_000
    assert EXACT.markets[OLD.code].status is Status.CLOSED
    assert [market.code for market in EXACT_STATE.markets()] == [quote.market for quote in priced().quotes()]
