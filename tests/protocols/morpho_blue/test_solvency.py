"""The rule of health and its boundaries, by the contract's formulas written out a second time."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil, floor

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.chain import ZERO_ADDRESS
from app.domain.risk import Direction, RiskStatus
from app.domain.units import UINT256_MAX, WAD
from app.protocols.calibration import Confirmation
from app.protocols.morpho_blue.accrual import accrued, compounded, to_assets_up, to_shares_up
from app.protocols.morpho_blue.raw import Totals
from app.protocols.morpho_blue.solvency import Debtor, borrowing_room, last_liquidatable_price, least_repayment
from tests.protocols.morpho_blue.builders import NOW, holding, idle, make_market, make_state, make_totals

totals = st.builds(
    Totals,
    supply_assets=st.integers(10**30, 10**31),
    supply_shares=st.integers(0, 10**37),
    borrow_assets=st.integers(0, 10**30),
    borrow_shares=st.integers(0, 10**36),
    updated_at=st.just(NOW),
    fee_wad=st.sampled_from((0, WAD // 10, WAD // 4)),
)
debtors = st.builds(
    Debtor,
    totals=totals,
    lltv_wad=st.sampled_from((385 * WAD // 1000, 86 * WAD // 100, 98 * WAD // 100)),
    price=st.integers(0, 10**42),
    borrow_shares=st.integers(1, 10**36),
    collateral=st.integers(0, 10**27),
).map(lambda debtor: replace(debtor, totals=_with_own_shares(debtor)))


def _with_own_shares(debtor: Debtor) -> Totals:
    """The market's shares are everybody's: this debtor's and the others'."""
    return replace(debtor.totals, borrow_shares=debtor.totals.borrow_shares + debtor.borrow_shares)


def healthy(debtor: Debtor) -> bool:
    """`_isHealthy` in exact fractions with its roundings."""
    borrowed = ceil(
        Fraction(debtor.borrow_shares * (debtor.totals.borrow_assets + 1), debtor.totals.borrow_shares + 10**6)
    )
    value = floor(Fraction(debtor.collateral * debtor.price, 10**36))
    return floor(Fraction(value * debtor.lltv_wad, WAD)) >= borrowed


@given(debtor=debtors)
def test_the_verdict_is_the_contracts(debtor: Debtor) -> None:
    assert (debtor.max_borrow >= debtor.borrowed) == healthy(debtor)


@given(debtor=debtors)
def test_a_liquidation_price_is_the_last_unhealthy_one(debtor: Debtor) -> None:
    price = last_liquidatable_price(debtor)
    if price is None:
        assert not debtor.collateral
        return
    assert not healthy(replace(debtor, price=price))
    assert healthy(replace(debtor, price=price + 1))


@settings(max_examples=50)
@given(debtor=debtors)
def test_what_may_be_borrowed_leaves_the_account_healthy_and_one_unit_more_does_not(debtor: Debtor) -> None:
    def after(amount: int) -> Debtor:
        minted = to_shares_up(amount, debtor.totals.borrow_assets, debtor.totals.borrow_shares)
        grown = replace(
            debtor.totals,
            borrow_assets=debtor.totals.borrow_assets + amount,
            borrow_shares=debtor.totals.borrow_shares + minted,
        )
        return replace(debtor, totals=grown, borrow_shares=debtor.borrow_shares + minted)

    room = borrowing_room(debtor)
    assert not room or healthy(after(room))
    assert not healthy(after(room + 1))


@given(debtor=debtors)
def test_repaying_everything_reaches_any_target(debtor: Debtor) -> None:
    assert least_repayment(debtor, 100 * WAD) is not None


def test_totals_grow_by_the_contracts_series_and_its_fee() -> None:
    before = make_totals(2 * 10**12, 10**12, fee_wad=WAD // 10, updated_at=NOW - 1000)
    market = make_market(totals=before, rate_wad=10**9)
    after = accrued(market, NOW)
    first = 10**9 * 1000
    interest = 10**12 * (first + first * first // (2 * WAD) + first * first // (2 * WAD) * first // (3 * WAD)) // WAD
    fee = interest // 10
    shares = fee * (before.supply_shares + 10**6) // (2 * 10**12 + interest - fee + 1)
    assert after == Totals(
        2 * 10**12 + interest,
        before.supply_shares + shares,
        10**12 + interest,
        before.borrow_shares,
        NOW,
        WAD // 10,
    )


def test_without_time_model_or_debt_nothing_grows() -> None:
    market = make_market(totals=make_totals(updated_at=NOW))
    assert accrued(market, NOW) == market.totals
    free = make_market(irm=ZERO_ADDRESS, rate_wad=None)
    assert accrued(free, NOW) == free.totals
    quiet = idle(make_market())
    assert accrued(quiet, NOW) == quiet.totals


def test_interest_the_contract_could_not_add_up_is_not_known() -> None:
    assert compounded(UINT256_MAX, 1) is None
    assert compounded(2**129, 1) is None
    assert compounded(2**110, 1) is None
    assert accrued(make_market(rate_wad=None), NOW) is None
    assert accrued(make_market(rate_wad=2**80), NOW) is None
    account = holding(make_market(), borrow_shares=1, collateral=1)
    assert make_state(make_market(rate_wad=2**80)).at(NOW, 1).health(account).status is RiskStatus.UNKNOWN


def test_shares_are_never_worth_nothing() -> None:
    assert to_assets_up(1, 0, 0) == 1
    assert to_assets_up(0, 10**12, 10**18) == 0


def test_an_oracle_that_says_zero_makes_everybody_unhealthy_and_nobody_liquidatable_in_fact() -> None:
    market = make_market(price=0)
    risk = make_state(market).at(NOW, 1).assess(holding(market, borrow_shares=10**12, collateral=10**18))
    assert risk.status is RiskStatus.LIQUIDATABLE
    assert (risk.health_factor_wad, risk.utilization_wad) == (0, None)
    assert [reason.code for reason in risk.reasons] == ["liquidation_blocked"]
    assert risk.positions[0].liquidation_price is None


def test_a_price_the_contracts_product_overflows_with_is_no_price() -> None:
    market = make_market(price=UINT256_MAX)
    risk = make_state(market).at(NOW, 1).assess(holding(market, borrow_shares=10**12, collateral=10**18))
    assert risk.status is RiskStatus.UNKNOWN
    assert [reason.code for reason in risk.reasons] == ["price_unavailable"]


def test_collateral_where_nobody_borrows_is_safe_and_has_no_value() -> None:
    market = idle(make_market())
    priced = make_state(market).at(NOW, 1)
    account = holding(market, collateral=10**18)
    risk = priced.assess(account)
    assert (risk.status, risk.collateral_value, risk.debt_value) == (RiskStatus.NO_DEBT, None, 0)
    assert [reason.code for reason in risk.reasons] == ["price_unavailable"]
    assert priced.health(account).collateral_value is None


def test_a_worked_example() -> None:
    """1 WETH at 3000 USDC and an LLTV of 86 % carries 2580 USDC; 2000 are owed at one asset for a million shares."""
    even = make_totals(10**13, 10**12, supply_shares=10**19, borrow_shares=10**18, updated_at=NOW)
    market = make_market(totals=even)
    risk = make_state(market).at(NOW, 1).assess(holding(market, borrow_shares=2000 * 10**12, collateral=10**18))
    assert risk.status is RiskStatus.HEALTHY
    assert (risk.collateral_value, risk.debt_value) == (3000 * 10**6, 2000 * 10**6)
    assert risk.health_factor_wad == 129 * WAD // 100
    assert risk.available_borrows_value == 580 * 10**6
    assert (risk.liquidation_threshold_bps, risk.max_ltv_bps) == (8600, 8600)
    found = risk.positions[0].liquidation_price
    assert found is not None
    assert found.direction is Direction.FALL
    assert found.price == ceil(Fraction(ceil(Fraction(2000 * 10**6 * 100, 86)) * 10**36, 10**18)) - 1
    assert round(found.distance_wad / WAD, 4) == round(2000 / 2580 - 1, 4)


def test_rules_nobody_compared_are_said_to_be_unchecked() -> None:
    market = make_market()
    state = make_state(market, confirmation=Confirmation())
    risk = state.at(NOW, 1).assess(holding(market, collateral=1))
    assert "rules_unchecked" in {reason.code for reason in risk.reasons}
