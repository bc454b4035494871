from __future__ import annotations

import pytest

from app.domain.account import AccountSnapshot, Unreadable
from app.domain.chain import ZERO_ADDRESS, CallResult, ContractCall, Returned
from app.domain.risk import RiskStatus
from app.domain.units import WAD
from app.errors import Fatal, Refused
from app.protocols.compound_v2 import ADAPTER, calls
from app.protocols.compound_v2.raw import pack_debt, unpack_debt
from app.protocols.compound_v2.rules import ALL_RULES, COMPOUND, MOONWELL, VENUS_CORE, VENUS_ISOLATED, Rules
from app.protocols.compound_v2.state import CompoundState
from tests.protocols.compound_v2.builders import (
    BLOCK,
    BTC,
    COMPTROLLER,
    CONTROLLER,
    DAI,
    DEPLOYMENT,
    ETH,
    INDEX,
    KEY,
    NOW,
    USD,
    WALLET,
    FakeContracts,
    answer,
    array,
    make_raw,
    make_state,
    owed,
    snapshot,
    supplied,
    text,
)
from tests.protocols.conformance import Contracts, drive

HELD = snapshot(supplied(ETH, 10**18), owed(USD, 10**9))


def read(contracts: Contracts) -> CompoundState:
    state = drive(ADAPTER.read_state(DEPLOYMENT), contracts)
    assert isinstance(state, CompoundState)
    return state


@pytest.mark.parametrize("rules", ALL_RULES, ids=lambda rules: rules.name)
def test_the_member_of_the_family_is_told_by_its_answers(rules: Rules) -> None:
    raw = make_raw(rules=rules)
    state = read(FakeContracts(raw, rules))
    assert state.rules is rules
    assert state.raw == raw
    assert ADAPTER.restore_state(DEPLOYMENT, state.markets(), state.records()) == state


def test_rules_that_read_alike_are_candidates_for_each_other() -> None:
    codes = [c.rules for c in make_state(rules=COMPOUND).candidates() if isinstance(c, CompoundState)]
    assert codes == [COMPOUND, VENUS_ISOLATED]
    assert [c.rules for c in make_state(rules=MOONWELL).candidates() if isinstance(c, CompoundState)] == [MOONWELL]


def test_the_coin_of_the_chain_has_no_underlying_and_is_known_by_its_market() -> None:
    fake = FakeContracts(make_raw(ETH, USD, rules=COMPOUND), COMPOUND)

    def contracts(call: ContractCall) -> CallResult:
        if call == ContractCall(ETH.token, calls.UNDERLYING):
            return Returned(b"")
        return text("cETH") if call == ContractCall(ETH.token, calls.SYMBOL) else fake(call)

    coin = read(contracts).markets()[0]
    assert (coin.asset, coin.symbol, coin.decimals) == (ZERO_ADDRESS, "ETH", 18)


def test_a_market_whose_token_cannot_be_described_makes_its_members_unreadable_not_wrong() -> None:
    raw = make_raw(ETH, USD)
    fake = FakeContracts(raw, VENUS_CORE, {WALLET: HELD})
    asset = raw.by_code[USD.code].asset

    def contracts(call: ContractCall) -> CallResult:
        return Returned(b"") if call.target == asset else fake(call)

    state = read(contracts)
    assert [market.code for market in state.markets()] == [ETH.code]
    assert isinstance(drive(state.read_account(KEY, BLOCK, frozenset()), contracts), Unreadable)


def test_something_else_at_the_address_is_refused() -> None:
    fake = FakeContracts(make_raw(), VENUS_CORE)

    def contracts(call: ContractCall) -> CallResult:
        return answer(1, 2, 3, 4) if call.data[:4] == calls.MARKETS else fake(call)

    with pytest.raises(Refused, match="none of the family: markets\\(address\\) answers 4 words"):
        read(contracts)
    with pytest.raises(Refused, match="asked for its markets"):
        read(lambda _: Returned(b""))


BOOKS = (
    calls.GET_CASH,
    calls.TOTAL_BORROWS,
    calls.TOTAL_RESERVES,
    calls.TOTAL_SUPPLY,
    calls.BORROW_INDEX,
    calls.ACCRUAL_BLOCK,
    calls.RATE_PER_BLOCK,
    calls.EXCHANGE_RATE,
    calls.FLASH_LOAN_AMOUNT,
)


@pytest.mark.parametrize("view", [*BOOKS, calls.RESERVE_FACTOR], ids=lambda view: view.hex())
def test_books_of_which_one_number_is_missing_are_unknown_to_their_holders_alone(view: bytes) -> None:
    raw = make_raw()
    after = drive(
        make_state(raw=raw).read_next(full=True), FakeContracts(raw, VENUS_CORE, failing=frozenset({(USD.token, view)}))
    )
    priced = after.at(NOW, BLOCK)
    assert priced.health(HELD).status is priced.assess(HELD).status is RiskStatus.UNKNOWN
    assert priced.truth(HELD) is None
    assert [reason.code for reason in priced.assess(HELD).reasons] == ["market_unavailable"]
    assert priced.health(snapshot(supplied(ETH, 1))).status is RiskStatus.NO_DEBT
    assert ADAPTER.restore_state(DEPLOYMENT, after.markets(), after.records()) == after


@pytest.mark.parametrize(
    ("target", "view", "what"),
    [
        (COMPTROLLER, calls.GET_ASSETS_IN, "getAssetsIn"),
        (COMPTROLLER, calls.USER_POOL_ID, "pool"),
        (COMPTROLLER, calls.MINTED_VAIS, "VAI"),
        (CONTROLLER, calls.VAI_MINTER_INDEX, "VAI"),
        (ETH.token, calls.GET_ACCOUNT_SNAPSHOT, "getAccountSnapshot"),
        (USD.token, calls.BORROW_INDEX, "getAccountSnapshot"),
    ],
)
def test_an_account_of_which_a_read_fails_is_unreadable(target: bytes, view: bytes, what: str) -> None:
    fake = FakeContracts(make_raw(), VENUS_CORE, {WALLET: HELD})

    def contracts(call: ContractCall) -> CallResult:
        return Returned(b"") if (call.target, call.data[:4]) == (target, view) else fake(call)

    state = drive(make_state().read_account(KEY, BLOCK, frozenset()), contracts)
    assert isinstance(state, Unreadable)
    assert what in state.reason


def test_an_error_code_returned_is_a_failed_read() -> None:
    fake = FakeContracts(make_raw(), VENUS_CORE, {WALLET: HELD})

    def contracts(call: ContractCall) -> CallResult:
        if call.data[:4] == calls.GET_ACCOUNT_SNAPSHOT:
            return answer(9, 0, 0, 0)
        return answer(13, 0, 0) if call.data[:4] == calls.GET_ACCOUNT_LIQUIDITY else fake(call)

    assert isinstance(drive(make_state().read_account(KEY, BLOCK, frozenset()), contracts), Unreadable)
    assert drive(make_state().read_truth(KEY), contracts) is None


def test_a_market_entered_that_is_not_known_yet_makes_the_account_unreadable() -> None:
    fake = FakeContracts(make_raw(), VENUS_CORE, {WALLET: HELD})

    def contracts(call: ContractCall) -> CallResult:
        return array(int(ETH.code, 16), 77) if call.data[:4] == calls.GET_ASSETS_IN else fake(call)

    assert isinstance(drive(make_state().read_account(KEY, BLOCK, frozenset()), contracts), Unreadable)


def test_what_is_held_without_being_entered_is_read_when_it_is_known_of() -> None:
    account = snapshot(supplied(ETH, 10**18), supplied(BTC, 10**8, entered=False))
    contracts = FakeContracts(make_raw(), VENUS_CORE, {WALLET: account})
    state = make_state()
    assert drive(state.read_account(KEY, BLOCK, frozenset({BTC.code, "0xgone"})), contracts) == account
    assert drive(state.read_account(KEY, BLOCK, frozenset()), contracts) == snapshot(supplied(ETH, 10**18))


def test_a_debt_keeps_its_principal_and_index_while_they_give_its_balance() -> None:
    old = snapshot(supplied(ETH, 10**18), owed(DAI, 10**20 + 1, index=WAD + 1))
    contracts = FakeContracts(make_raw(), VENUS_CORE, {WALLET: old})
    state = make_state()
    anew = drive(state.read_account(KEY, BLOCK, frozenset()), contracts)
    assert isinstance(anew, AccountSnapshot)
    debt = next(p.borrowed_raw for p in anew.positions if p.borrowed_raw)
    assert unpack_debt(debt) == ((10**20 + 1) * INDEX // (WAD + 1), INDEX)
    assert state.continued(old, anew) == old
    moved = snapshot(supplied(ETH, 10**18), owed(DAI, 10**20 - 5, index=WAD + 1))
    assert state.continued(moved, anew) == anew
    assert state.continued(snapshot(), anew) == anew
    closed = snapshot(supplied(ETH, 10**18))
    assert state.continued(old, closed) == closed


@pytest.mark.parametrize(("principal", "index"), [(2**128, 1), (1, 2**128), (1, 0)])
def test_a_debt_beyond_half_a_word_is_refused(principal: int, index: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        pack_debt(principal, index)
    assert pack_debt(0, index) == 0


def test_a_comptroller_that_changes_its_shape_gets_other_rules_unconfirmed() -> None:
    state = make_state(rules=COMPOUND)
    after = drive(state.read_next(full=True), FakeContracts(make_raw(rules=VENUS_CORE), VENUS_CORE))
    assert isinstance(after, CompoundState)
    assert after.rules is VENUS_CORE
    assert after.confirmed_samples is None


@pytest.mark.parametrize("kind", ["roots", "listing", "rules", "vai", "config", "books", "price", "pools"])
def test_records_of_which_a_kind_is_missing_are_refused(kind: str) -> None:
    state = make_state()
    records = [record for record in state.records() if record.kind != kind]
    with pytest.raises(Fatal, match="not complete"):
        ADAPTER.restore_state(DEPLOYMENT, state.markets(), records)


def test_rates_are_quoted_by_the_year() -> None:
    quote = {q.market: q for q in make_state().at(NOW, BLOCK).quotes()}[DAI.code]
    assert quote.price == WAD
    assert quote.borrow_rate_ray == 2 * 10**9 * 31_536_000 * 10**9
    assert quote.supply_rate_ray is not None
    assert 0 < quote.supply_rate_ray < quote.borrow_rate_ray
    assert (quote.liquidation_threshold_bps, quote.max_ltv_bps) == (8000, 7500)
