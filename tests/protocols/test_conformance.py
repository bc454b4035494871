"""What every adapter promises, whatever its protocol: the suite runs over the registry."""

from __future__ import annotations

import importlib
import math
from dataclasses import replace

import pytest

from app.domain.account import AccountSnapshot, Unreadable
from app.domain.chain import EMPTY_FILTER, CallResult, ContractCall, Hash32, Log
from app.domain.legs import CONSTANT
from app.domain.risk import Direction, Health, RiskStatus
from app.domain.units import WAD
from app.errors import Fatal, Refused
from app.protocols.base import Adapter, DeploymentState, PricedState, ProtocolKind
from app.protocols.calibration import choose_rules
from app.protocols.registry import adapter_for, adapters
from tests.protocols.conformance import Case, drive, everything_reverts

TRUSTED = 20
LARGE = 10**7


def case_of(adapter: Adapter) -> Case:
    module = importlib.import_module(f"tests.protocols.{adapter.slug.replace('-', '_')}.conformance")
    case = module.CASE
    assert isinstance(case, Case)
    return case


def unconfirmed_state(adapter: Adapter) -> DeploymentState:
    case = case_of(adapter)
    state = drive(adapter.read_state(case.deployment), case.contracts)
    told = state.expecting([account.key for account in case.accounts])
    return state if told is state else drive(told.read_next(full=False), case.contracts)


def state_of(adapter: Adapter) -> DeploymentState:
    return unconfirmed_state(adapter).confirmed(samples=TRUSTED, matches=TRUSTED)


every_adapter = pytest.mark.parametrize("adapter", adapters().values(), ids=adapters())


@every_adapter
def test_names_agree(adapter: Adapter) -> None:
    assert type(adapter).__module__.split(".")[2] == adapter.slug.replace("-", "_")
    assert adapter.name
    assert adapter_for(adapter.slug) is adapter
    for deployment in adapter.deployments():
        assert deployment.protocol == adapter.slug
        assert deployment.id == deployment.id.lower()
        assert deployment.start_block >= 0


def test_deployment_ids_are_unique_over_all_protocols() -> None:
    ids = [deployment.id for adapter in adapters().values() for deployment in adapter.deployments()]
    assert len(ids) == len(set(ids))


@every_adapter
def test_a_state_is_read_described_and_restored(adapter: Adapter) -> None:
    state = state_of(adapter)
    assert state.markets()
    assert len({market.code for market in state.markets()}) == len(state.markets())
    keys = [(record.kind, record.subject) for record in state.records()]
    assert len(keys) == len(set(keys))
    back = adapter.restore_state(state.deployment, state.markets(), state.records())
    assert back == state
    assert back.confirmed_samples == TRUSTED


@every_adapter
def test_records_of_nothing_are_refused(adapter: Adapter) -> None:
    with pytest.raises(Fatal):
        adapter.restore_state(case_of(adapter).deployment, (), ())


@every_adapter
def test_every_log_the_filter_asks_for_touches_somebody(adapter: Adapter) -> None:
    state = state_of(adapter)
    wanted = state.log_filter()
    assert wanted != EMPTY_FILTER
    for address in wanted.addresses:
        for topic0 in wanted.topics0:
            for topics in ((topic0,), (topic0, Hash32(b"\xff" * 32))):
                log = Log(address, topics, b"\x01", 1, Hash32(bytes(32)), Hash32(bytes(32)), 0)
                assert state.touched(log)


@every_adapter
def test_logs_of_others_touch_nobody(adapter: Adapter) -> None:
    state = state_of(adapter)
    stranger = type(state.deployment.address)(b"\x99" * 20)
    for topic0 in state.log_filter().topics0:
        log = Log(stranger, (topic0,), b"", 1, Hash32(bytes(32)), Hash32(bytes(32)), 0)
        assert state.touched(log) == ()


@every_adapter
def test_accounts_are_read_as_they_are(adapter: Adapter) -> None:
    case, state = case_of(adapter), state_of(adapter)
    everything = frozenset(market.code for market in state.markets())
    for account in case.accounts:
        read = drive(state.read_account(account.key, account.block_number, everything), case.contracts)
        assert read == account
        assert isinstance(read, AccountSnapshot)
        assert len(read.params) == len(adapter.account_fields)
        assert list(read.positions) == sorted(read.positions, key=lambda position: position.market)
        assert not any(position.is_empty for position in read.positions)


@every_adapter
def test_known_markets_may_come_as_late_as_the_first_answers(adapter: Adapter) -> None:
    case, state = case_of(adapter), state_of(adapter)
    everything = {market.code for market in state.markets()}
    for account in case.accounts:
        late: set[str] = set()

        def answering(call: ContractCall, late: set[str] = late) -> CallResult:
            late |= everything
            return case.contracts(call)

        assert drive(state.read_account(account.key, account.block_number, late), answering) == account


@every_adapter
def test_when_all_reads_revert_nothing_is_taken_for_zero(adapter: Adapter) -> None:
    case, state = case_of(adapter), state_of(adapter)
    with pytest.raises(Refused) as refusal:
        drive(adapter.read_state(case.deployment), everything_reverts)
    assert case.deployment.id in str(refusal.value)
    blind = [drive(state.read_next(full=full), everything_reverts) for full in (False, True)]
    for account in case.accounts:
        read = drive(state.read_account(account.key, 7, frozenset()), everything_reverts)
        assert isinstance(read, Unreadable)
        assert drive(state.read_truth(account.key), everything_reverts) is None
        for after in blind:
            priced = after.at(case.timestamp, case.block_number)
            assessment = priced.assess(account)
            assert priced.health(account).status is assessment.status
            if assessment.debt_value != 0:
                assert assessment.status is RiskStatus.UNKNOWN
                assert assessment.reasons


@every_adapter
def test_a_read_state_stays_itself_when_nothing_happens(adapter: Adapter) -> None:
    case, state = case_of(adapter), state_of(adapter)
    for full in (False, True):
        assert drive(state.read_next(full=full), case.contracts) == state


@every_adapter
def test_the_two_ways_to_ask_for_health_agree(adapter: Adapter) -> None:
    case, state = case_of(adapter), state_of(adapter)
    priced = state.at(case.timestamp, case.block_number)
    seen = set()
    for account in case.accounts:
        health, full = priced.health(account), priced.assess(account)
        assert len(health) == len(Health._fields)
        seen.add(health.status)
        assert health.status is full.status
        assert health.health_factor_wad == full.health_factor_wad
        assert (health.collateral_value, health.debt_value) == (full.collateral_value, full.debt_value)
        assert health.utilization_wad == full.utilization_wad
        assert health.notional_value == (None if full.margin is None else full.margin.notional_value)
        assert (full.health_factor_wad is None) == (full.status in (RiskStatus.NO_DEBT, RiskStatus.UNKNOWN))
    assert seen >= {RiskStatus.NO_DEBT, RiskStatus.HEALTHY, RiskStatus.LIQUIDATABLE}


@every_adapter
def test_prices_are_those_of_the_assessment_and_several_move_as_one_after_another(adapter: Adapter) -> None:
    case, state = case_of(adapter), state_of(adapter)
    priced = state.at(case.timestamp, case.block_number)
    for account in case.accounts:
        full, prices = priced.assess(account), priced.prices_of(account)
        if full.status is RiskStatus.UNKNOWN:
            continue
        stated = {one.market: one.price for one in full.positions} | {one.market: one.mark_price for one in full.perps}
        assert prices == {market: price for market, price in stated.items() if price}
        moved = {market: price * (7 + place) // 8 for place, (market, price) in enumerate(prices.items())}
        one_by_one: PricedState = priced
        for market, price in moved.items():
            one_by_one = one_by_one.with_price(market, price)
        assert priced.with_prices(moved).assess(account) == one_by_one.assess(account)


@every_adapter
def test_a_liquidation_price_is_where_the_verdict_turns(adapter: Adapter) -> None:
    case, state = case_of(adapter), state_of(adapter)
    priced = state.at(case.timestamp, case.block_number)
    proven = 0
    for account in case.accounts:
        risk = priced.assess(account)
        for position in (*risk.positions, *risk.perps):
            found = position.liquidation_price
            if found is None:
                continue
            proven += 1
            safe = found.price + (1 if found.direction is Direction.FALL else -1)
            at, beyond = (priced.with_price(found.market, price) for price in (found.price, safe))
            assert at.health(account).status is RiskStatus.LIQUIDATABLE
            assert beyond.health(account).status in (RiskStatus.HEALTHY, RiskStatus.NO_DEBT)
            assert priced.health(account) == state.at(case.timestamp, case.block_number).health(account), (
                "with_price changed the original"
            )
    assert proven


@every_adapter
def test_rules_are_chosen_by_the_contracts_own_numbers(adapter: Adapter) -> None:
    case, state = case_of(adapter), unconfirmed_state(adapter)
    assert state.confirmed_samples is None
    truths = [drive(state.read_truth(account.key), case.contracts) for account in case.accounts]
    samples = [(account, truth) for account, truth in zip(case.accounts, truths, strict=True) if truth is not None]
    assert samples
    chosen = choose_rules(state, samples, case.timestamp, case.block_number)
    assert chosen.confirmed_samples == len(samples)
    priced = chosen.at(case.timestamp, case.block_number)
    assert [priced.truth(account) for account, _ in samples] == [truth for _, truth in samples]


@every_adapter
def test_rules_that_do_not_fit_leave_every_account_unknown(adapter: Adapter) -> None:
    case, state = case_of(adapter), unconfirmed_state(adapter)
    account = case.accounts[-1]
    failed = choose_rules(state, [(account, (1, 2, 3))], case.timestamp, case.block_number)
    assert failed.confirmed_samples is None
    for other in case.accounts:
        assessment = failed.at(case.timestamp, case.block_number).assess(other)
        assert (
            assessment.status is failed.at(case.timestamp, case.block_number).health(other).status is RiskStatus.UNKNOWN
        )
        assert [reason.code for reason in assessment.reasons] == ["rules_unconfirmed"]


@every_adapter
def test_rules_without_samples_are_used_and_said_to_be_unchecked(adapter: Adapter) -> None:
    case, state = case_of(adapter), unconfirmed_state(adapter)
    unchecked = choose_rules(state, [], case.timestamp, case.block_number)
    assert unchecked.confirmed_samples == 0
    for account in case.accounts:
        assert unchecked.at(case.timestamp, case.block_number).health(account) == state.at(
            case.timestamp, case.block_number
        ).health(account)
    codes = {reason.code for reason in unchecked.at(case.timestamp, case.block_number).assess(case.accounts[0]).reasons}
    assert "rules_unchecked" in codes


@every_adapter
def test_candidates_are_different_rules_for_the_same_state(adapter: Adapter) -> None:
    state = unconfirmed_state(adapter)
    candidates = state.candidates()
    assert candidates[0] == state
    assert all(candidate.markets() == state.markets() for candidate in candidates)
    assert all(a != b for number, a in enumerate(candidates) for b in candidates[:number])


@every_adapter
def test_a_market_nobody_lists_any_more_makes_its_holder_unknown(adapter: Adapter) -> None:
    case, state = case_of(adapter), state_of(adapter)
    holder = next(account for account in case.accounts if len(account.positions) > 1)
    first, *others = holder.positions
    moved = replace(holder, positions=(replace(first, market="0xgone"), *others))
    priced = state.at(case.timestamp, case.block_number)
    assert priced.assess(moved).status is priced.health(moved).status is RiskStatus.UNKNOWN


@every_adapter
def test_legs_and_factors_come_to_the_same_health(adapter: Adapter) -> None:
    """Up to what integers truncate, which is next to nothing of accounts that are worth millions of units."""
    case, state = case_of(adapter), state_of(adapter)
    priced = state.at(case.timestamp, case.block_number)
    values = {CONSTANT: 1.0, **{factor.name: factor.value for factor in priced.factors()}}
    compared = 0
    for account in case.accounts:
        health, legs = priced.health(account), priced.legs(account)
        if health.status is RiskStatus.UNKNOWN:
            assert legs is None or any(values[leg.factor] is None for leg in legs)
            continue
        assert legs is not None
        capacity = requirement = collateral = 0.0
        for leg in legs:
            value = values[leg.factor]
            assert value is not None
            capacity += leg.capacity * value
            requirement += leg.requirement * value
            collateral += leg.collateral * value
        if health.health_factor_wad is None:
            assert requirement == pytest.approx(0, abs=1e-6)
            continue
        values_counted = (health.collateral_value, health.debt_value if adapter.kind is ProtocolKind.LENDING else None)
        if any(value is not None and abs(value) < LARGE for value in values_counted):
            continue
        if priced.truncates_threshold:
            capacity = collateral * math.floor(capacity / collateral * 10_000 + 1e-7) / 10_000
        assert capacity / requirement == pytest.approx(health.health_factor_wad / WAD, rel=1e-6)
        compared += 1
    assert compared


@every_adapter
def test_legs_hold_as_long_as_their_basis_does(adapter: Adapter) -> None:
    case, state = case_of(adapter), state_of(adapter)
    now, later = state.at(case.timestamp, case.block_number), state.at(case.timestamp + 3600, case.block_number + 300)
    assert now.legs_basis() == later.legs_basis()
    assert now.legs_basis() is not None
    assert [now.legs(account) for account in case.accounts] == [later.legs(account) for account in case.accounts]
