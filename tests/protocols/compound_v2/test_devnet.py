"""The adapter against the real contracts of Venus: what they say block after block, and what they do."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from app.domain.account import AccountKey, AccountSnapshot
from app.domain.chain import Address, ContractCall, Hash32, Log, Returned
from app.domain.market import Deployment
from app.domain.risk import Direction, RiskStatus
from app.protocols.abi import address_word, selector
from app.protocols.base import AccountTouched, ConfigurationTouched, Truth
from app.protocols.calibration import choose_rules
from app.protocols.compound_v2 import ADAPTER
from app.protocols.compound_v2.legs import oracle_price
from app.protocols.compound_v2.raw import unpack_debt
from app.protocols.compound_v2.rules import VENUS_CORE
from app.protocols.compound_v2.state import CompoundState
from devnet.assets import LIQUIDITY_PROVIDER
from devnet.codec import call_data
from devnet.venus_life import VenusLife
from devnet.world import World
from tests.fixtures.devnet import WorldFactory
from tests.protocols.aave_v3.devnet_states import drive_all

pytestmark = pytest.mark.devnet

BORROW_CURRENT = selector("borrowBalanceCurrent(address)")
RATE_CURRENT = selector("exchangeRateCurrent()")
HARD_TIMES = {"WETH": 88, "WBTC": 90}
"""Prices fall to so many hundredths, for liquidations to happen."""


@pytest.fixture(scope="module")
def module_world(make_world: WorldFactory) -> World:
    return make_world(protocols=("venus",), seed=4)


@pytest.fixture
def world(module_world: World) -> Iterator[World]:
    snapshot = module_world.snapshot()
    yield module_world
    module_world.revert(snapshot)


def life_of(world: World) -> VenusLife:
    life = world.neighbours["venus"]
    assert isinstance(life, VenusLife)
    return life


def deployment_of(world: World) -> Deployment:
    venus = life_of(world).venus
    return Deployment(venus.id, world.chain_id, "compound-v2", venus.name, venus.comptroller, venus.start_block)


def everybody(world: World, state: CompoundState) -> list[AccountKey]:
    return [AccountKey(state.deployment.id, wallet) for wallet in world.wallets]


def read_accounts(
    world: World, state: CompoundState, known: dict[Address, AccountSnapshot] | None = None
) -> list[AccountSnapshot]:
    everything = frozenset(market.code for market in state.markets())
    before = known or {}
    keys = everybody(world, state)
    plans = [state.read_account(key, world.block_number, everything) for key in keys]
    accounts = []
    for account in drive_all(world, plans):
        assert isinstance(account, AccountSnapshot), account
        known_before = before.get(account.key.wallet)
        accounts.append(account if known_before is None else state.continued(known_before, account))
    return accounts


def truths_of(world: World, state: CompoundState) -> list[Truth | None]:
    return drive_all(world, [state.read_truth(key) for key in everybody(world, state)])


def read_state(world: World) -> CompoundState:
    (state,) = drive_all(world, [ADAPTER.read_state(deployment_of(world))])
    assert isinstance(state, CompoundState)
    return state


def calibrated(world: World, state: CompoundState) -> CompoundState:
    pairs = zip(read_accounts(world, state), truths_of(world, state), strict=True)
    samples = [(account, truth) for account, truth in pairs if truth is not None]
    chosen = choose_rules(state, samples, world.timestamp, world.block_number)
    assert isinstance(chosen, CompoundState)
    return chosen


def next_state(world: World, state: CompoundState, *, full: bool) -> CompoundState:
    (after,) = drive_all(world, [state.read_next(full=full)])
    assert isinstance(after, CompoundState)
    return after


def logs_of(world: World) -> list[Log]:
    number = hex(world.block_number)
    rows = world.chain.client.call("eth_getLogs", {"fromBlock": number, "toBlock": number})
    assert isinstance(rows, list)
    logs = []
    for row in rows:
        assert isinstance(row, dict)
        topics = row["topics"]
        assert isinstance(topics, list)
        words = tuple(Hash32.from_hex(str(topic)) for topic in topics)
        data, nowhere = bytes.fromhex(str(row["data"])[2:]), Hash32(bytes(32))
        logs.append(Log(Address.from_hex(str(row["address"])), words, data, world.block_number, nowhere, nowhere, 0))
    return logs


def test_the_rules_are_found_out_from_the_contracts(world: World) -> None:
    state = calibrated(world, read_state(world))
    assert state.rules is VENUS_CORE
    assert state.confirmed_samples == len(world.wallets)
    assert [market.symbol for market in state.markets()] == ["WETH", "WBTC", "USDC", "DAI"]
    back = ADAPTER.restore_state(state.deployment, state.markets(), state.records())
    assert back == state


def test_block_after_block_every_account_equals_the_contracts(world: World) -> None:
    rng = random.Random(9)
    state = calibrated(world, read_state(world))
    # the world was just populated: every debt dates from this very block, so its views give principal and index
    known = {account.key.wallet: account for account in read_accounts(world, state)}
    seen: set[str] = set()
    liquidations = 0
    for block in range(40):
        if block == 10:
            for symbol, hundredths in HARD_TIMES.items():
                world.set_price(symbol, world.prices()[symbol] * hundredths // 100)
        for _ in range(rng.choice((1, 1, 3)) if block else 1):
            step = world.step()
            touched = {t for log in logs_of(world) for t in state.touched(log)}
            liquidations += sum("in venus" in label and "liquidate" in label for label in step.succeeded)
            assert ConfigurationTouched() not in touched
            state = next_state(world, state, full=False)
            keep = dict(known)
            wallets = {touch.key.wallet for touch in touched if isinstance(touch, AccountTouched)}
            for account in read_accounts(world, state, known):
                wallet = account.key.wallet
                if wallet not in wallets:
                    assert (account.positions, account.params) == (known[wallet].positions, known[wallet].params)
                keep[wallet] = account
            known = keep
        priced = state.at(world.timestamp, world.block_number)
        for account, truth in zip(known.values(), truths_of(world, state), strict=True):
            assert truth is not None
            assert priced.truth(account) == truth
            seen.add(priced.health(account).status.value)
    assert liquidations > 3
    assert seen == {"no_debt", "healthy", "liquidatable"}


def test_accrued_debts_and_deposits_are_what_the_markets_accrue(world: World) -> None:
    state = calibrated(world, read_state(world))
    known = {account.key.wallet: account for account in read_accounts(world, state)}
    checked = 0
    for _ in range(4):
        world.mine(7)
        world.step()
        state = next_state(world, state, full=False)
        known = {account.key.wallet: account for account in read_accounts(world, state, known)}
        priced = state.at(world.timestamp, world.block_number)
        for account in known.values():
            for risk, position in zip(priced.assess(account).positions, account.positions, strict=True):
                token = Address.from_hex(position.market)
                calls = [
                    ContractCall(token, BORROW_CURRENT + address_word(account.key.wallet)),
                    ContractCall(token, RATE_CURRENT),
                ]
                debt, rate = (_number(world, call) for call in calls)
                assert risk.borrowed_assets == debt
                assert risk.supplied_assets == position.supplied_raw * rate // 10**18
                checked += bool(debt)
    assert checked > 60


def _number(world: World, call: ContractCall) -> int:
    answer = world.chain.try_call(call, block_number=world.block_number)
    assert isinstance(answer, Returned)
    return int.from_bytes(answer.data)


def test_moving_the_oracle_to_a_liquidation_price_turns_the_contracts_verdict(world: World) -> None:
    rng = random.Random(5)
    for _ in range(3):
        world.step()
    state = calibrated(world, read_state(world))
    # everything is accrued first, so that the contract's stored numbers are the present ones
    everyone = [market.address for market in life_of(world).venus.markets.values()]
    world.execute(world.wallets[0], *(ContractCall(market, call_data("accrueInterest()")) for market in everyone))
    state = next_state(world, state, full=False)
    priced = state.at(world.timestamp, world.block_number)
    assets = {listing.code: listing for listing in state.raw.listings}
    checked, directions = 0, set()
    for account in read_accounts(world, state):
        for position in priced.assess(account).positions:
            found = position.liquidation_price
            if found is None:
                continue
            checked += 1
            directions.add(found.direction)
            safe = found.price + (1 if found.direction is Direction.FALL else -1)
            between = rng.randint(min(found.price, safe) // 2, max(found.price, safe) * 2)
            listing = assets[position.market]
            for shown in (found.price, safe, between):
                world.chain.execute(
                    world.wallets[0],
                    state.raw.roots.oracle,
                    "setDirectPrice(address,uint256)",
                    listing.asset,
                    oracle_price(shown, listing.decimals),
                )
                snapshot = world.chain.client.text("evm_snapshot")
                world.chain.mine(world.timestamp)
                (truth,) = drive_all(world, [state.read_truth(account.key)])
                world.chain.client.call("evm_revert", snapshot)
                world.chain.resync()
                assert truth is not None
                assert priced.with_price(position.market, shown).truth(account) == truth
                if shown != between:
                    assert bool(truth[1]) == (shown == found.price)
                health = priced.with_price(position.market, shown).health(account)
                assert (health.status is RiskStatus.LIQUIDATABLE) == bool(truth[1])
    assert checked > 30
    assert directions == {Direction.FALL, Direction.RISE}


def test_a_price_of_zero_makes_unknown_exactly_whom_the_contract_cannot_value(world: World) -> None:
    token = world.tokens["WBTC"].address
    oracle = life_of(world).venus.oracle
    world.execute(world.wallets[0], ContractCall(oracle, call_data("setDirectPrice(address,uint256)", token, 0)))
    state = read_state(world)
    priced = state.at(world.timestamp, world.block_number)
    seen = set()
    for account, truth in zip(read_accounts(world, state), truths_of(world, state), strict=True):
        unknown = priced.health(account).status is RiskStatus.UNKNOWN
        seen.add(unknown)
        assert unknown == (truth is None)
        assert priced.truth(account) == truth
    assert seen == {True, False}


def test_a_debt_is_read_as_the_very_pair_the_contract_stores(world: World) -> None:
    """At the block of its own event a debt's views give principal and index; later reads keep them."""
    state = calibrated(world, read_state(world))
    life = life_of(world)
    wallet = world.wallets[0]
    market = life.venus.markets["USDC"].address
    world.mine(3)
    world.execute(wallet, ContractCall(market, call_data("borrow(uint256)", 12_345_677)))
    (first,) = [a for a in read_accounts(world, state) if a.key.wallet == wallet]
    world.mine(50)
    world.execute(world.wallets[5], ContractCall(market, call_data("accrueInterest()")))
    (later,) = [a for a in read_accounts(world, state, {wallet: first}) if a.key.wallet == wallet]
    assert later.positions == first.positions
    (debt,) = [p.borrowed_raw for p in first.positions if p.market == str(market)]
    (rebased,) = [
        p.borrowed_raw
        for a in read_accounts(world, state)
        if a.key.wallet == wallet
        for p in a.positions
        if p.market == str(market)
    ]
    assert unpack_debt(debt)[1] < unpack_debt(rebased)[1]


@pytest.mark.parametrize("kind", ["repay", "add"])
def test_a_remedy_carried_out_ends_the_shortfall_and_one_unit_less_does_not(world: World, kind: str) -> None:
    for symbol, hundredths in HARD_TIMES.items():
        world.set_price(symbol, world.prices()[symbol] * hundredths // 100)
    state = calibrated(world, read_state(world))
    later = world.timestamp + 12
    priced = state.at(later, world.block_number + 1)
    everyone = [market.address for market in life_of(world).venus.markets.values()]
    checked = 0
    for account in read_accounts(world, state):
        offered = priced.restoration(account, 10**18)
        for remedy in (offered.repay if kind == "repay" else offered.add_collateral)[:1]:
            checked += 1
            act = "repayBorrowBehalf(address,uint256)" if kind == "repay" else "mintBehalf(address,uint256)"
            for less in (0, 1):
                snapshot = world.chain.client.text("evm_snapshot")
                for market in everyone:
                    world.chain.execute(LIQUIDITY_PROVIDER, market, "accrueInterest()")
                market, amount = Address.from_hex(remedy.market), remedy.assets - less
                world.chain.execute(LIQUIDITY_PROVIDER, market, act, account.key.wallet, amount)
                world.chain.mine(later)
                (truth,) = drive_all(world, [state.read_truth(account.key)])
                world.chain.client.call("evm_revert", snapshot)
                world.chain.resync()
                assert truth is not None
                assert bool(truth[1]) == bool(less)
    assert checked > 4


def test_what_makes_venus_different_is_in_the_population(world: World) -> None:
    accounts = read_accounts(world, read_state(world))
    assert any(account.params[0] for account in accounts), "an account in a pool of its own terms"
    assert any(account.params[1] for account in accounts), "minted VAI"
    assert any(p.supplied_raw and not p.is_collateral for account in accounts for p in account.positions)
    assert any(p.supplied_raw and p.borrowed_raw for account in accounts for p in account.positions)
