from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.account import AccountSnapshot, LendingPosition, Unreadable
from app.domain.chain import ZERO_ADDRESS, Address, CallResult, ContractCall, Returned
from app.domain.risk import RiskStatus
from app.errors import Refused
from app.protocols.aave_v3 import ADAPTER, calls
from app.protocols.aave_v3.raw import EMode, FeedForm, Price, Raw
from app.protocols.aave_v3.rules import V3_0, V3_6, V3_7
from app.protocols.aave_v3.state import AaveState
from tests.protocols.aave_v3.builders import (
    DAI,
    DEPLOYMENT,
    KEY,
    NOW,
    USDC,
    WALLET,
    WBTC,
    WETH,
    FakeContracts,
    drive,
    make_raw,
    make_state,
    named,
    owed,
    snapshot,
    supplied,
)

EMODES = {
    1: EMode(9000, 9300, 10100, None, 0b0101, 0, False),
    7: EMode(8800, 9100, 10300, None, 0b1000, 0b1000, True),
}
EVERYTHING = frozenset({WETH.code, WBTC.code, USDC.code, DAI.code})


def read_state(contracts: FakeContracts) -> AaveState:
    state = drive(ADAPTER.read_state(DEPLOYMENT), contracts)
    assert isinstance(state, AaveState)
    return state


def test_a_deployment_is_read_from_its_provider_as_its_contracts_hold_it() -> None:
    raw = make_raw(emodes=EMODES)
    state = read_state(FakeContracts(raw))
    assert state.raw == raw
    assert state.rules is V3_6
    assert state.confirmed_samples is None
    assert (state.value_currency, state.value_decimals) == ("USD", 8)
    assert [(market.symbol, market.decimals) for market in state.markets()][1] == ("WBTC", 8)


def test_the_views_of_3_0_are_read_as_well() -> None:
    emodes = {1: EMode(9000, 9300, 10100, price_source=named("shared-feed"))}
    base = make_raw(emodes=emodes, emode_prices={1: 7})
    raw = replace(
        base,
        roots=replace(base.roots, revision=1),
        reserves=tuple(replace(reserve, grace_until=None) for reserve in base.reserves),
    )
    state = read_state(FakeContracts(raw, legacy=True))
    assert state.raw == raw
    assert state.rules is V3_0


def test_a_dropped_reserve_keeps_the_others_at_their_bits() -> None:
    base = make_raw(WETH, WBTC, USDC)
    raw = replace(
        base,
        listing=(base.listing[0], ZERO_ADDRESS, base.listing[2]),
        reserves=(base.reserves[0], base.reserves[2]),
        indices={code: value for code, value in base.indices.items() if code != WBTC.code},
        prices={code: value for code, value in base.prices.items() if code != WBTC.code},
    )
    state = read_state(FakeContracts(raw))
    assert state.raw == raw
    assert [reserve.id for reserve in state.raw.reserves] == [0, 2]
    # its bit is passed over, as the contract does
    account = snapshot(supplied(WETH, 10**18))
    flagged = FakeContracts(raw, {WALLET: account})

    def with_dropped_bit(call: ContractCall) -> CallResult:
        answer = flagged(call)
        if call.data[:4] == calls.GET_USER_CONFIGURATION:
            return Returned((0b1110).to_bytes(32, "big"))
        return answer

    assert drive_any(state.read_account(KEY, 1, frozenset()), with_dropped_bit) == account


def drive_any(plan: object, answer: object) -> object:
    return drive(plan, answer)  # type: ignore[arg-type]


def test_without_a_price_for_some_asset_the_others_keep_theirs() -> None:
    raw = make_raw(replace(WETH, price=None), USDC)
    state = read_state(FakeContracts(raw))
    assert state.raw.prices == {WETH.code: Price(None, NOW), USDC.code: Price(10**8, NOW)}


def test_a_feed_that_does_not_say_when_it_moved_has_no_age_and_is_not_asked_again() -> None:
    base = make_raw(WETH, USDC)
    silent = replace(base.reserves[0], feed_form=FeedForm.SILENT)
    older = replace(base.reserves[1], feed_form=FeedForm.LATEST_TIMESTAMP)
    raw = replace(base, reserves=(silent, older), prices={**base.prices, WETH.code: Price(WETH.price, None)})
    contracts = FakeContracts(raw)
    state = read_state(contracts)
    assert state.raw == raw
    contracts.asked.clear()
    drive(state.read_next(full=False), contracts)
    feeds = {(call.target, call.data) for call in contracts.asked if call.target in (silent.source, older.source)}
    assert feeds == {(older.source, calls.LATEST_TIMESTAMP)}


def test_the_next_state_is_one_round_and_holds_what_moved() -> None:
    contracts = FakeContracts(make_raw(emodes=EMODES))
    state = read_state(contracts)
    moved = make_raw(replace(WETH, price=2900 * 10**8, borrow_rate=7), WBTC, USDC, DAI, emodes=EMODES)
    plan = state.read_next(full=False)
    asked = next(plan)
    assert len(asked) == 1 + 4 + 4
    with pytest.raises(StopIteration) as end:
        plan.send([FakeContracts(moved)(call) for call in asked])
    assert end.value.value.raw.prices == moved.prices
    assert end.value.value.raw.indices == moved.indices


def test_a_full_read_sees_new_reserves_thresholds_and_emodes_and_keeps_the_confirmation() -> None:
    state = read_state(FakeContracts(make_raw(WETH, USDC)))
    confirmed = state.confirmed(samples=20, matches=20)
    raw = make_raw(replace(WETH, threshold=8100), USDC, DAI, emodes=EMODES)
    after = drive(confirmed.read_next(full=True), FakeContracts(raw))
    assert isinstance(after, AaveState)
    assert after.raw == raw
    assert after.confirmed_samples == 20


def test_another_pool_revision_leaves_the_confirmation_behind() -> None:
    confirmed = read_state(FakeContracts(make_raw())).confirmed(samples=20, matches=20)
    base = make_raw()
    raw = replace(base, roots=replace(base.roots, revision=11))
    after = drive(confirmed.read_next(full=True), FakeContracts(raw))
    assert isinstance(after, AaveState)
    assert after.rules is V3_7
    assert after.confirmed_samples is None


@pytest.mark.parametrize("full", [False, True])
def test_when_everything_reverts_nothing_becomes_zero_and_everybody_unknown(full: bool) -> None:
    contracts = FakeContracts(make_raw(emodes=EMODES))
    state = read_state(contracts)
    contracts.broken = True
    after = drive(state.read_next(full=full), contracts)
    assert isinstance(after, AaveState)
    assert after.markets() == state.markets()
    assert set(after.raw.indices.values()) == {None}
    assert {price.value for price in after.raw.prices.values()} == {None}
    for emode in (0, 1, 99):
        account = snapshot(supplied(WETH, 10**18), owed(USDC, 10**6), emode=emode)
        assert after.at(NOW, 1).health(account).status is RiskStatus.UNKNOWN
        assert after.at(NOW, 1).assess(account).status is RiskStatus.UNKNOWN
        assert after.at(NOW, 1).truth(account) is None
    contracts.broken = False
    healed = drive(after.read_next(full=True), contracts)
    assert isinstance(healed, AaveState)
    assert healed.raw == state.raw


def test_a_deployment_that_does_not_answer_is_refused_by_name_and_role() -> None:
    with pytest.raises(Refused, match=r"aave-v3-test: pool_addresses_provider 0x.*, asked for the pool, reverted"):
        read_state(FakeContracts(make_raw(), broken=True))
    with pytest.raises(Refused, match=r"price oracle 0x.* states no base currency"):
        read_state(FakeContracts(make_raw(), broken_targets=frozenset({named("oracle")})))
    with pytest.raises(Refused, match="POOL_REVISION, reverted"):
        read_state(FakeContracts(make_raw(), broken_targets=frozenset({named("pool")})))
    with pytest.raises(Refused, match=r"contracts\.pool_addresses_provider is missing"):
        drive(ADAPTER.read_state(replace(DEPLOYMENT, contracts={})), FakeContracts(make_raw()))
    with pytest.raises(Refused, match="names the pool"):
        drive(ADAPTER.read_state(replace(DEPLOYMENT, address=named("other"))), FakeContracts(make_raw()))


# ------------------------------------------------------------------------------- accounts

HELD = snapshot(supplied(WETH, 7), supplied(USDC, 5, borrowed=3), owed(DAI, 2), emode=1)


def test_an_account_is_its_emode_and_the_scaled_balances_it_flags() -> None:
    contracts = FakeContracts(make_raw(), {WALLET: HELD})
    assert drive(make_state().read_account(KEY, 1, frozenset()), contracts) == HELD
    assert len(contracts.asked) == 2 + 2 + 2


def test_deposits_without_any_flag_are_read_where_the_account_is_known_to_be() -> None:
    account = snapshot(supplied(WETH, 7), supplied(WBTC, 9, collateral=False))
    contracts = FakeContracts(make_raw(), {WALLET: account})
    state = make_state()
    assert drive(state.read_account(KEY, 1, frozenset({WBTC.code})), contracts) == account
    assert drive(state.read_account(KEY, 1, frozenset()), contracts) == snapshot(supplied(WETH, 7))
    assert drive(state.read_account(KEY, 1, EVERYTHING | {"0xgone"}), contracts) == account


def test_an_account_without_anything_needs_one_round() -> None:
    contracts = FakeContracts(make_raw())
    assert drive(make_state().read_account(KEY, 9, frozenset()), contracts) == AccountSnapshot(KEY, 9, (), (0,))
    assert len(contracts.asked) == 2


def test_a_collateral_flag_without_a_balance_is_kept() -> None:
    account = snapshot(LendingPosition(WETH.code, 0, 0, True))
    assert (
        drive(make_state().read_account(KEY, 1, frozenset()), FakeContracts(make_raw(), {WALLET: account})) == account
    )


@pytest.mark.parametrize("target", [named("pool"), named("a-weth"), named("v-dai")])
def test_any_read_that_reverts_makes_the_account_unreadable(target: Address) -> None:
    contracts = FakeContracts(make_raw(), {WALLET: HELD}, broken_targets=frozenset({target}))
    answer = drive(make_state().read_account(KEY, 4, EVERYTHING), contracts)
    assert isinstance(answer, Unreadable)
    assert answer.block_number == 4
    assert "reverted" in answer.reason


@pytest.mark.parametrize("data", [b"", bytes(31), bytes(64)])
@pytest.mark.parametrize("selector", [calls.GET_USER_CONFIGURATION, calls.GET_USER_EMODE, calls.SCALED_BALANCE_OF])
def test_an_answer_of_another_shape_makes_the_account_unreadable(selector: bytes, data: bytes) -> None:
    contracts = FakeContracts(make_raw(), {WALLET: HELD})

    def answer(call: ContractCall) -> CallResult:
        return Returned(data) if call.data[:4] == selector else contracts(call)

    state = drive_any(make_state().read_account(KEY, 1, EVERYTHING), answer)
    assert isinstance(state, Unreadable)
    assert "bytes of another shape" in state.reason


def test_a_flag_on_a_reserve_nobody_could_read_makes_the_account_unreadable() -> None:
    contracts = FakeContracts(make_raw(), {WALLET: HELD})
    known = make_raw(WETH, WBTC, USDC)
    assert isinstance(drive(make_state(raw=known).read_account(KEY, 1, frozenset()), contracts), Unreadable)


def test_debt_at_a_stable_rate_is_not_guessed_at() -> None:
    raw = make_raw(WETH, replace(USDC, stable=True))
    account = snapshot(supplied(WETH, 7), owed(USDC, 3))
    free = FakeContracts(raw, {WALLET: account})
    stuck = FakeContracts(raw, {WALLET: account}, stable_debts={named("s-usdc"): 1})
    old, new = make_state(raw=raw, rules=V3_0), make_state(raw=raw, rules=V3_6)
    assert drive(old.read_account(KEY, 1, frozenset()), free) == account
    answer = drive(old.read_account(KEY, 1, frozenset()), stuck)
    assert isinstance(answer, Unreadable)
    assert "stable rate in USDC" in answer.reason
    assert drive(new.read_account(KEY, 1, frozenset()), stuck) == account


def test_the_contracts_own_numbers_are_read_in_order_and_none_where_it_reverts() -> None:
    truth = (1, 2, 3, 4, 5, 6)
    assert drive(make_state().read_truth(KEY), FakeContracts(make_raw(), truths={WALLET: truth})) == truth
    assert drive(make_state().read_truth(KEY), FakeContracts(make_raw())) is None


def test_reasons_name_what_blocks_or_qualifies() -> None:
    paused = replace(WETH, flags=WETH.flags | 1 << 60)
    sleeping = make_raw(paused, replace(USDC, flags=USDC.flags | 1 << 57 | 1 << 62), replace(WBTC, ltv=0))
    graced = tuple(replace(reserve, grace_until=NOW) if reserve.id == 1 else reserve for reserve in sleeping.reserves)
    raw: Raw = replace(
        sleeping, reserves=graced, roots=replace(sleeping.roots, sentinel=named("sentinel")), liquidation_allowed=False
    )
    account = snapshot(supplied(paused, 10**18), supplied(WBTC, 10**5), owed(USDC, 10**6))
    reasons = make_state(raw=raw).at(NOW, 1).assess(account).reasons
    assert {(reason.code, reason.market) for reason in reasons} == {
        ("liquidation_blocked", paused.code),
        ("liquidation_blocked", USDC.code),
        ("liquidation_blocked", None),
        ("frozen", USDC.code),
        ("ltv_zero", WBTC.code),
        ("siloed_borrowing", USDC.code),
    }
    later = {(reason.code, reason.market) for reason in make_state(raw=raw).at(NOW + 1, 1).assess(account).reasons}
    assert ("liquidation_blocked", USDC.code) not in later
