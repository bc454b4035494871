from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.account import AccountKey, AccountSnapshot, Unreadable
from app.domain.chain import ZERO_ADDRESS, CallResult, ContractCall, Returned, Reverted
from app.domain.market import MarketRecord, ValueUnit
from app.domain.risk import RiskStatus
from app.protocols.abi import uint_word
from app.protocols.morpho_blue import ADAPTER, calls
from app.protocols.morpho_blue import state as state_module
from app.protocols.morpho_blue.raw import LEAST_DEBT, MOST_MISSES, BlueMarket
from app.protocols.morpho_blue.state import MorphoState
from tests.protocols.conformance import drive
from tests.protocols.morpho_blue.builders import (
    DEPLOYMENT,
    NOW,
    PANIC,
    WALLET,
    FakeContracts,
    error,
    holding,
    idle,
    key_in,
    make_market,
    make_raw,
    make_state,
    make_totals,
    named,
)

ETH, BTC = make_market(1), make_market(2, collateral="WBTC", collateral_decimals=8)
QUIET, FREE = idle(make_market(3)), make_market(4, irm=ZERO_ADDRESS, rate_wad=None)


def read_next(state: MorphoState, contracts: FakeContracts, *, full: bool = False) -> MorphoState:
    after = drive(state.read_next(full=full), contracts)
    assert isinstance(after, MorphoState)
    return after


def rounds(state: MorphoState, contracts: FakeContracts) -> list[int]:
    """How many calls each round of the next read has."""
    plan, sizes = state.read_next(full=False), []
    asked = next(plan)
    while True:
        sizes.append(len(asked))
        try:
            asked = plan.send([contracts(call) for call in asked])
        except StopIteration:
            return sizes


def test_a_new_state_follows_no_market_until_an_account_brings_one() -> None:
    debtors = tuple(holding(market, borrow_shares=10**12, collateral=10**18) for market in (ETH, BTC))
    contracts = FakeContracts(make_raw(ETH, BTC, QUIET), debtors)
    state = drive(ADAPTER.read_state(DEPLOYMENT), contracts)
    assert isinstance(state, MorphoState)
    assert state.markets() == ()
    told = state.expecting([key_in(BTC), key_in(QUIET), AccountKey(DEPLOYMENT.id, WALLET, "no market id")])
    after = read_next(told, contracts)
    assert after.raw == make_raw(replace(BTC, witness=WALLET, agrees=True), QUIET)
    assert after.expecting([key_in(BTC)]) is after
    assert [market.code for market in after.markets()][:2] == [BTC.loan_code, BTC.collateral_code]


def test_an_id_the_contract_has_no_market_for_is_not_followed() -> None:
    contracts = FakeContracts(make_raw(ETH))
    told = make_state(ETH).expecting([key_in(BTC)])
    after = read_next(told, contracts)
    assert after == make_state(ETH)
    read = drive(after.read_account(key_in(BTC), 7, frozenset()), contracts)
    assert isinstance(read, Unreadable)
    assert "not followed" in read.reason


def test_where_not_all_markets_can_be_followed_the_least_active_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "MOST_MARKETS", 2)
    idle_for_long = replace(BTC, totals=make_totals(updated_at=NOW - 10**6))
    silent = replace(FREE, price=None, misses=MOST_MISSES)
    contracts = FakeContracts(make_raw(ETH, idle_for_long, QUIET, silent))
    before = make_state(idle_for_long, silent)
    after = read_next(before.expecting([key_in(ETH), key_in(QUIET)]), contracts)
    assert set(after.raw.markets) == {ETH.id, BTC.id}
    stored = {(record.kind, record.subject): record.values for record in before.records()}
    stored |= {(record.kind, record.subject): record.values for record in after.records()}
    records = [MarketRecord(DEPLOYMENT.id, *name, values) for name, values in stored.items()]
    markets = [*before.markets(), *after.markets()]
    restored = ADAPTER.restore_state(DEPLOYMENT, markets, records)
    assert restored == after, "what was dropped does not come back with a restart"
    account = holding(silent, borrow_shares=5, collateral=5)
    assert after.at(NOW, 1).assess(account).status is RiskStatus.UNKNOWN
    assert after.at(NOW, 1).health(account).status is RiskStatus.UNKNOWN
    assert set(read_next(after, contracts).records()) == set(after.records()) - {
        MarketRecord(DEPLOYMENT.id, "params", silent.id, (None,) * 7)
    }


def test_so_many_new_markets_join_in_one_read_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "MOST_NEW_MARKETS", 1)
    told = make_state(ETH).expecting([key_in(FREE), key_in(QUIET), key_in(BTC)])
    assert told.awaited == (BTC.id,)


def test_an_oracle_silent_for_long_is_asked_in_full_reads_and_when_its_market_moves() -> None:
    silent = replace(ETH, price=None, misses=MOST_MISSES - 1)
    state, dead = make_state(silent), FakeContracts(make_raw(silent))
    state = read_next(state, dead)
    assert state.raw.markets[ETH.id].is_silent
    assert "in a row" in state.at(NOW, 1).assess(holding(ETH, borrow_shares=9, collateral=9)).reasons[0].detail
    alive = FakeContracts(make_raw(ETH))
    assert read_next(state, alive) == state, "not asked"
    assert read_next(state, alive, full=True).raw == make_raw(ETH)
    free = make_state(replace(FREE, price=None, misses=MOST_MISSES))
    moved = replace(FREE, totals=make_totals(borrow=10**12))
    assert read_next(free, FakeContracts(make_raw(moved))).raw == make_raw(moved)


def test_debts_nobody_would_collect_are_not_priced_and_that_is_said() -> None:
    dust = replace(ETH, totals=make_totals(borrow=LEAST_DEBT - 1), price=None)
    contracts = FakeContracts(make_raw(replace(dust, price=5)))
    state = read_next(make_state(dust), contracts)
    assert state.raw == make_raw(dust)
    risk = state.at(NOW, 1).assess(holding(dust, borrow_shares=5, collateral=5))
    assert risk.status is RiskStatus.UNKNOWN
    assert [reason.code for reason in risk.reasons] == ["price_unavailable"]
    assert "less than" in risk.reasons[0].detail


def test_a_block_in_which_nobody_acts_is_one_round() -> None:
    state = make_state(ETH, BTC, QUIET, FREE)
    assert rounds(state, FakeContracts(state.raw)) == [3 + 3 + 1 + 2]


def test_a_market_that_moved_is_asked_again_with_its_new_totals() -> None:
    state = make_state(ETH, BTC, QUIET, FREE)
    moved = replace(ETH, totals=make_totals(borrow=10**12), rate_wad=7, price=8)
    begun = replace(QUIET, totals=make_totals(), rate_wad=9, price=10)
    now = make_raw(moved, BTC, begun, FREE)
    stale = replace(ETH, price=8)

    class Moved(FakeContracts):
        """The model is asked with old totals in the first round: whatever it answers must not be used."""

        def __call__(self, call: ContractCall) -> CallResult:
            old = calls.BORROW_RATE_VIEW + stale.params.words() + (stale.totals.words() if stale.totals else b"")
            return Returned(uint_word(666)) if call.data == old else super().__call__(call)

    contracts = Moved(now)
    after = read_next(state, contracts)
    assert after.raw == now
    assert rounds(state, contracts) == [3 + 3 + 1 + 2, 1 + 2]


def test_what_cannot_be_read_is_none_and_never_zero() -> None:
    silent = replace(ETH, rate_wad=None, price=None)
    after = read_next(make_state(ETH), FakeContracts(make_raw(silent)))
    assert after.raw == make_raw(replace(silent, misses=1))
    blind = replace(ETH, totals=None, rate_wad=None, price=None)
    assert read_next(make_state(ETH), FakeContracts(make_raw(blind))).raw == make_raw(blind)


def test_a_token_that_does_not_state_decimals_is_asked_again_in_full_reads_only() -> None:
    odd = make_market(1, loan_decimals=None)
    state = make_state(odd)
    now = FakeContracts(make_raw(make_market(1)))
    assert read_next(state, now).raw == make_raw(odd)
    assert read_next(state, now, full=True).raw == make_raw(make_market(1))


@pytest.mark.parametrize(
    ("market", "unit"),
    [
        (ETH, ValueUnit("USDC", 6, 24)),
        (BTC, ValueUnit("USDC", 6, 34)),
        (make_market(loan="USD"), ValueUnit(str(named("USD"))[:10], 6, 24)),
        (make_market(loan="usd"), ValueUnit(str(named("usd"))[:10], 6, 24)),
        (make_market(loan_decimals=None, collateral_decimals=None), ValueUnit("USDC", 0, 36)),
        (make_market(collateral_decimals=60), ValueUnit("USDC", 6, 42)),
    ],
)
def test_values_are_counted_in_the_markets_own_loan_token(market: BlueMarket, unit: ValueUnit) -> None:
    state = make_state(market)
    loan = market.params.loan_token if market.loan.decimals is not None else None
    assert state.value_unit(market.id) == replace(unit, asset=loan)
    assert state.value_currency is None
    assert state.value_unit("elsewhere") == ValueUnit(None, 0, 0)


@pytest.mark.parametrize(
    ("answer", "healthy"),
    [
        (error("position is healthy"), True),
        (PANIC, False),
        (error("max uint128 exceeded"), False),
        (error("market not created"), None),
        (Reverted(b""), None),
        (Reverted(bytes.fromhex("08c379a0")), None),
        (Returned(bytes(64)), None),
    ],
)
def test_the_verdict_is_read_off_the_reason_a_liquidation_reverts_with(
    answer: CallResult, healthy: bool | None
) -> None:
    account = holding(ETH, borrow_shares=10**15, collateral=10**18 if healthy else 1)
    contracts = FakeContracts(make_raw(ETH), (account,))

    def with_answer(call: ContractCall) -> CallResult:
        return answer if call.data[:4] == calls.LIQUIDATE else contracts(call)

    expected = None if healthy is None else (0, 10**15, 10**18 if healthy else 1, int(healthy))
    assert drive(make_state(ETH).read_truth(account.key), with_answer) == expected


def test_without_debt_the_contract_calls_anybody_healthy_whatever_the_oracle_does() -> None:
    account = holding(QUIET, collateral=5)
    contracts = FakeContracts(make_raw(QUIET), (account,))
    assert drive(make_state(QUIET).read_truth(account.key), contracts) == (0, 0, 5, 1)


def test_a_position_is_read_in_one_call() -> None:
    account = holding(ETH, supply_shares=3, borrow_shares=4, collateral=5)
    contracts = FakeContracts(make_raw(ETH), (account,))
    assert drive(make_state(ETH).read_account(account.key, 1, frozenset()), contracts) == account
    assert len(contracts.asked) == 1
    empty = drive(make_state(BTC).read_account(key_in(BTC), 1, frozenset()), FakeContracts(make_raw(BTC)))
    assert empty == AccountSnapshot(key_in(BTC), 1, (), ())
