from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.account import AccountSnapshot, Unreadable
from app.domain.chain import CallResult, ContractCall, Returned
from app.domain.risk import RiskStatus
from app.errors import Refused
from app.protocols.abi import address_word, uint_word
from app.protocols.compound_v3 import calls
from app.protocols.compound_v3.currency import price_currency
from app.protocols.compound_v3.state import CometAdapter, CometState
from tests.protocols.compound_v3.builders import (
    BASE,
    BASE_FEED,
    BLOCK,
    DEPLOYMENT,
    FULL_LIST,
    KEY,
    LAST,
    NOW,
    TOTALS,
    WBTC,
    WETH,
    FakeContracts,
    make_raw,
    make_state,
    snapshot,
)
from tests.protocols.conformance import drive


def read_state(contracts: FakeContracts) -> CometState:
    state = drive(CometAdapter().read_state(DEPLOYMENT), contracts)
    assert isinstance(state, CometState)
    return state


def test_a_comet_is_read_from_its_address_alone() -> None:
    raw = make_raw()
    assert read_state(FakeContracts(raw)).raw == raw


def test_a_comet_without_any_collateral_is_one_too() -> None:
    raw = replace(make_raw(), collaterals=(), prices={BASE: 10**8})
    assert read_state(FakeContracts(raw)).raw == raw


def test_an_account_costs_one_call_and_one_more_for_each_collateral_it_holds() -> None:
    account = snapshot(-5, {WETH: 7, LAST: 8})
    contracts, asked = FakeContracts(make_raw(), {KEY.wallet: account}), []

    def counting(call: ContractCall) -> CallResult:
        asked.append(call)
        return contracts(call)

    everything = frozenset(one.code for one in FULL_LIST)
    assert drive(make_state().read_account(KEY, BLOCK, everything), counting) == account
    assert [call.data[:4] for call in asked] == [calls.USER_BASIC] + [calls.USER_COLLATERAL] * 2


@pytest.mark.parametrize("principal", [-(2**103) + 1, -1, 0, 1, 2**103 - 1])
def test_principals_keep_their_sign(principal: int) -> None:
    account = snapshot(principal)
    contracts = FakeContracts(make_raw(), {KEY.wallet: account})
    assert drive(make_state().read_account(KEY, BLOCK, frozenset()), contracts) == account


def test_a_flag_of_a_collateral_nobody_could_read_makes_the_account_unreadable() -> None:
    contracts = FakeContracts(make_raw(), {KEY.wallet: snapshot(-5, {LAST: 8})})
    state = make_state(make_raw(WETH, WBTC))
    read = drive(state.read_account(KEY, BLOCK, frozenset()), contracts)
    assert isinstance(read, Unreadable)
    assert "collateral number 23" in read.reason


def test_a_collateral_balance_that_reverts_makes_the_account_unreadable() -> None:
    failing = frozenset({calls.USER_COLLATERAL + address_word(KEY.wallet) + address_word(WETH.asset)})
    contracts = FakeContracts(make_raw(), {KEY.wallet: snapshot(-5, {WETH: 8})}, failing=failing)
    read = drive(make_state().read_account(KEY, BLOCK, frozenset()), contracts)
    assert isinstance(read, Unreadable)
    assert "WETH" in read.reason


@pytest.mark.parametrize("words", [(2**200, 0, 0, 0, 0), (1, 2, 3, 4)])
def test_what_is_no_user_basic_is_not_taken_for_one(words: tuple[int, ...]) -> None:
    answer = Returned(b"".join(map(uint_word, words)))
    read = drive(make_state().read_account(KEY, BLOCK, frozenset()), lambda call: answer)
    assert isinstance(read, Unreadable)


@pytest.mark.parametrize(
    "failing",
    [calls.BASE_TOKEN, calls.BASE_PRICE_FEED, calls.BASE_SCALE, calls.NUM_ASSETS, calls.GET_ASSET_INFO + uint_word(7)],
)
def test_a_comet_without_its_roots_is_refused(failing: bytes) -> None:
    with pytest.raises(Refused, match=DEPLOYMENT.id):
        read_state(FakeContracts(make_raw(), failing=frozenset({failing})))


@pytest.mark.parametrize(
    ("failing", "account", "code"),
    [
        (calls.TOTALS_BASIC, snapshot(-5), "market_unavailable"),
        (calls.CURVES[3], snapshot(5), "market_unavailable"),
        (calls.GET_PRICE + address_word(BASE_FEED), snapshot(-5), "price_unavailable"),
        (calls.BASE_SCALE, snapshot(-5), "price_unavailable"),
        (calls.GET_PRICE + address_word(WETH.feed), snapshot(-5, {WETH: 1}), "price_unavailable"),
        (calls.GET_ASSET_INFO + uint_word(0), snapshot(0, {WETH: 1}), "market_unavailable"),
    ],
)
def test_what_cannot_be_read_makes_the_accounts_that_need_it_unknown(
    failing: bytes, account: AccountSnapshot, code: str
) -> None:
    contracts = FakeContracts(make_raw(), failing=frozenset({failing}))
    after = drive(make_state().read_next(full=True), contracts)
    assert after.markets() == make_state().markets()
    priced = after.at(NOW, BLOCK)
    assessment = priced.assess(account)
    assert assessment.status is priced.health(account).status is RiskStatus.UNKNOWN
    assert [reason.code for reason in assessment.reasons] == [code]
    others = priced.assess(snapshot(0, {WBTC: 1}))
    assert others.status is RiskStatus.NO_DEBT
    assert CometAdapter().restore_state(DEPLOYMENT, after.markets(), after.records()) == after


def test_supplied_base_without_a_price_leaves_the_risk_known() -> None:
    after = make_state(make_raw(base_price=None)).at(NOW, BLOCK)
    assessment = after.assess(snapshot(5_000))
    assert assessment.status is RiskStatus.NO_DEBT
    assert assessment.positions[0].supplied_value is None
    assert assessment.positions[0].supplied_assets


def test_an_upgrade_can_add_a_collateral() -> None:
    before = make_state(make_raw(WETH))
    after = drive(before.read_next(full=True), FakeContracts(make_raw(WETH, WBTC)))
    assert [market.symbol for market in after.markets()] == ["USDC", "WETH", "WBTC"]


def test_a_new_collateral_that_does_not_answer_yet_keeps_the_places_of_the_others() -> None:
    failing = frozenset({calls.GET_ASSET_INFO + uint_word(1)})
    after = drive(make_state(make_raw(WETH)).read_next(full=True), FakeContracts(make_raw(*FULL_LIST), failing=failing))
    assert [market.symbol for market in after.markets()] == ["USDC", "WETH"]


def test_only_books_and_prices_are_read_at_every_block() -> None:
    changed = replace(make_raw(WETH), totals=replace(TOTALS, accrued_at=NOW))
    changed = replace(changed, prices={**changed.prices, BASE: 10**8})
    after = drive(make_state(make_raw(WETH)).read_next(full=False), FakeContracts(changed))
    assert isinstance(after, CometState)
    assert after.raw == changed


@pytest.mark.parametrize(
    ("description", "price", "currency"),
    [
        ("USDC / USD", 99_990_000, "USD"),
        ("Custom price feed for WBTC / BTC", 10**8, "BTC"),
        ("Constant price feed", 10**8, "WETH"),
        ("Constant price feed", 1, "unknown"),
        ("Constant price feed", None, "unknown"),
        ("some feed", 10**8, "unknown"),
        (None, 10**8, "unknown"),
    ],
)
def test_values_are_counted_in_what_the_base_feed_says(
    description: str | None, price: int | None, currency: str
) -> None:
    assert price_currency(description, "WETH", price) == currency


def test_a_symbol_no_record_can_hold_is_no_currency() -> None:
    assert price_currency("Constant price feed", "₮" * 10, 10**8) == "₮" * 10
    assert price_currency("Constant price feed", "₮" * 11, 10**8) == "unknown"


def test_a_comet_priced_in_its_own_base_asset_says_so_and_keeps_saying_so() -> None:
    state = read_state(FakeContracts(make_raw(base_price=10**8), description="Constant price feed"))
    assert state.value_currency == state.raw.base.symbol
    silent = FakeContracts(make_raw(base_price=10**8), failing=frozenset({calls.DESCRIPTION}))
    assert drive(state.read_next(full=True), silent).value_currency == state.value_currency
    assert CometAdapter().restore_state(DEPLOYMENT, state.markets(), state.records()).value_currency == "USDC"
