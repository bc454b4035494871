"""What is read, in how many rounds, and what becomes of reads that fail."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.account import AccountSnapshot, Unreadable
from app.domain.chain import Address, CallResult, ContractCall, ReadPlan, T
from app.errors import Fatal, Refused
from app.protocols.abi import address_word
from app.protocols.perp_curie import ADAPTER, calls
from app.protocols.perp_curie.moving_reads import MOST_WITNESSES
from app.protocols.perp_curie.raw import Growth, Status
from app.protocols.perp_curie.state import CurieState
from tests.protocols.conformance import drive, everything_reverts
from tests.protocols.perp_curie.builders import (
    BLOCK,
    BTC,
    DEPLOYMENT,
    ETH,
    GROWTH,
    HOUSE,
    NOW,
    OLD,
    ROOTS,
    STILL,
    TERMS,
    USDC_CODE,
    WAD,
    WALLET,
    WETH,
    maker,
    snapshot,
    taker,
)
from tests.protocols.perp_curie.contracts import FakeContracts, answer, read_state


def rounds(plan: ReadPlan[T], contracts: FakeContracts) -> tuple[T, list[int]]:
    """What a plan gives, and how many calls each of its rounds had."""
    sizes = []
    try:
        asked = next(plan)
        while True:
            sizes.append(len(asked))
            asked = plan.send([contracts(call) for call in asked])
    except StopIteration as end:
        return end.value, sizes


def wallet_of(number: int) -> Address:
    return Address(bytes([number] * 20))


def read(account: AccountSnapshot, contracts: FakeContracts) -> object:
    state = read_state(replace(contracts, failing=frozenset()))
    return drive(state.read_account(account.key, BLOCK, frozenset()), contracts)


def test_a_deployment_is_read_from_the_clearing_house_and_the_markets_it_lists() -> None:
    state = drive(ADAPTER.read_state(DEPLOYMENT), FakeContracts())
    assert isinstance(state, CurieState)
    assert state.raw.roots == ROOTS
    assert state.raw.terms == TERMS
    assert state.raw.timestamp == NOW
    assert sorted(state.raw.markets) == sorted((ETH.code, OLD.code))
    assert [market.symbol for market in state.markets()] == ["USDC", "vETH", "vOLD"]
    assert state.raw.markets[ETH.code].price == ETH.price
    assert (state.raw.markets[OLD.code].status, state.raw.markets[OLD.code].price) == (Status.CLOSED, OLD.price)


def test_markets_and_collaterals_are_learned_of_by_who_is_in_them() -> None:
    contracts = FakeContracts((snapshot(5, taker(BTC, WAD), taker(STILL, -WAD), tokens={WETH: 7}),))
    before = drive(ADAPTER.read_state(DEPLOYMENT), contracts)
    assert isinstance(before, CurieState)
    key = contracts.accounts[0].key
    read_before = drive(before.read_account(key, BLOCK, frozenset()), contracts)
    assert isinstance(read_before, Unreadable)
    assert "not known yet" in read_before.reason
    state, sizes = rounds(before.expecting([key]).read_next(full=False), contracts)
    assert isinstance(state, CurieState)
    assert len(sizes) == 3
    assert sorted(state.raw.markets) == sorted((ETH.code, BTC.code, OLD.code, STILL.code))
    assert list(state.raw.collaterals) == [WETH.code]
    assert state.raw.collaterals[WETH.code].price == WETH.price * 10**10
    assert state.awaited == ()
    assert drive(state.read_account(key, BLOCK, frozenset()), contracts) == contracts.accounts[0]
    assert BTC.base in state.log_filter().addresses


def test_nobody_to_be_read_leaves_a_state_as_it_is() -> None:
    state = read_state(FakeContracts())
    assert state.expecting([]) is state


def test_a_block_is_one_round_and_a_deposit_adds_one() -> None:
    account = snapshot(5, taker(ETH, WAD))
    contracts = FakeContracts((account,))
    state = read_state(contracts)
    _, sizes = rounds(state.read_next(full=False), contracts)
    assert len(sizes) == 1
    _, sizes = rounds(state.expecting([account.key]).read_next(full=False), contracts)
    assert len(sizes) == 2
    _, sizes = rounds(state.read_account(account.key, BLOCK, frozenset()), contracts)
    assert sizes == [4, 2]


def test_an_account_with_orders_takes_a_third_round() -> None:
    account = snapshot(5, maker(ETH, WAD, -WAD, fee=3, funding=-4, orders=2), taker(BTC, WAD), tokens={WETH: 1})
    contracts = FakeContracts((account, snapshot(5, taker(ETH, WAD), wallet=wallet_of(2))))
    state = read_state(contracts)
    found, sizes = rounds(state.read_account(account.key, BLOCK, frozenset()), contracts)
    assert found == account
    assert sizes == [4, 5, 5]
    assert state.moves_by_itself(account)
    assert not state.moves_by_itself(snapshot(5, taker(BTC, WAD)))


def test_the_growth_is_exact_when_somebody_who_settled_last_is_there_to_tell() -> None:
    settled, other = snapshot(5, taker(ETH, WAD, last=GROWTH)), snapshot(5, taker(ETH, -WAD), wallet=wallet_of(2))
    state = read_state(FakeContracts((settled, other)))
    assert state.raw.markets[ETH.code].growth == Growth(ETH.growth, GROWTH)
    assert state.raw.markets[ETH.code].premium_x96 == ETH.premium
    alone = read_state(FakeContracts((other,))).raw.markets[ETH.code].growth
    assert alone is not None
    assert alone.anchor is None
    assert abs(alone.value - ETH.growth) <= 86_400 * 2**96 // WAD


def test_a_growth_once_exact_stays_so_after_all_who_settled_have_left() -> None:
    settled, other = snapshot(5, taker(ETH, WAD, last=GROWTH)), snapshot(5, taker(ETH, -WAD), wallet=wallet_of(2))
    state = read_state(FakeContracts((settled, other)))
    gone = snapshot(5)
    after = drive(state.expecting([gone.key]).read_next(full=False), FakeContracts((gone, other)))
    assert isinstance(after, CurieState)
    assert after.raw.markets[ETH.code].witnesses == (wallet_of(2),)
    assert after.raw.markets[ETH.code].growth == Growth(ETH.growth, GROWTH)


def test_a_growth_stays_exact_when_the_last_to_settle_left_in_that_very_block() -> None:
    settled, other = snapshot(5, taker(ETH, WAD, last=GROWTH)), snapshot(5, taker(ETH, -WAD), wallet=wallet_of(2))
    state = read_state(FakeContracts((settled, other)))
    moved = replace(ETH, pool_twap=2_011 * WAD, settled_growth=ETH.growth, seconds=12)
    later = FakeContracts((other,), (moved, BTC, OLD, STILL), now=NOW + 12)
    after = drive(state.read_next(full=False), later)
    assert isinstance(after, CurieState)
    assert after.raw.markets[ETH.code].growth == Growth(moved.growth, ETH.growth)


def test_a_market_entered_and_left_again_holds_nothing() -> None:
    account = snapshot(5, taker(ETH, 0, 0, last=0))
    assert read(account, FakeContracts((account,))) == snapshot(5)


@pytest.mark.parametrize("view", [calls.IS_OPEN, calls.IS_CLOSED])
def test_a_market_that_is_two_things_or_nothing_at_once_has_no_status(view: bytes) -> None:
    contracts = FakeContracts((snapshot(5, taker(ETH, WAD)),))

    def turned(call: ContractCall) -> CallResult:
        found = contracts(call)
        if call == ContractCall(ETH.base, view):
            return answer(1 - int.from_bytes(found.data, "big"))
        return found

    state = drive(read_state(contracts).read_next(full=True), turned)
    assert isinstance(state, CurieState)
    assert state.raw.markets[ETH.code].status is None


def test_without_anybody_who_tells_the_growth_is_not_known() -> None:
    state = read_state(FakeContracts((snapshot(5, maker(ETH, WAD, -WAD)),)))
    assert state.raw.markets[ETH.code].growth is None
    assert state.raw.markets[ETH.code].witnesses == ()
    held = snapshot(5, taker(ETH, WAD))
    assert state.moves_by_itself(held)
    assert state.may_change_unseen(held)
    assert not state.may_change_unseen(snapshot(5))
    told = read_state(FakeContracts((held,)))
    assert state.may_have_changed_unseen(told, logs=())
    assert not told.may_have_changed_unseen(state, logs=())


def test_the_largest_positions_are_kept_as_witnesses() -> None:
    accounts = tuple(snapshot(5, taker(ETH, (-1) ** n * n * WAD), wallet=wallet_of(n)) for n in range(1, 9))
    contracts = FakeContracts(accounts)
    state = read_state(contracts)
    assert state.raw.markets[ETH.code].witnesses == tuple(wallet_of(n) for n in (8, 7, 6, 5))
    assert MOST_WITNESSES == 4
    contracts.asked.clear()
    drive(state.read_next(full=False), contracts)
    assert sum(call.data[:4] == calls.GET_PENDING_FUNDING for call in contracts.asked) == 4


def test_payments_that_contradict_each_other_tell_no_growth() -> None:
    one, two = snapshot(5, taker(ETH, WAD)), snapshot(5, taker(ETH, 2 * WAD), wallet=wallet_of(2))
    contracts = FakeContracts((one, two))

    def lying(call: ContractCall) -> CallResult:
        if call.data == calls.GET_PENDING_FUNDING + address_word(WALLET) + address_word(ETH.base):
            call = ContractCall(call.target, call.data[:4] + address_word(wallet_of(2)) + call.data[36:])
        return contracts(call)

    state = drive(read_state(contracts).read_next(full=False), lying)
    assert isinstance(state, CurieState)
    assert state.raw.markets[ETH.code].growth is None


@pytest.mark.parametrize(
    "view",
    [
        calls.GET_BALANCE,
        calls.GET_COLLATERAL_TOKENS,
        calls.GET_BASE_TOKENS,
        calls.GET_PNL_AND_PENDING_FEE,
        calls.GET_BALANCE_BY_TOKEN,
        calls.GET_ACCOUNT_INFO,
        calls.GET_OPEN_ORDER_IDS,
        calls.GET_TOTAL_TOKEN_AMOUNT,
        calls.GET_TOTAL_ORDER_DEBT,
        calls.GET_PENDING_FUNDING,
    ],
)
def test_an_account_of_which_anything_cannot_be_read_is_unreadable(view: bytes) -> None:
    account = snapshot(5, maker(ETH, WAD, -WAD), taker(BTC, WAD), tokens={WETH: 1})
    contracts = FakeContracts((account,))
    assert read(account, contracts) == account
    failed = read(account, replace(contracts, failing=frozenset({view})))
    assert isinstance(failed, Unreadable)
    assert failed.reason


@pytest.mark.parametrize("view", [calls.GET_ACCOUNT_VALUE, calls.GET_MARGIN_REQUIREMENT, calls.GET_PNL_AND_PENDING_FEE])
def test_a_truth_of_which_a_part_reverts_is_none(view: bytes) -> None:
    account = snapshot(5, taker(ETH, WAD))
    contracts = FakeContracts((account,))
    state = read_state(contracts)
    assert drive(state.read_truth(account.key), contracts) == contracts.truth(account)
    assert drive(state.read_truth(account.key), replace(contracts, failing=frozenset({view}))) is None


def test_what_a_market_does_not_answer_is_not_known_and_never_zero() -> None:
    account = snapshot(5, taker(ETH, WAD), tokens={WETH: 1})
    contracts = FakeContracts((account,))
    state = read_state(contracts)
    for view, full in (
        (calls.GET_MARK_PRICE, False),
        (calls.GET_SQRT_MARKET_TWAP, False),
        (calls.GET_INDEX_PRICE, False),
        (calls.GET_PRICE, False),
        (calls.GET_BLOCK_TIMESTAMP, False),
        (calls.GET_PENDING_FUNDING, False),
        (calls.IS_PAUSED, True),
        (calls.GET_MM_RATIO, True),
        (calls.GET_COLLATERAL_CONFIG, True),
    ):
        after = drive(state.read_next(full=full), replace(contracts, failing=frozenset({view})))
        assert isinstance(after, CurieState)
        market, token = after.raw.markets[ETH.code], after.raw.collaterals[WETH.code]
        assert {
            calls.GET_MARK_PRICE: market.mark_price,
            calls.GET_SQRT_MARKET_TWAP: market.premium_x96,
            calls.GET_INDEX_PRICE: market.premium_x96,
            calls.GET_PRICE: token.price,
            calls.GET_BLOCK_TIMESTAMP: after.raw.timestamp,
            calls.GET_PENDING_FUNDING: market.growth,
            calls.IS_PAUSED: market.status,
            calls.GET_MM_RATIO: after.raw.terms,
            calls.GET_COLLATERAL_CONFIG: token.ratio,
        }[view] is None
        assert drive(after.read_next(full=True), contracts).records() == state.records()


def test_a_contract_that_is_not_a_clearing_house_is_refused_by_name() -> None:
    with pytest.raises(Refused, match=f"{DEPLOYMENT.id}.*{HOUSE}"):
        drive(ADAPTER.read_state(DEPLOYMENT), everything_reverts)
    for view in (calls.GET_VAULT, calls.GET_COLLATERAL_MANAGER, calls.DECIMALS):
        with pytest.raises(Refused, match=DEPLOYMENT.id):
            drive(ADAPTER.read_state(DEPLOYMENT), FakeContracts(failing=frozenset({view})))


def test_every_state_comes_back_from_its_records_to_the_unit() -> None:
    account = snapshot(5, *(taker(one, WAD) for one in (ETH, BTC, OLD, STILL)), tokens={WETH: 1})
    contracts = FakeContracts((account,))
    state = read_state(contracts)
    blind = drive(state.read_next(full=True), everything_reverts)
    assert isinstance(blind, CurieState)
    for one in (state, blind, state.confirmed(samples=3, matches=2)):
        back = ADAPTER.restore_state(DEPLOYMENT, one.markets(), one.records())
        assert back == one
        assert back.markets() == one.markets()
        assert back.log_filter() == one.log_filter()


def test_incomplete_records_are_refused() -> None:
    state = read_state(FakeContracts((snapshot(5, taker(ETH, WAD)),)))
    records = state.records()
    for missing in range(len(records)):
        left = (*records[:missing], *records[missing + 1 :])
        if records[missing].kind == "market":
            assert ADAPTER.restore_state(DEPLOYMENT, state.markets(), left) != state
            continue
        with pytest.raises(Fatal, match=DEPLOYMENT.id):
            ADAPTER.restore_state(DEPLOYMENT, state.markets(), left)


def test_a_negative_balance_is_what_is_owed() -> None:
    account = snapshot(-7)
    (position,) = account.positions
    assert (position.market, position.supplied_raw, position.borrowed_raw) == (USDC_CODE, 0, 7)
    assert read(account, FakeContracts((account,))) == account
