from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.account import AccountSnapshot, LendingPosition
from app.domain.risk import Remedy, RiskStatus
from app.domain.units import RAY, UINT256_MAX, WAD
from app.protocols.aave_v3.interest import project_debt, project_income
from app.protocols.aave_v3.raw import Raw
from app.protocols.aave_v3.rules import V3_0, V3_6, Rules
from tests.protocols.aave_v3.builders import NOW, USDC, WBTC, WETH, make_raw, make_state, owed, snapshot, supplied
from tests.protocols.aave_v3.strategies import situations


def after_repaying(
    raw: Raw, rules: Rules, now: int, account: AccountSnapshot, market: str, assets: int
) -> AccountSnapshot:
    """The account once the pool has burnt what that many assets are in scaled debt."""
    indices = raw.indices[market]
    assert indices is not None
    index = project_debt(
        indices.borrow_index, indices.borrow_rate, now - indices.updated_at, polynomial=rules.polynomial_interest
    )
    return _changed(account, market, borrowed=-_scaled(rules, assets, index))


def after_adding(
    raw: Raw, rules: Rules, now: int, account: AccountSnapshot, market: str, assets: int
) -> AccountSnapshot:
    """The account once the pool has minted that many assets' worth of aTokens to it."""
    indices = raw.indices[market]
    assert indices is not None
    index = project_income(indices.liquidity_index, indices.liquidity_rate, now - indices.updated_at)
    return _changed(account, market, supplied=_scaled(rules, assets, index))


def _scaled(rules: Rules, assets: int, index: int) -> int:
    return assets * RAY // index if rules is V3_6 else (assets * RAY + index // 2) // index


def _changed(account: AccountSnapshot, market: str, *, supplied: int = 0, borrowed: int = 0) -> AccountSnapshot:
    positions = tuple(
        LendingPosition(p.market, p.supplied_raw + supplied, max(0, p.borrowed_raw + borrowed), p.is_collateral)
        if p.market == market
        else p
        for p in account.positions
    )
    return replace(account, positions=positions)


@pytest.mark.parametrize("rules", [V3_0, V3_6], ids=lambda rules: rules.name)
@settings(max_examples=60, deadline=None)
@given(situation=situations(), target=st.integers(WAD // 2, 5 * WAD))
def test_each_remedy_reaches_the_target_and_one_unit_less_does_not(
    rules: Rules, situation: tuple[Raw, AccountSnapshot, int], target: int
) -> None:
    raw, account, elapsed = situation
    now = NOW + elapsed
    priced = make_state(raw=raw, rules=rules).at(now, 1)

    def factor(changed: AccountSnapshot) -> int:
        truth = priced.truth(changed)
        assert truth is not None
        return truth[5]

    restoration = priced.restoration(account, target)
    assert restoration.target_health_wad == target
    for remedies, act in ((restoration.repay, after_repaying), (restoration.add_collateral, after_adding)):
        for remedy in remedies:
            assert factor(act(raw, rules, now, account, remedy.market, remedy.assets)) >= target
            assert factor(act(raw, rules, now, account, remedy.market, remedy.assets - 1)) < target


def test_what_restores_a_plain_loan_is_what_a_calculator_says() -> None:
    account = snapshot(supplied(WETH, 10 * 10**18), owed(USDC, 20_000 * 10**6))
    restoration = make_state(WETH, USDC).at(NOW, 1).restoration(account, 15 * WAD // 10)
    # 24900 / 1.5 = 16600 may stay; or 30000 of capacity are needed: 5100 / 0.83 / 3000 WETH more
    assert restoration.repay == (Remedy(USDC.code, 3400 * 10**6, 3400 * 10**8),)
    (added,) = restoration.add_collateral
    assert added.market == WETH.code
    assert added.assets == pytest.approx(5100 / 0.83 / 3000 * 10**18, rel=1e-9)


def test_nothing_is_proposed_when_the_target_is_reached_or_the_risk_is_unknown() -> None:
    account = snapshot(supplied(WETH, 10 * 10**18), owed(USDC, 20_000 * 10**6))
    assert make_state().at(NOW, 1).restoration(account, WAD).repay == ()
    assert make_state().at(NOW, 1).restoration(snapshot(supplied(WETH, 1)), 2 * WAD).add_collateral == ()
    unknown = make_state(matches=0).at(NOW, 1).restoration(account, 2 * WAD)
    assert (unknown.repay, unknown.add_collateral) == ((), ())


def test_repaying_a_small_debt_beside_a_large_one_is_not_offered_when_it_cannot_suffice() -> None:
    account = snapshot(supplied(WETH, 10 * 10**18), owed(USDC, 20_000 * 10**6), owed(WBTC, 10**3))
    restoration = make_state().at(NOW, 1).restoration(account, 2 * WAD)
    assert [remedy.market for remedy in restoration.repay] == [USDC.code]


def test_only_collateral_the_account_has_and_reserves_that_would_take_it_are_offered() -> None:
    frozen = replace(WETH, flags=WETH.flags | 1 << 57)
    paused = replace(USDC, flags=USDC.flags | 1 << 60)
    account = snapshot(
        supplied(frozen, 10 * 10**18),
        supplied(WBTC, 10**5),
        supplied(USDC, 10**6, collateral=False),
        owed(paused, 20_000 * 10**6),
    )
    restoration = make_state(frozen, WBTC, paused).at(NOW, 1).restoration(account, 2 * WAD)
    assert restoration.repay == ()
    assert [remedy.market for remedy in restoration.add_collateral] == [WBTC.code]


def test_repaying_everything_is_the_answer_to_a_target_nothing_else_reaches() -> None:
    raw = make_raw(WETH, replace(USDC, borrow_index=RAY * 13 // 10))
    account = snapshot(supplied(WETH, 10**18), owed(USDC, 1_000_000_007))
    priced = make_state(raw=raw).at(NOW, 1)
    assert priced.health(account).status is RiskStatus.HEALTHY
    (repay,) = priced.restoration(account, UINT256_MAX).repay
    assert repay.assets == -(-1_000_000_007 * 13 // 10)


@pytest.mark.parametrize("rules", [V3_0, V3_6], ids=lambda rules: rules.name)
@settings(max_examples=80, deadline=None)
@given(
    strong=st.integers(100, 200_000), weak=st.integers(1, 2000), short=st.integers(-40, 400), scale=st.integers(1, 3)
)
def test_no_smaller_addition_of_a_collateral_that_drags_the_average_down_suffices(
    rules: Rules, strong: int, weak: int, short: int, scale: int
) -> None:
    listed = (
        replace(WETH, symbol="strong", price=1, decimals=0, threshold=9500),
        replace(WBTC, symbol="weak", price=scale, decimals=0, threshold=3000),
        replace(USDC, symbol="debt", price=1, decimals=0),
    )
    debt = max(1, (strong * 9500 + weak * scale * 3000) // 10_000 + short)
    account = snapshot(supplied(listed[0], strong), supplied(listed[1], weak), owed(listed[2], debt))
    priced = make_state(*listed, rules=rules).at(NOW, 1)

    def reaches(assets: int) -> bool:
        truth = priced.truth(_changed(account, listed[1].code, supplied=assets))
        assert truth is not None
        return truth[5] >= WAD

    offered = {remedy.market: remedy.assets for remedy in priced.restoration(account, WAD).add_collateral}
    expected = next((assets for assets in range(3000) if reaches(assets)), None)
    if expected == 0:
        assert offered == {}
    elif expected is not None:
        assert offered[listed[1].code] == expected
