from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.account import AccountSnapshot
from app.domain.risk import Direction, LiquidationPrice, RiskAssessment, RiskStatus
from app.domain.units import WAD
from app.protocols.aave_v3.raw import EMode, Raw
from app.protocols.aave_v3.rules import V3_0, V3_4, V3_5, V3_6, V3_7, Rules
from app.protocols.base import PricedState
from tests.protocols.aave_v3.builders import (
    DAI,
    NOW,
    USDC,
    WBTC,
    WETH,
    Listed,
    make_raw,
    make_state,
    named,
    owed,
    snapshot,
    supplied,
)
from tests.protocols.aave_v3.strategies import situations

BOTH_KINDS = pytest.mark.parametrize("rules", [V3_0, V3_6], ids=lambda rules: rules.name)


def price_of(full: RiskAssessment, listed: Listed) -> LiquidationPrice | None:
    return next(p.liquidation_price for p in full.positions if p.market == listed.code)


def is_liquidatable(priced: PricedState, account: AccountSnapshot, market: str, price: int) -> bool:
    status = priced.with_price(market, price).health(account).status
    assert status is not RiskStatus.UNKNOWN
    return status is RiskStatus.LIQUIDATABLE


@BOTH_KINDS
@settings(max_examples=80, deadline=None)
@given(situation=situations())
def test_at_each_liquidation_price_the_verdict_turns_exactly(
    rules: Rules, situation: tuple[Raw, AccountSnapshot, int]
) -> None:
    raw, account, elapsed = situation
    priced = make_state(raw=raw, rules=rules).at(NOW + elapsed, 1)
    full = priced.assess(account)
    if full.status is RiskStatus.UNKNOWN:
        return
    for position in full.positions:
        found = position.liquidation_price
        if found is None:
            continue
        assert is_liquidatable(priced, account, found.market, found.price)
        beyond = found.price + (1 if found.direction is Direction.FALL else -1)
        assert beyond == 0 or not is_liquidatable(priced, account, found.market, beyond)
        liquidatable = full.status is RiskStatus.LIQUIDATABLE
        towards_fall = (found.direction is Direction.FALL) != liquidatable
        assert position.price is not None
        if found.price != position.price:
            assert (found.price < position.price) == towards_fall
        else:
            assert liquidatable


@st.composite
def small_accounts(draw: st.DrawFn) -> tuple[list[Listed], AccountSnapshot]:
    """Prices of a few hundred units, so that every price between here and the turn can be tried."""
    first, second = (
        Listed(
            f"small{number}",
            price=draw(st.integers(1, 400)),
            decimals=draw(st.integers(0, 3)),
            threshold=draw(st.sampled_from((500, 7800, 8300, 9500))),
            ltv=0,
        )
        for number in range(2)
    )
    debt = Listed("debt", price=1, decimals=0)
    amounts = [draw(st.integers(0, 10 ** draw(st.integers(1, 7)))) for _ in range(2)]
    worth = [
        amount * listed.price // 10**listed.decimals for amount, listed in zip(amounts, (first, second), strict=True)
    ]  # type: ignore[operator]
    capacity = sum(value * listed.threshold for value, listed in zip(worth, (first, second), strict=True)) // 10_000
    same = draw(st.integers(0, amounts[0] * first.threshold // 12_000)) if draw(st.booleans()) else 0
    owes = capacity - same * first.price // 10**first.decimals + draw(st.integers(-20, 3))  # type: ignore[operator]
    account = snapshot(
        supplied(first, amounts[0], borrowed=same), supplied(second, amounts[1]), owed(debt, max(owes, 0))
    )
    return [first, second, debt], account


@BOTH_KINDS
@settings(max_examples=150, deadline=None)
@given(case=small_accounts())
def test_no_nearer_price_in_the_direction_of_danger_turns_the_verdict(
    rules: Rules, case: tuple[list[Listed], AccountSnapshot]
) -> None:
    listed, account = case
    priced = make_state(*listed, rules=rules).at(NOW, 1)
    full = priced.assess(account)
    for position in full.positions:
        found = position.liquidation_price
        if found is None or position.price is None or abs(found.price - position.price) > 3000:
            continue
        liquidatable = full.status is RiskStatus.LIQUIDATABLE
        low, high = sorted((found.price, position.price))
        for price in range(low + 1, high):
            assert is_liquidatable(priced, account, found.market, price) == liquidatable


def test_a_fall_of_the_collateral_and_a_rise_of_the_debt_are_found_to_the_unit() -> None:
    # 10 WETH at 3000 carry 24,900; 20,000 USDC are owed: WETH may fall to 20000 / 8.3, USDC rise to 1.245
    account = snapshot(supplied(WETH, 10 * 10**18), owed(USDC, 20_000 * 10**6))
    full = make_state(WETH, USDC, rules=V3_6).at(NOW, 1).assess(account)
    assert full.health_factor_wad == 1245 * WAD // 1000
    fall, rise = price_of(full, WETH), price_of(full, USDC)
    assert fall == LiquidationPrice(WETH.code, Direction.FALL, 240_963_855_421, -196_787_148_596_666_666)
    assert rise is not None
    assert (rise.direction, rise.price, rise.distance_wad) == (Direction.RISE, 124_500_001, 24500001 * 10**10)


def test_of_a_liquidatable_account_the_price_is_the_one_to_get_back_past() -> None:
    account = snapshot(supplied(WETH, 10 * 10**18), owed(USDC, 25_000 * 10**6))
    full = make_state(WETH, USDC).at(NOW, 1).assess(account)
    assert full.status is RiskStatus.LIQUIDATABLE
    fall, rise = price_of(full, WETH), price_of(full, USDC)
    assert fall is not None
    assert rise is not None
    assert (fall.direction, fall.price > 3000 * 10**8, fall.distance_wad > 0) == (Direction.FALL, True, True)
    assert (rise.direction, rise.price < 10**8, rise.distance_wad < 0) == (Direction.RISE, True, True)


def test_the_same_asset_on_both_sides_counts_with_its_net_weight() -> None:
    # net short: 1 WETH of collateral, 2 WETH owed, the rest carried by USDC
    account = snapshot(supplied(WETH, 10**18, borrowed=2 * 10**18), supplied(USDC, 10_000 * 10**6))
    full = make_state(WETH, USDC).at(NOW, 1).assess(account)
    weth = price_of(full, WETH)
    assert weth is not None
    assert weth.direction is Direction.RISE
    # 0.83 P + 7800 = 2 P
    assert weth.price == pytest.approx(7800 * 10**8 / 1.17, rel=1e-9)


def test_an_asset_that_cannot_turn_the_verdict_alone_has_no_price() -> None:
    account = snapshot(supplied(WETH, 10 * 10**18), supplied(WBTC, 10**8), owed(USDC, 10**9))
    full = make_state(WETH, WBTC, USDC).at(NOW, 1).assess(account)
    assert price_of(full, WETH) is None
    assert price_of(full, WBTC) is None
    assert price_of(full, USDC) is not None


def test_without_debt_there_are_no_liquidation_prices() -> None:
    full = make_state().at(NOW, 1).assess(snapshot(supplied(WETH, 10**18), supplied(USDC, 10**6)))
    assert [position.liquidation_price for position in full.positions] == [None, None]


def test_an_asset_priced_by_its_emode_has_no_price_of_its_own_to_fall() -> None:
    token = replace(WETH, emode_category=1)
    emodes = {1: EMode(9000, 9300, 10100, price_source=named("shared-feed"))}
    raw = make_raw(token, USDC, emodes=emodes, emode_prices={1: 3000 * 10**8})
    account = snapshot(supplied(token, 10**18), owed(USDC, 1000 * 10**6), emode=1)
    full = make_state(raw=raw, rules=V3_0).at(NOW, 1).assess(account)
    assert price_of(full, token) is None
    assert price_of(full, USDC) is not None


def test_assets_priced_by_one_listed_asset_through_their_emode_fall_together() -> None:
    staked = replace(WETH, symbol="steth", price=3300 * 10**8, emode_category=1)
    ether = replace(WETH, emode_category=1)
    emodes = {1: EMode(9000, 9300, 10100, price_source=ether.asset)}
    raw = make_raw(staked, ether, USDC, emodes=emodes, emode_prices={1: 3000 * 10**8})
    account = snapshot(supplied(staked, 10**18), supplied(ether, 10**18), owed(USDC, 4000 * 10**6), emode=1)
    priced = make_state(raw=raw, rules=V3_0).at(NOW, 1)
    found = price_of(priced.assess(account), ether)
    assert found is not None
    assert found.price == pytest.approx(4000 * 10**8 / 1.86, rel=1e-7)
    assert is_liquidatable(priced, account, ether.code, found.price)
    assert not is_liquidatable(priced, account, ether.code, found.price + 1)


@pytest.mark.parametrize("rules", [V3_5, V3_6, V3_7], ids=lambda rules: rules.name)
@settings(max_examples=60, deadline=None)
@given(situation=situations(), rise=st.integers(1, 10**12))
def test_a_higher_price_of_pure_collateral_never_makes_a_healthy_account_liquidatable(
    rules: Rules, situation: tuple[Raw, AccountSnapshot, int], rise: int
) -> None:
    raw, account, elapsed = situation
    priced = make_state(raw=raw, rules=rules).at(NOW + elapsed, 1)
    before = priced.health(account)
    for position in account.positions:
        if before.status is RiskStatus.HEALTHY and position.is_collateral and not position.borrowed_raw:
            higher = (raw.prices[position.market].value or 0) + rise
            assert not is_liquidatable(priced, account, position.market, higher)


@settings(max_examples=60, deadline=None)
@given(situation=situations(), rise=st.integers(1, 10**12))
def test_before_3_5_it_may_only_within_the_basis_point_its_truncated_average_loses(
    situation: tuple[Raw, AccountSnapshot, int], rise: int
) -> None:
    raw, account, elapsed = situation
    priced = make_state(raw=raw, rules=V3_4).at(NOW + elapsed, 1)
    if priced.health(account).status is not RiskStatus.HEALTHY:
        return
    for position in account.positions:
        if position.is_collateral and not position.borrowed_raw:
            higher = priced.with_price(position.market, (raw.prices[position.market].value or 0) + rise)
            after = higher.health(account)
            if after.status is RiskStatus.LIQUIDATABLE:
                full = higher.assess(account)
                assert full.utilization_wad is not None
                # what truncation hides is less than 1 bp of the collateral, and rounding half a unit
                exact_capacity = after.debt_value * WAD // full.utilization_wad
                assert after.debt_value <= exact_capacity + 2 + after.collateral_value // 10_000 * 2
                assert full.utilization_wad <= WAD + WAD // 1000


def test_truncation_alone_can_make_a_rise_of_the_weaker_collateral_dangerous_before_3_5() -> None:
    """The sawtooth itself: why prices are searched plateau by plateau."""
    listed = (
        replace(WETH, price=1000, decimals=0, threshold=9000),
        replace(DAI, price=1, decimals=0, threshold=8000),
        USDC,
    )
    account = snapshot(supplied(listed[0], 1000), supplied(listed[1], 10))
    old = make_state(*listed, rules=V3_4).at(NOW, 1)
    capacities = []
    for price in range(1, 200):
        truth = old.with_price(listed[1].code, price).truth(account)
        assert truth is not None
        capacities.append(truth[0] * truth[3])
    assert any(later < earlier for earlier, later in pairwise(capacities))
