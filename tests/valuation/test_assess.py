from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.account import AccountKey, AccountState, NotYetRead, Unreadable
from app.domain.chain import Address
from app.domain.risk import Direction, LiquidationPrice, PerpRisk, RiskAssessment, RiskStatus
from app.domain.units import WAD
from app.protocols.base import ProtocolKind
from app.valuation.assess import (
    AccountAssessment,
    StateAt,
    assess_account,
    quick_health,
    restore_at,
    sorted_riskiest_first,
)
from tests.fakes.perp import LOT, USD6, tide_account
from tests.fakes.pond import (
    DOLLAR,
    ETHER,
    PondAdapter,
    pond_account,
    pond_deployment,
    pond_markets,
    pond_records,
)
from tests.fakes.site import block_ref
from tests.valuation.builders import tide_state

ALICE = Address(b"\x01" * 20)
TARGET = 3 * WAD // 2


def _state(**overrides: object) -> StateAt:
    records = pond_records(**overrides)  # type: ignore[arg-type]
    return restore_at(PondAdapter(), pond_deployment(), pond_markets(), records, block_ref(1))


def _assess(
    state: StateAt | None, account: AccountState | NotYetRead, target: int, trouble: str | None = None
) -> AccountAssessment:
    return assess_account(ProtocolKind.LENDING, state, account, target, trouble)


def test_a_readable_account_is_assessed_by_the_adapter() -> None:
    state, account = _state(), pond_account(ALICE, weth=ETHER, usdc_debt=2000 * DOLLAR, block_number=7)
    found = _assess(state, account, TARGET)
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
    found = _assess(state, account, TARGET)  # type: ignore[arg-type]
    assert found.assessment.status is RiskStatus.UNKNOWN
    assert found.assessment.reasons[0].code == code
    assert found.assessment.collateral_value is found.assessment.health_factor_wad is None
    assert found.restoration is found.time_to_liquidation is None
    assert found.read_at_block == read_at


def test_at_or_above_the_target_there_is_nothing_to_restore() -> None:
    for debt, wanted in ((1600, False), (1601, True)):
        account = pond_account(ALICE, weth=ETHER, usdc_debt=debt * DOLLAR)
        assert (_assess(_state(), account, TARGET).restoration is not None) is wanted


def test_debt_without_collateral_has_something_to_restore() -> None:
    found = _assess(_state(), pond_account(ALICE, usdc_debt=DOLLAR), TARGET)
    assert found.restoration is not None
    assert found.assessment.utilization_wad is None


def _standing(unit: str, health: float, *, distance: float | None = None) -> AccountAssessment:
    """A healthy or liquidatable account; with a `distance` a perp, whose mark price may move so far."""
    price = None
    if distance is not None:
        price = LiquidationPrice("eth", Direction.FALL, 1, int(distance * WAD))
    perp = PerpRisk("eth", 1, 1, 1, 1, 0, 0, 0, 625, price)
    status = RiskStatus.HEALTHY if health >= 1 else RiskStatus.LIQUIDATABLE
    risk = RiskAssessment(status, (), health_factor_wad=int(health * WAD), perps=() if distance is None else (perp,))
    return AccountAssessment(AccountKey("pond-devnet", ALICE, unit), None, ProtocolKind.LENDING, risk, None, None, None)


def test_what_is_nearest_to_its_end_comes_first_whatever_its_health_factor() -> None:
    accounts = [
        _standing("d", 1.05),
        _standing("c", 1.5, distance=-0.034),
        _standing("b", 1.02),
        _standing("e", 1.2, distance=0.4),
        _standing("a", 0.9),
        _standing("0", -0.5),
    ]
    assert "".join(account.key.unit for account in sorted_riskiest_first(accounts)) == "0abcde"


def test_accounts_are_sorted_liquidatable_unknown_healthy_no_debt() -> None:
    state = _state()
    debts = {"a": 0, "b": 1000, "c": 2000, "d": 2500, "e": 3000}
    accounts = [
        _assess(state, pond_account(ALICE, weth=ETHER, usdc_debt=debt * DOLLAR, unit=unit), TARGET)
        for unit, debt in debts.items()
    ]
    accounts.append(_assess(state, NotYetRead(AccountKey("pond-devnet", ALICE, "f")), TARGET))
    assert "".join(account.key.unit for account in sorted_riskiest_first(accounts)) == "edfcba"


@pytest.mark.parametrize(
    ("account", "read_at"),
    [(pond_account(ALICE, weth=ETHER, block_number=7), 7), (NotYetRead(AccountKey("pond-devnet", ALICE)), None)],
)
def test_of_a_deployment_in_trouble_nothing_is_said_but_why(
    account: AccountState | NotYetRead, read_at: int | None
) -> None:
    found = _assess(_state(), account, TARGET, "its pool names another oracle")
    (reason,) = found.assessment.reasons
    assert (reason.code, reason.detail) == ("deployment_refused", "its pool names another oracle")
    assert found.assessment.status is RiskStatus.UNKNOWN
    assert found.assessment.collateral_value is found.restoration is found.time_to_liquidation is None
    assert found.read_at_block == read_at


def test_a_perp_account_is_worth_its_equity_and_restored_below_the_target() -> None:
    state = tide_state()
    account = tide_account(ALICE, cash=1000 * USD6, size=4 * LOT, entry=3100 * USD6)
    found = assess_account(ProtocolKind.PERP, state, account, TARGET)
    assert found.assessment.margin is not None
    assert found.equity_value == found.assessment.margin.equity_value == 600 * USD6
    assert found.assessment.status is RiskStatus.LIQUIDATABLE
    assert found.restoration is not None
    assert found.restoration.close
    assert found.time_to_liquidation == 0


def test_equity_is_a_perp_accounts_only_and_what_is_posted_while_there_is_no_position() -> None:
    posted = assess_account(ProtocolKind.PERP, tide_state(), tide_account(ALICE, cash=5 * USD6), TARGET)
    assert posted.equity_value == 5 * USD6
    without = replace(posted, assessment=replace(posted.assessment, margin=None))
    assert without.equity_value == 5 * USD6
    assert _assess(_state(), pond_account(ALICE, weth=ETHER), TARGET).equity_value is None
    unknown = assess_account(ProtocolKind.PERP, tide_state(mark=None), tide_account(ALICE, size=LOT), TARGET)
    assert unknown.equity_value is None
