"""Verdicts, liquidation prices and remedies against the contract's arithmetic written out a second time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.account import AccountSnapshot
from app.domain.risk import Direction, RiskStatus
from app.domain.units import WAD
from app.protocols.compound_v3.raw import PAUSED_ABSORB, PAUSED_SUPPLY, Raw, Totals
from tests.protocols.compound_v3 import reference
from tests.protocols.compound_v3.builders import (
    ACCRUED_AT,
    BASE,
    BLOCK,
    COMP,
    FULL_LIST,
    LAST,
    NOW,
    TOTALS,
    WBTC,
    WETH,
    make_raw,
    make_state,
    snapshot,
    with_pause,
)

INDEX = st.integers(10**15, 3 * 10**15)
AMOUNT = st.integers(0, 10**14)


@st.composite
def comets(draw: st.DrawFn) -> Raw:
    totals = Totals(draw(INDEX), draw(INDEX), draw(AMOUNT), draw(AMOUNT), ACCRUED_AT, 0)
    raw = make_raw(totals=totals, base_price=draw(st.integers(1, 10**10)))
    moved = {one.code: draw(st.integers(1, 10**13)) for one in (WETH, WBTC, LAST)}
    return replace(raw, prices={**raw.prices, **moved})


@st.composite
def accounts(draw: st.DrawFn) -> AccountSnapshot:
    held = draw(st.dictionaries(st.sampled_from([WETH, WBTC, COMP, LAST]), st.integers(1, 10**20), max_size=3))
    return snapshot(draw(st.integers(-(10**13), 10**6)), held)


def near_the_edge(raw: Raw, account: AccountSnapshot, off: int) -> AccountSnapshot:
    """The account with its debt moved to within `off` units of what its collateral carries."""
    capacity = make_state(raw).at(NOW, BLOCK).assess(snapshot_of(account, -1))
    assert capacity.collateral_value is not None
    power = sum(
        (p.supplied_value or 0) * (p.liquidation_threshold_bps * WAD // 10_000) // WAD for p in capacity.positions
    )
    index, price = reference.indices(raw, NOW)[1], raw.prices[BASE] or 1
    principal = power * 10**6 // price * 10**15 // index + off
    return snapshot_of(account, -max(principal, 0))


def snapshot_of(account: AccountSnapshot, principal: int) -> AccountSnapshot:
    by_code = {one.code: one for one in FULL_LIST}
    return snapshot(principal, {by_code[p.market]: p.supplied_raw for p in account.positions if p.market != BASE})


@settings(max_examples=60, deadline=None)
@given(raw=comets(), account=accounts(), off=st.none() | st.integers(-3, 3), seconds=st.integers(0, 10**7))
def test_verdict_views_and_balances_are_the_contracts(
    raw: Raw, account: AccountSnapshot, off: int | None, seconds: int
) -> None:
    account = account if off is None else near_the_edge(raw, account, off)
    now = ACCRUED_AT + seconds
    priced = make_state(raw).at(now, BLOCK)
    health = priced.health(account)
    assert priced.truth(account) == reference.truth(raw, account, now)
    assert (health.status is RiskStatus.LIQUIDATABLE) == reference.absorbable(raw, account, now)
    assert (health.health_factor_wad is not None and health.health_factor_wad < WAD) == (
        health.status is RiskStatus.LIQUIDATABLE
    )
    assert health.status is priced.assess(account).status


@settings(max_examples=60, deadline=None)
@given(raw=comets(), account=accounts(), off=st.none() | st.integers(-3, 3))
def test_a_liquidation_price_is_exactly_where_the_contract_turns(
    raw: Raw, account: AccountSnapshot, off: int | None
) -> None:
    account = account if off is None else near_the_edge(raw, account, off)

    def absorbable(market: str, price: int) -> bool | None:
        return reference.absorbable(replace(raw, prices={**raw.prices, market: price}), account, NOW)

    assessment = make_state(raw).at(NOW, BLOCK).assess(account)
    for position in assessment.positions:
        found = position.liquidation_price
        if found is not None:
            step = 1 if found.direction is Direction.FALL else -1
            assert absorbable(found.market, found.price) is True
            assert absorbable(found.market, found.price + step) is False
        else:
            assert absorbable(position.market, 1) == absorbable(position.market, 10**40)


def repaid(raw: Raw, account: AccountSnapshot, assets: int) -> AccountSnapshot:
    """`supplyBase` by somebody with this debt."""
    indices = reference.indices(raw, NOW)
    value = reference.present_value(reference.principal_of(raw, account), *indices) + assets
    return snapshot_of(account, reference.principal_value(value, *indices))


def deposited(account: AccountSnapshot, market: str, assets: int) -> AccountSnapshot:
    moved = [replace(p, supplied_raw=p.supplied_raw + assets * (p.market == market)) for p in account.positions]
    return replace(account, positions=tuple(moved))


@settings(max_examples=60, deadline=None)
@given(raw=comets(), account=accounts(), off=st.integers(-3, 10**4), target=st.integers(WAD, 3 * WAD))
def test_remedies_are_enough_and_one_unit_less_is_not(
    raw: Raw, account: AccountSnapshot, off: int, target: int
) -> None:
    account = near_the_edge(raw, account, off)
    priced = make_state(raw).at(NOW, BLOCK)

    def reaches(after: AccountSnapshot) -> bool:
        factor = priced.health(after).health_factor_wad
        return factor is None or factor >= target

    restoration = priced.restoration(account, target)
    if reaches(account):
        assert not restoration.repay
        assert not restoration.add_collateral
        return
    assert len(restoration.repay) == 1
    for remedy in restoration.repay:
        assert reaches(repaid(raw, account, remedy.assets))
        assert not reaches(repaid(raw, account, remedy.assets - 1))
    held = {p.market for p in account.positions if p.is_collateral} - {COMP.code}
    assert {remedy.market for remedy in restoration.add_collateral} == held
    for remedy in restoration.add_collateral:
        assert reaches(deposited(account, remedy.market, remedy.assets))
        assert not reaches(deposited(account, remedy.market, remedy.assets - 1))


def test_interest_since_the_last_accrual_decides_and_the_views_silence_is_explained() -> None:
    account = near_the_edge(make_raw(), snapshot(0, {WETH: 10**18}), 1_000)
    priced = make_state().at(NOW, BLOCK)
    assessment = priced.assess(account)
    assert assessment.status is RiskStatus.LIQUIDATABLE
    assert [reason.code for reason in assessment.reasons] == ["interest_not_accrued"]
    truth = priced.truth(account)
    assert truth is not None
    assert truth[0] == 0
    at_accrual = make_state().at(ACCRUED_AT, BLOCK).assess(account)
    assert at_accrual.status is RiskStatus.HEALTHY
    assert not at_accrual.reasons


def test_a_price_the_contract_does_not_get_to_does_not_fail_its_view() -> None:
    raw = make_raw()
    account = snapshot(-1_000, {WETH: 10**18, LAST: 5})
    for missing, said in ((LAST, True), (WETH, False)):
        blind = replace(raw, prices={**raw.prices, missing.code: None})
        priced = make_state(blind).at(NOW, BLOCK)
        assert (priced.truth(account) is not None) is said
        assert priced.truth(account) == reference.truth(blind, account, NOW)
        assert priced.health(account).status is RiskStatus.UNKNOWN


@pytest.mark.parametrize(
    ("flags", "codes"),
    [
        (0, []),
        (PAUSED_ABSORB, ["liquidation_blocked"]),
        (PAUSED_SUPPLY | PAUSED_ABSORB, ["liquidation_blocked", "supply_paused"]),
    ],
)
def test_pauses_are_named_and_change_no_verdict(flags: int, codes: list[str]) -> None:
    priced = make_state(with_pause(make_raw(), flags)).at(NOW, BLOCK)
    account = snapshot(-5_000 * 10**6, {WETH: 10**18})
    assessment = priced.assess(account)
    assert assessment.status is RiskStatus.LIQUIDATABLE
    assert [reason.code for reason in assessment.reasons] == codes
    assert bool(priced.restoration(account, WAD).repay) is not bool(flags & PAUSED_SUPPLY)
    assert not priced.assess(snapshot(5)).reasons


def test_a_collateral_that_no_longer_backs_new_debt_still_counts_against_liquidation() -> None:
    assessment = make_state().at(NOW, BLOCK).assess(snapshot(-(10**6), {COMP: 10**18}))
    assert assessment.status is RiskStatus.HEALTHY
    assert assessment.available_borrows_value == 0
    assert [reason.code for reason in assessment.reasons] == ["ltv_zero"]


def test_a_debt_too_small_to_be_worth_anything_turns_where_its_price_makes_it_so() -> None:
    account = snapshot(-1)
    priced = make_state(make_raw(base_price=5)).at(NOW, BLOCK)
    assessment = priced.assess(account)
    assert assessment.status is RiskStatus.NO_DEBT
    found = assessment.positions[0].liquidation_price
    assert found is not None
    assert priced.with_price(BASE, found.price).health(account).status is RiskStatus.LIQUIDATABLE
    assert priced.with_price(BASE, found.price - 1).health(account).status is RiskStatus.NO_DEBT


def test_quotes_are_the_contracts_rates_and_accrued_totals() -> None:
    state = make_state()
    base, weth, *_ = state.at(NOW, BLOCK).quotes()
    supply_index, borrow_index = reference.indices(state.raw, NOW)
    assert base.total_supplied_assets == TOTALS.total_supply * supply_index // 10**15
    assert base.total_borrowed_assets == TOTALS.total_borrow * borrow_index // 10**15
    assert base.borrow_rate_ray is not None
    assert base.supply_rate_ray is not None
    assert base.borrow_rate_ray > base.supply_rate_ray > 0
    assert (weth.market, weth.price, weth.liquidation_threshold_bps) == (WETH.code, WETH.price, 8900)
    assert [quote.market for quote in state.at(NOW, BLOCK).quotes()] == [market.code for market in state.markets()]


def test_interest_is_not_taken_back() -> None:
    with pytest.raises(ValueError, match="accrued back"):
        make_state().at(ACCRUED_AT - 1, BLOCK)
