"""An oracle that tells the contract another price: its own market is unknown, nobody else's."""

from __future__ import annotations

from dataclasses import replace

from app.domain.account import AccountSnapshot
from app.domain.chain import Address, CallResult, ContractCall, Returned
from app.domain.risk import RiskStatus
from app.protocols.calibration import choose_rules
from app.protocols.morpho_blue import calls
from app.protocols.morpho_blue.state import MorphoState
from tests.protocols.conformance import drive
from tests.protocols.morpho_blue.builders import (
    NOW,
    FakeContracts,
    holding,
    make_market,
    make_raw,
    make_state,
)

LIAR, HONEST = make_market(1), make_market(2, collateral="WBTC", collateral_decimals=8)
A, B, C = (Address(bytes([number] * 20)) for number in (1, 2, 3))
SAFE = {"borrow_shares": 10**12, "collateral": 10**18}
LENDER = holding(LIAR, supply_shares=10**12, wallet=A)
DEBTORS = (holding(LIAR, **SAFE, wallet=B), holding(HONEST, **SAFE, wallet=C))


def contracts(*, lies: bool, accounts: tuple[AccountSnapshot, ...] = (LENDER, *DEBTORS)) -> FakeContracts:
    """The contract's verdict about B is another one than the price gives."""
    return FakeContracts(make_raw(LIAR, HONEST), accounts, {DEBTORS[0].key: not lies})


def read(state: MorphoState, answers: FakeContracts, *, full: bool = False) -> MorphoState:
    after = drive(state.expecting(a.key for a in answers.accounts).read_next(full=full), answers)
    assert isinstance(after, MorphoState)
    return after


def test_a_market_whose_oracle_lies_is_unknown_and_the_others_are_not() -> None:
    state = read(make_state(LIAR, HONEST), contracts(lies=True))
    markets = state.raw.markets
    assert (markets[LIAR.id].witness, markets[LIAR.id].agrees) == (B, False)
    assert (markets[HONEST.id].witness, markets[HONEST.id].agrees) == (C, True)
    priced = state.at(NOW, 1)
    risk = priced.assess(DEBTORS[0])
    assert risk.status is priced.health(DEBTORS[0]).status is RiskStatus.UNKNOWN
    assert [reason.code for reason in risk.reasons] == ["price_unavailable"]
    assert "another price" in risk.reasons[0].detail
    assert str(B) in risk.reasons[0].detail
    assert priced.health(DEBTORS[1]).status is RiskStatus.HEALTHY
    assert priced.health(LENDER).status is RiskStatus.NO_DEBT


def test_the_deployments_rules_stay_confirmed_whatever_one_oracle_says() -> None:
    """Also when the lie was not noticed by a witness before."""
    for state in (make_state(LIAR, HONEST), read(make_state(LIAR, HONEST), contracts(lies=True))):
        truths = [drive(state.read_truth(account.key), contracts(lies=True)) for account in DEBTORS]
        assert truths[0] is None
        samples = [(account, truth) for account, truth in zip(DEBTORS, truths, strict=True) if truth is not None]
        assert choose_rules(state, samples, NOW, 1).confirmed_samples == 1


def test_a_witness_is_asked_again_in_full_reads_and_an_honest_oracle_is_believed_again() -> None:
    state = read(make_state(LIAR, HONEST), contracts(lies=True))
    honest = contracts(lies=False)
    assert state.expecting(account.key for account in DEBTORS) is state
    assert read(state, honest) == state
    again = read(state, honest, full=True)
    assert again.raw.markets[LIAR.id].agrees is True
    assert again.at(NOW, 1).health(DEBTORS[0]).status is RiskStatus.HEALTHY


def test_a_witness_that_owes_nothing_any_more_makes_room_for_the_next_borrower() -> None:
    state = read(make_state(LIAR, HONEST), contracts(lies=True))
    gone = contracts(lies=True, accounts=(DEBTORS[1],))
    after = read(state, gone, full=True)
    assert (after.raw.markets[LIAR.id].witness, after.raw.markets[LIAR.id].agrees) == (None, False)
    other = replace(DEBTORS[0], key=replace(DEBTORS[0].key, wallet=C))
    last = read(after, contracts(lies=False, accounts=(other,)))
    assert (last.raw.markets[LIAR.id].witness, last.raw.markets[LIAR.id].agrees) == (C, True)


def test_without_the_blocks_time_nothing_is_compared() -> None:
    answers = contracts(lies=True)

    def no_time(call: ContractCall) -> CallResult:
        return Returned(b"") if call.data == calls.BLOCK_TIMESTAMP else answers(call)

    state = make_state(LIAR, HONEST)
    after = drive(state.expecting(a.key for a in DEBTORS).read_next(full=False), no_time)
    assert after == state
