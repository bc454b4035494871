"""The adapter against the real contract: what it says, what it would do, and what it does."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.domain.account import AccountKey, AccountSnapshot
from app.domain.chain import Address, ContractCall, Returned
from app.domain.risk import RiskStatus
from app.domain.units import WAD
from app.protocols.base import AccountTouched, ConfigurationTouched
from app.protocols.calibration import choose_rules
from app.protocols.morpho_blue import ADAPTER
from app.protocols.morpho_blue.accrual import accrued
from app.protocols.morpho_blue.state import MorphoState
from devnet.assets import ADMIN, LIQUIDATOR, TREASURY
from devnet.codec import call_data
from devnet.morpho_blue import PARAMS
from devnet.world import World
from tests.fixtures.devnet import WorldFactory
from tests.protocols.aave_v3.devnet_states import drive_all
from tests.protocols.morpho_blue.devnet_states import (
    action,
    contract_market,
    deployment_of,
    followed_state,
    keys_of,
    lens_of,
    life_of,
    logs_of,
    next_state,
    pin,
    read_accounts,
    read_truths,
)

pytestmark = pytest.mark.devnet

PAYER = Address(b"\x77" * 20)


@pytest.fixture(scope="module")
def module_world(make_world: WorldFactory) -> World:
    return make_world(wallets=40, protocols=("morpho-blue",))


@pytest.fixture
def world(module_world: World) -> Iterator[World]:
    snapshot = module_world.snapshot()
    yield module_world
    module_world.revert(snapshot)


def test_block_after_block_every_number_equals_the_contracts(world: World) -> None:
    """A state that knows no market at first follows the logs alone, as the indexer does."""
    (start,) = drive_all(world, [ADAPTER.read_state(deployment_of(world))])
    assert isinstance(start, MorphoState)
    state, known, verdicts = start.confirmed(samples=1, matches=1), dict[AccountKey, AccountSnapshot](), set[bool]()
    first = next_state(world, state.expecting(keys_of(world)), full=False)
    known.update((account.key, account) for account in read_accounts(world, first, keys_of(world)))
    state, lens = first, lens_of(world)
    for block in range(25):
        if block in (8, 16):
            prices = world.prices()
            world.set_price("WETH", prices["WETH"] * 985 // 1000)
            state = _follow(world, state, known)
        world.step(jumps=block % 5 == 0)
        state = _follow(world, state, known)
        priced = state.at(world.timestamp, world.block_number)
        keys = keys_of(world)
        read = read_accounts(world, state, keys)
        for account, truth in zip(read, read_truths(world, state, keys), strict=True):
            before = known.get(account.key)
            assert before is not None, "an account nobody's log named"
            assert before.positions == account.positions, "changed without a log that says so"
            assert truth is not None
            assert priced.truth(account) == truth
            health, risk = priced.health(account), priced.assess(account)
            assert (health.status is RiskStatus.LIQUIDATABLE) == (truth[3] == 0)
            assert (health.health_factor_wad is not None and health.health_factor_wad < WAD) == (truth[3] == 0)
            verdicts.add(bool(truth[3]))
            market = contract_market(world, state, account.key.unit)
            supplied, borrowed = lens.balances(market, account.key.wallet)
            assert health.debt_value == borrowed
            if account.key.wallet != TREASURY:  # the library leaves out fees not yet given to their recipient
                assert sum(p.supplied_assets for p in risk.positions if not p.is_collateral) == supplied
        for market in life_of(world).deployed.markets:
            terms = priced.terms("0x" + market.id.hex())  # type: ignore[attr-defined]
            totals = terms.totals
            shown = (totals.supply_assets, totals.supply_shares, totals.borrow_assets, totals.borrow_shares)
            assert shown == lens.totals(market)
    assert verdicts == {True, False}
    assert any(key.wallet == TREASURY for key in known), "fees were given and found"


def _follow(world: World, before: MorphoState, known: dict[AccountKey, AccountSnapshot]) -> MorphoState:
    """The state after the newest block, and the accounts its logs touched."""
    touches = [touch for log in logs_of(world) for touch in before.touched(log)]
    assert ConfigurationTouched() not in touches
    keys = sorted({touch.key for touch in touches if isinstance(touch, AccountTouched)})
    state = next_state(world, before.expecting(keys), full=False)
    known.update((account.key, account) for account in read_accounts(world, state, keys))
    return state


def test_markets_are_learned_from_the_accounts_to_be_read_and_no_others(world: World) -> None:
    (state,) = drive_all(world, [ADAPTER.read_state(deployment_of(world))])
    assert state.markets() == ()
    key = next(key for key in keys_of(world) if key.wallet in world.wallets)
    nobody = AccountKey(key.deployment_id, key.wallet, "0x" + "ab" * 32)
    after = next_state(world, state.expecting([key, nobody]), full=False)
    assert list(after.raw.markets) == [key.unit]
    found = contract_market(world, after, key.unit)
    market = after.raw.markets[key.unit]
    assert (market.params.loan_token, market.loan.symbol, market.loan.decimals) == (
        found.loan.address,
        found.loan.symbol,
        found.loan.decimals,
    )
    assert after.expecting([key]) is after
    assert next_state(world, after, full=True) == after


def test_the_rules_are_confirmed_by_the_contract(world: World) -> None:
    state = followed_state(world)
    keys = keys_of(world)
    pairs = zip(read_accounts(world, state, keys), read_truths(world, state, keys), strict=True)
    samples = [(account, truth) for account, truth in pairs if truth is not None]
    chosen = choose_rules(state, samples, world.timestamp, world.block_number)
    assert chosen.confirmed_samples == len(keys)


def test_accrued_totals_are_what_the_contract_stores_when_it_accrues(world: World) -> None:
    later = world.timestamp + 40 * 24 * 3600
    world.chain.mine(later)
    state = followed_state(world)
    for market in life_of(world).deployed.markets:
        data = call_data(f"accrueInterest({PARAMS})", market.params)
        world.chain.send(PAYER, life_of(world).deployed.address, data, gas=1_000_000)
    world.chain.mine(later)
    grown = 0
    for market in life_of(world).deployed.markets:
        totals = accrued(state.raw.markets["0x" + market.id.hex()], later)
        assert totals is not None
        assert replace(totals, updated_at=later).values() == lens_of(world).stored(market)
        grown += totals != state.raw.markets["0x" + market.id.hex()].totals
    assert grown == 4  # all but the one without interest


def test_moving_the_oracle_to_a_liquidation_price_turns_the_contracts_verdict(world: World) -> None:
    rng = random.Random(5)
    state = followed_state(world)
    priced, checked = state.at(world.timestamp, world.block_number), 0
    for account in read_accounts(world, state, keys_of(world)):
        market = state.raw.markets[account.key.unit]
        for position in priced.assess(account).positions:
            found = position.liquidation_price
            if found is None or market.price is None:
                continue
            checked += 1
            low, high = sorted((found.price, market.price))
            for tried in (found.price, found.price + 1, found.price - 1, rng.randint(low, high)):
                pin(world, market, tried)
                (truth,) = read_truths(world, state, [account.key])
                assert truth is not None
                assert truth[3] == int(tried > found.price)
                assert priced.with_price(found.market, tried).truth(account) == truth
            pin(world, market, 0)
    assert checked > 20


def test_the_contract_lends_as_much_as_is_said_to_be_available_and_no_unit_more(world: World) -> None:
    for market in life_of(world).deployed.markets:
        call = action(world, market, "supplyCollateral", "uint256,address,bytes", 10**8 + 7, LIQUIDATOR, b"")
        world.chain.send(LIQUIDATOR, call.target, call.data, gas=1_000_000)
    world.chain.mine()
    state = followed_state(world)
    first = [AccountKey(state.deployment.id, LIQUIDATOR, unit) for unit in state.raw.markets]
    priced, checked = state.at(world.timestamp, world.block_number), Counter[RiskStatus]()
    for account in read_accounts(world, state, [*keys_of(world), *first]):
        room = priced.assess(account).available_borrows_value
        status = priced.health(account).status
        if status not in (RiskStatus.HEALTHY, RiskStatus.NO_DEBT) or not room:
            continue
        checked[status] += 1
        wallet, market = account.key.wallet, contract_market(world, state, account.key.unit)
        types = "uint256,uint256,address,address"
        for amount, lends in ((room, True), (room + 1, False)):
            call = action(world, market, "borrow", types, amount, 0, wallet, wallet)
            assert isinstance(world.chain.try_call(call, wallet), Returned) is lends
    assert checked[RiskStatus.HEALTHY] > 10
    assert checked[RiskStatus.NO_DEBT] > 1


@pytest.mark.parametrize("less", [0, 1])
def test_a_remedy_carried_out_reaches_the_target_and_one_unit_less_does_not(world: World, less: int) -> None:
    state = followed_state(world)
    life = life_of(world)
    for token in {token.address for m in life.deployed.markets for token in (m.loan, m.collateral)}:
        for data in (
            call_data("mint(address,uint256)", PAYER, 10**40),
            call_data("approve(address,uint256)", life.deployed.address, 2**255),
        ):
            world.chain.send(PAYER, token, data, gas=1_000_000)
    world.chain.mine()
    state = next_state(world, state, full=False)
    priced, reached = state.at(world.timestamp, world.block_number), 0
    for number, account in enumerate(read_accounts(world, state, keys_of(world))):
        factor = priced.health(account).health_factor_wad
        if factor is None:
            continue
        target = factor * (101, 120, 300)[number % 3] // 100 + 1
        offered = priced.restoration(account, target)
        market, wallet = contract_market(world, state, account.key.unit), account.key.wallet
        if number % 2:
            amount = offered.repay[0].assets - less
            call = action(world, market, "repay", "uint256,uint256,address,bytes", amount, 0, wallet, b"")
        else:
            amount = offered.add_collateral[0].assets - less
            call = action(world, market, "supplyCollateral", "uint256,address,bytes", amount, wallet, b"")
        after = _factor_after(world, state, account.key, call)
        assert (after is None or after >= target) == (not less)
        reached += 1
    assert reached > 20


def _factor_after(world: World, state: MorphoState, key: AccountKey, call: ContractCall) -> int | None:
    """The health factor after one action of PAYER at the very time of the newest block."""
    snapshot = world.snapshot()
    world.chain.send(PAYER, call.target, call.data, gas=1_000_000)
    world.chain.mine(world.timestamp)
    after = next_state(world, state, full=False)
    (account,) = read_accounts(world, after, [key])
    factor = after.at(world.timestamp, world.block_number).health(account).health_factor_wad
    world.revert(snapshot)
    return factor


def test_a_broken_feed_makes_unknown_exactly_whom_the_contract_cannot_judge(world: World) -> None:
    world.break_feed("WETH")
    state = followed_state(world)
    priced = state.at(world.timestamp, world.block_number)
    keys = keys_of(world)
    seen = set()
    for account, truth in zip(read_accounts(world, state, keys), read_truths(world, state, keys), strict=True):
        unknown = priced.health(account).status is RiskStatus.UNKNOWN
        seen.add(unknown)
        assert unknown == (truth is None)
        assert priced.truth(account) == truth
        assert (priced.assess(account).status is RiskStatus.UNKNOWN) == unknown
    assert seen == {True, False}


def test_another_fee_recipient_is_configuration(world: World) -> None:
    state = followed_state(world)
    assert state.raw.fee_recipient == TREASURY
    contract = life_of(world).deployed.address
    world.execute(ADMIN, ContractCall(contract, call_data("setFeeRecipient(address)", PAYER)))
    assert [touch for log in logs_of(world) for touch in state.touched(log)] == [ConfigurationTouched()]
    assert next_state(world, state, full=True).raw.fee_recipient == PAYER
