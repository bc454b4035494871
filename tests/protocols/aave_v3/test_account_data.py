from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.account import AccountSnapshot
from app.domain.risk import RiskStatus
from app.domain.units import RAY, UINT256_MAX, WAD
from app.protocols.aave_v3.account_data import health_factor_wad, is_below
from app.protocols.aave_v3.raw import EMode, Raw
from app.protocols.aave_v3.rules import ALL_RULES, V3_0, V3_2, V3_4, V3_5, V3_6, V3_7, Rules
from tests.protocols.aave_v3.builders import (
    NOW,
    USDC,
    WBTC,
    WETH,
    make_raw,
    make_state,
    named,
    owed,
    snapshot,
    supplied,
)
from tests.protocols.aave_v3.reference import account_data
from tests.protocols.aave_v3.strategies import situations

VERSIONS = {"3.0": V3_0, "3.2": V3_2, "3.4": V3_4, "3.5": V3_5, "3.6": V3_6, "3.7": V3_7}


@pytest.mark.parametrize(("version", "rules"), VERSIONS.items(), ids=VERSIONS)
@settings(max_examples=60, deadline=None)
@given(situation=situations())
def test_all_six_numbers_equal_the_reference_on_exact_rationals(
    version: str, rules: Rules, situation: tuple[Raw, AccountSnapshot, int]
) -> None:
    raw, account, elapsed = situation
    priced = make_state(raw=raw, rules=rules).at(NOW + elapsed, 1)
    assert priced.truth(account) == account_data(raw, account, NOW + elapsed, version)


@pytest.mark.parametrize("rules", ALL_RULES, ids=lambda rules: rules.name)
@settings(max_examples=60, deadline=None)
@given(situation=situations())
def test_the_fast_path_and_the_full_assessment_agree_with_the_contracts_view(
    rules: Rules, situation: tuple[Raw, AccountSnapshot, int]
) -> None:
    raw, account, elapsed = situation
    priced = make_state(raw=raw, rules=rules).at(NOW + elapsed, 1)
    truth, health, full = priced.truth(account), priced.health(account), priced.assess(account)
    assert truth is not None
    if full.status is RiskStatus.UNKNOWN:
        assert health.status is RiskStatus.UNKNOWN
        return
    assert (health.collateral_value, health.debt_value) == (full.collateral_value, full.debt_value) == truth[:2]
    assert full.available_borrows_value == truth[2]
    assert (full.liquidation_threshold_bps, full.max_ltv_bps) == truth[3:5]
    assert health.health_factor_wad == full.health_factor_wad == (truth[5] if truth[1] else None)
    assert health.utilization_wad == full.utilization_wad
    assert health.status is full.status
    liquidatable = truth[5] < WAD
    assert full.status is (
        RiskStatus.NO_DEBT if not truth[1] else RiskStatus.LIQUIDATABLE if liquidatable else RiskStatus.HEALTHY
    )


@settings(max_examples=200, deadline=None)
@given(
    collateral=st.integers(0, 10**20),
    debt=st.integers(1, 10**20),
    average=st.integers(0, 10_000),
    spare=st.integers(0, 10**20),
    offset=st.integers(-2, 2),
)
@pytest.mark.parametrize("rules", [V3_0, V3_6], ids=lambda rules: rules.name)
def test_comparing_without_division_equals_comparing_the_factor(
    rules: Rules, collateral: int, debt: int, average: int, spare: int, offset: int
) -> None:
    weighted = collateral * average + (spare % collateral if collateral else 0)
    factor = health_factor_wad(rules, collateral, debt, weighted)
    target = max(1, factor + offset)
    assert is_below(rules, collateral, debt, weighted, target) == (factor < target)


def test_an_account_without_positions_has_no_debt_and_the_contracts_empty_answer() -> None:
    priced = make_state().at(NOW, 1)
    assert priced.truth(snapshot()) == (0, 0, 0, 0, 0, UINT256_MAX)
    assert priced.health(snapshot()).status is RiskStatus.NO_DEBT
    assert priced.assess(snapshot()).health_factor_wad is None


@pytest.mark.parametrize(("rules", "debt_value"), [(V3_0, 0), (V3_4, 0), (V3_5, 1), (V3_7, 1)])
def test_one_unit_of_debt_counts_as_the_version_counts_it(rules: Rules, debt_value: int) -> None:
    token = replace(WETH, symbol="dusty", price=10**8)
    account = snapshot(supplied(USDC, 10**6), owed(token, 1))
    health = make_state(token, USDC, rules=rules).at(NOW, 1).health(account)
    assert health.debt_value == debt_value
    assert health.status is (RiskStatus.HEALTHY if debt_value else RiskStatus.NO_DEBT)


def test_the_average_threshold_is_truncated_before_3_5_and_not_after() -> None:
    # 7800 bps of 60000 and 8300 bps of 3000: the average is 7823.8
    account = snapshot(supplied(WBTC, 10**8), supplied(WETH, 10**18), owed(USDC, 49_288 * 10**6))
    old, new = (make_state(WBTC, WETH, USDC, rules=rules).at(NOW, 1).health(account) for rules in (V3_4, V3_5))
    assert old.status is RiskStatus.LIQUIDATABLE
    assert new.status is RiskStatus.HEALTHY


def test_collateral_without_a_threshold_of_its_own_counts_since_3_6_when_its_emode_has_one() -> None:
    token = replace(WETH, threshold=0, ltv=0)
    raw = make_raw(token, USDC, emodes={1: EMode(9000, 9300, 10100, None, 1, 0, False)})
    account = snapshot(supplied(token, 10**18), owed(USDC, 1000 * 10**6), emode=1)
    before, after = (make_state(raw=raw, rules=rules).at(NOW, 1).truth(account) for rules in (V3_5, V3_6))
    assert before is not None
    assert after is not None
    assert (before[0], before[5]) == (0, 0)
    assert after[:1] + after[3:5] == (3000 * 10**8, 9300, 9000)


def test_outside_an_isolated_emode_ltv_is_zero_since_3_7_while_the_threshold_stays() -> None:
    raw = make_raw(WETH, USDC, emodes={1: EMode(9000, 9300, 10100, None, 2, 0, True)})
    account = snapshot(supplied(WETH, 10**18), emode=1)
    assert make_state(raw=raw, rules=V3_6).at(NOW, 1).truth(account) == (
        3000 * 10**8,
        0,
        2400 * 10**8,
        8300,
        8000,
        UINT256_MAX,
    )
    assert make_state(raw=raw, rules=V3_7).at(NOW, 1).truth(account) == (3000 * 10**8, 0, 0, 8300, 0, UINT256_MAX)


def test_an_emode_price_source_prices_its_assets_until_3_1() -> None:
    token = replace(WETH, emode_category=1)
    emodes = {1: EMode(9000, 9300, 10100, price_source=named("shared-feed"))}
    raw = make_raw(token, USDC, emodes=emodes, emode_prices={1: 2000 * 10**8})
    inside, outside = (snapshot(supplied(token, 10**18), emode=emode) for emode in (1, 0))
    priced = make_state(raw=raw, rules=V3_0).at(NOW, 1)
    assert priced.health(inside).collateral_value == 2000 * 10**8
    assert priced.health(outside).collateral_value == 3000 * 10**8


def test_an_emode_price_source_without_a_price_makes_its_accounts_unknown() -> None:
    token = replace(WETH, emode_category=1)
    emodes = {1: EMode(9000, 9300, 10100, price_source=named("shared-feed"))}
    raw = make_raw(token, USDC, emodes=emodes, emode_prices={1: None})
    account = snapshot(supplied(USDC, 10**6), emode=1)
    priced = make_state(raw=raw, rules=V3_0).at(NOW, 1)
    assert priced.truth(account) is None
    assert priced.health(account).status is RiskStatus.UNKNOWN


def test_an_emode_that_could_not_be_read_makes_its_accounts_unknown() -> None:
    raw = make_raw(emodes={1: EMode(None, None, None)})
    account = snapshot(supplied(WETH, 10**18), emode=1)
    priced = make_state(raw=raw).at(NOW, 1)
    assert priced.health(account).status is RiskStatus.UNKNOWN
    assert [reason.code for reason in priced.assess(account).reasons] == ["market_unavailable"]


@pytest.mark.parametrize("price", [None, 0])
def test_a_needed_price_that_is_missing_makes_the_account_unknown_and_no_number_is_shown(price: int | None) -> None:
    token = replace(WETH, price=price)
    account = snapshot(supplied(token, 10**18), owed(USDC, 10**6))
    priced = make_state(token, USDC).at(NOW, 1)
    assert priced.health(account).status is RiskStatus.UNKNOWN
    full = priced.assess(account)
    assert full.status is RiskStatus.UNKNOWN
    assert [(reason.code, reason.market) for reason in full.reasons] == [("price_unavailable", token.code)]
    assert full.collateral_value is full.debt_value is full.health_factor_wad is full.utilization_wad is None


def test_a_missing_price_of_what_is_neither_collateral_nor_debt_does_not_matter() -> None:
    token = replace(WETH, price=None)
    account = snapshot(supplied(token, 10**18, collateral=False), supplied(USDC, 10**6))
    full = make_state(token, USDC).at(NOW, 1).assess(account)
    assert full.status is RiskStatus.NO_DEBT
    assert [position.supplied_value for position in full.positions if position.market == token.code] == [None]


def test_rules_known_not_to_fit_make_every_account_unknown() -> None:
    priced = make_state(samples=20, matches=19).at(NOW, 1)
    assert priced.health(snapshot()).status is RiskStatus.UNKNOWN
    full = priced.assess(snapshot(supplied(WETH, 10**18)))
    assert full.status is RiskStatus.UNKNOWN
    assert full.reasons[0].code == "rules_unconfirmed"
    assert "19 of 20" in full.reasons[0].detail


@pytest.mark.parametrize("samples", [None, 0])
def test_rules_nobody_compared_yet_are_used_and_said_to_be_unchecked(samples: int | None) -> None:
    full = make_state(samples=samples, matches=0).at(NOW, 1).assess(snapshot(supplied(WETH, 10**18)))
    assert full.status is RiskStatus.NO_DEBT
    assert [reason.code for reason in full.reasons] == ["rules_unchecked"]


def test_time_before_the_last_accrual_is_refused() -> None:
    with pytest.raises(ValueError, match="accrued back"):
        make_state().at(NOW - 1, 1).health(snapshot(supplied(WETH, 1)))


def test_a_debt_without_any_collateral_has_no_utilisation_and_is_liquidatable() -> None:
    full = make_state().at(NOW, 1).assess(snapshot(owed(USDC, 10**6)))
    assert (full.status, full.health_factor_wad) == (RiskStatus.LIQUIDATABLE, 0)
    assert full.utilization_wad is None
    assert full.debt_to_collateral_wad is None


def test_interest_accrues_to_the_timestamp_asked_for() -> None:
    growing = replace(USDC, borrow_rate=RAY // 10)
    account = snapshot(supplied(WETH, 10**18), owed(growing, 1000 * 10**6))
    state = make_state(WETH, growing)
    assert state.at(NOW, 1).health(account).debt_value == 1000 * 10**8
    assert 1105 * 10**8 < state.at(NOW + 31_536_000, 1).health(account).debt_value < 1106 * 10**8


def test_wad_division_rounds_half_up_at_the_very_limit() -> None:
    # 2e18 of debt value, and one part in 10^4 too little: exactly half of the last digit, rounded up to 1.0
    debt = 2 * 10**18
    for weighted, healthy in ((debt * 10_000 - 1, True), (debt * 10_000 - 2, False)):
        assert (health_factor_wad(V3_6, debt, debt, weighted) == WAD) is healthy
        assert is_below(V3_6, debt, debt, weighted, WAD) is not healthy


def test_a_debt_is_rounded_up_to_the_next_unit_since_3_5_however_little_is_missing() -> None:
    token = replace(USDC, price=10**8, decimals=0, borrow_index=RAY + 1)
    account = snapshot(owed(token, 1))
    for rules, assets in ((V3_4, 1), (V3_5, 2)):
        (position,) = make_state(token, rules=rules).at(NOW, 1).assess(account).positions
        assert position.borrowed_assets == assets
