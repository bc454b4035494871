from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.account import AccountKey, NotYetRead, Unreadable
from app.domain.chain import Address
from app.domain.risk import RiskStatus
from app.domain.units import WAD
from app.valuation.assess import (
    StateAt,
    assess_account,
    quick_health,
    restore_at,
    sorted_riskiest_first,
    wallet_totals,
)
from tests.fakes.pond import (
    DOLLAR,
    ETHER,
    USD8,
    PondAdapter,
    PondState,
    pond_account,
    pond_deployment,
    pond_markets,
    pond_records,
)
from tests.fakes.site import block_ref

ALICE = Address(b"\x01" * 20)
TARGET = 3 * WAD // 2


def _state(**overrides: object) -> StateAt:
    records = pond_records(**overrides)  # type: ignore[arg-type]
    return restore_at(PondAdapter(), pond_deployment(), pond_markets(), records, block_ref(1))


def test_a_readable_account_is_assessed_by_the_adapter() -> None:
    state, account = _state(), pond_account(ALICE, weth=ETHER, usdc_debt=2000 * DOLLAR, block_number=7)
    found = assess_account(state, account, TARGET)
    assert found.assessment == state.priced.assess(account)
    assert found.restoration == state.priced.restoration(account, TARGET)
    assert (found.read_at_block, found.time_to_liquidation) == (7, "never")


def test_the_quick_answer_is_the_whole_ones() -> None:
    state = _state()
    for debt in (0, 1, 2000, 2400, 2401, 9000):
        account = pond_account(ALICE, weth=ETHER, usdc_debt=debt * DOLLAR)
        quick, whole = quick_health(state, account), state.priced.assess(account)
        assert (quick.status, quick.health_factor_wad, quick.collateral_value, quick.debt_value) == (
            whole.status,
            whole.health_factor_wad,
            whole.collateral_value,
            whole.debt_value,
        )
        assert quick.utilization_wad == whole.utilization_wad


@pytest.mark.parametrize(
    ("state", "account", "code", "read_at"),
    [
        (_state(), NotYetRead(AccountKey("pond-devnet", ALICE)), "not_read_yet", None),
        (_state(), Unreadable(AccountKey("pond-devnet", ALICE), 4, "reverts"), "account_unreadable", 4),
        (None, pond_account(ALICE, weth=1, block_number=4), "market_state_missing", 4),
        (None, NotYetRead(AccountKey("pond-devnet", ALICE)), "not_read_yet", None),
        (_state(weth=None), pond_account(ALICE, weth=1, block_number=4), "price_unavailable", 4),
    ],
)
def test_whatever_is_missing_is_unknown_with_its_reason_and_without_numbers(
    state: StateAt | None, account: object, code: str, read_at: int | None
) -> None:
    found = assess_account(state, account, TARGET)  # type: ignore[arg-type]
    assert found.assessment.status is RiskStatus.UNKNOWN
    assert found.assessment.reasons[0].code == code
    assert found.assessment.collateral_value is found.assessment.health_factor_wad is None
    assert found.restoration is found.time_to_liquidation is None
    assert found.read_at_block == read_at


def test_at_or_above_the_target_there_is_nothing_to_restore() -> None:
    for debt, wanted in ((1600, False), (1601, True)):
        account = pond_account(ALICE, weth=ETHER, usdc_debt=debt * DOLLAR)
        assert (assess_account(_state(), account, TARGET).restoration is not None) is wanted


def test_debt_without_collateral_has_something_to_restore() -> None:
    found = assess_account(_state(), pond_account(ALICE, usdc_debt=DOLLAR), TARGET)
    assert found.restoration is not None
    assert found.assessment.utilization_wad is None


def test_totals_sum_the_known_and_count_the_rest() -> None:
    state = _state()
    accounts = [
        assess_account(state, pond_account(ALICE, weth=ETHER, usdc_debt=1000 * DOLLAR), TARGET),
        assess_account(state, Unreadable(AccountKey("pond-devnet", ALICE), 4, "reverts"), TARGET),
        assess_account(_state(in_usd=False), pond_account(ALICE, weth=ETHER), TARGET),
    ]
    totals = wallet_totals(accounts)
    assert (totals.collateral, totals.debt, totals.decimals) == (3000 * USD8, 1000 * USD8, 8)
    assert (totals.accounts, totals.unknown_accounts, totals.other_currency_accounts) == (3, 1, 1)
    assert (totals.worst_status, totals.worst_health_factor_wad) == (RiskStatus.UNKNOWN, 24 * WAD // 10)


def test_totals_of_nothing_known_are_not_known_and_of_nothing_at_all_are_zero() -> None:
    unreadable = assess_account(_state(), Unreadable(AccountKey("pond-devnet", ALICE), 4, "reverts"), TARGET)
    totals = wallet_totals([unreadable])
    assert totals.collateral is totals.debt is None
    nothing = wallet_totals([])
    assert (nothing.collateral, nothing.debt, nothing.accounts, nothing.worst_status) == (0, 0, 0, None)


def test_deployments_with_other_decimals_are_summed_in_the_finer_ones() -> None:
    coarse = _state()

    class Finer(PondState):
        value_decimals = 18

    finer = replace(coarse, state=Finer(coarse.state.deployment, pond_markets(), pond_records()))
    account = pond_account(ALICE, weth=ETHER)
    totals = wallet_totals([assess_account(coarse, account, TARGET), assess_account(finer, account, TARGET)])
    assert totals.decimals == 18
    assert totals.collateral == 3000 * 10**18 + 3000 * USD8


def test_accounts_are_sorted_liquidatable_unknown_healthy_no_debt() -> None:
    state = _state()
    debts = {"a": 0, "b": 1000, "c": 2000, "d": 2500, "e": 3000}
    accounts = [
        assess_account(state, pond_account(ALICE, weth=ETHER, usdc_debt=debt * DOLLAR, unit=unit), TARGET)
        for unit, debt in debts.items()
    ]
    accounts.append(assess_account(state, NotYetRead(AccountKey("pond-devnet", ALICE, "f")), TARGET))
    assert "".join(account.key.unit for account in sorted_riskiest_first(accounts)) == "edfcba"
