"""The adapter against the real contracts of Aave 3.0 and 3.6: what they say, and what they do."""

from __future__ import annotations

import random

import pytest

from app.domain.account import AccountSnapshot
from app.domain.chain import Address, Hash32, Log
from app.domain.risk import Direction, RiskStatus
from app.domain.units import WAD
from app.protocols.aave_v3.accrual import Accrued
from app.protocols.aave_v3.rules import V3_0, V3_6
from app.protocols.aave_v3.state import AaveState
from app.protocols.base import AccountTouched, ConfigurationTouched
from devnet import pool
from devnet.world import World
from tests.protocols.aave_v3.devnet_states import calibrated_state, deployments, drive_all, next_state, read_accounts
from tests.protocols.aave_v3.test_events import make_log

pytestmark = pytest.mark.devnet

ANSWER_SLOT = "0x2"
"""Storage slot of the devnet feed's answer: a price set there moves no block and accrues no interest."""
PAYER = Address(b"\x77" * 20)


def states_of(world: World) -> list[AaveState]:
    return [calibrated_state(world, deployment) for deployment in deployments(world)]


def test_the_rules_are_found_out_from_the_contracts(world: World) -> None:
    for _ in range(3):
        world.step()
    states = states_of(world)
    assert [state.rules for state in states] == [V3_0, V3_6]
    assert [state.confirmed_samples for state in states] == [len(world.wallets)] * 2


def test_block_after_block_every_number_equals_the_contracts(world: World) -> None:
    states = states_of(world)
    known: list[dict[Address, AccountSnapshot]] = [{}, {}]
    for block in range(10):
        world.step()
        logs = _logs(world)
        for number, before in enumerate(states):
            touches = [touch for log in logs for touch in before.touched(log)]
            reconfigured = any(not isinstance(touch, AccountTouched) for touch in touches)
            assert not reconfigured or ConfigurationTouched() in touches
            state = states[number] = next_state(world, before, full=reconfigured)
            touched = {touch.key.wallet for touch in touches if isinstance(touch, AccountTouched)}
            priced = state.at(world.timestamp, world.block_number)
            for account, truth in read_accounts(world, state):
                wallet = account.key.wallet
                if block and wallet not in touched:
                    assert _unmoved(known[number][wallet], account), "changed without a log that says so"
                known[number][wallet] = account
                assert truth is not None
                assert priced.truth(account) == truth
                health = priced.health(account)
                assert (health.collateral_value, health.debt_value) == truth[:2]
                assert health.health_factor_wad == (truth[5] if truth[1] else None)
                assert (health.status is RiskStatus.LIQUIDATABLE) == (truth[5] < WAD)


def test_projected_indices_equal_the_contracts_to_the_last_unit(world: World) -> None:
    """Balances of a usual size hide a last unit of an index; so the indices themselves are held against the Pool."""
    for _ in range(3):
        world.step()
    states = states_of(world)
    compared = 0
    for seconds in (1, 12, 3_601, 86_400 * 37 + 11):
        world.time_jump(seconds)
        for state in states:
            accrued = Accrued(state.raw, state.rules, world.timestamp)
            for reserve in world.reserves(state.deployment.id):
                said = [
                    int.from_bytes(world.chain.call(state.deployment.address, signature, reserve.asset), "big")
                    for signature in (
                        "getReserveNormalizedIncome(address)",
                        "getReserveNormalizedVariableDebt(address)",
                    )
                ]
                assert accrued.indices(str(reserve.asset)) == tuple(said), (state.deployment.id, reserve, seconds)
                compared += 1
    assert compared >= 40


def _logs(world: World) -> list[Log]:
    """Every log of the newest block."""
    number = hex(world.block_number)
    rows = world.chain.client.call("eth_getLogs", {"fromBlock": number, "toBlock": number})
    assert isinstance(rows, list)
    logs = []
    for row in rows:
        assert isinstance(row, dict)
        topics = row["topics"]
        assert isinstance(topics, list)
        words = [Hash32.from_hex(str(topic)) for topic in topics]
        logs.append(make_log(Address.from_hex(str(row["address"])), *words, data=bytes.fromhex(str(row["data"])[2:])))
    return logs


def _unmoved(before: AccountSnapshot, after: AccountSnapshot) -> bool:
    return (before.positions, before.params) == (after.positions, after.params)


def test_moving_the_real_feed_to_a_liquidation_price_turns_the_contracts_verdict(world: World) -> None:
    rng = random.Random(5)
    world.step()
    checked = 0
    for state in states_of(world):
        priced = state.at(world.timestamp, world.block_number)
        symbols = {market.code: market.symbol for market in state.markets()}
        for account, _ in rng.sample(read_accounts(world, state), 25):
            liquidatable = priced.health(account).status is RiskStatus.LIQUIDATABLE
            for position in priced.assess(account).positions:
                found, price = position.liquidation_price, position.price
                if found is None or price is None:
                    continue
                checked += 1
                safe = found.price + (1 if found.direction is Direction.FALL else -1)
                turned, unturned = (safe, found.price) if liquidatable else (found.price, safe)
                between = [rng.randint(min(price, unturned), max(price, unturned)) for _ in range(2)]
                for tried in (found.price, safe, *between):
                    truth = _truth_at(world, state, account, symbols[position.market], tried)
                    assert (truth[5] < WAD) == (liquidatable != (tried == turned))
                    assert priced.with_price(position.market, tried).truth(account) == truth
                _truth_at(world, state, account, symbols[position.market], price)
    assert checked > 30


def _truth_at(world: World, state: AaveState, account: AccountSnapshot, symbol: str, price: int) -> tuple[int, ...]:
    feed = str(world.tokens[symbol].feed)
    world.chain.client.call("anvil_setStorageAt", feed, ANSWER_SLOT, "0x" + price.to_bytes(32, "big").hex())
    (truth,) = drive_all(world, [state.read_truth(account.key)])
    assert truth is not None
    return truth


@pytest.mark.parametrize("less", [0, 1])
def test_a_remedy_carried_out_at_the_pool_reaches_the_target_and_one_unit_less_does_not(
    world: World, less: int
) -> None:
    for state in states_of(world):
        deployed = world.deployed(state.deployment.id)
        symbols = {market.code: market.symbol for market in state.markets()}
        for symbol in deployed.reserves:
            for call in (pool.mint(deployed, symbol, PAYER, 10**40), pool.approve(deployed, symbol)):
                world.chain.send(PAYER, call.target, call.data, gas=1_000_000)
        world.chain.mine()
        later = world.timestamp + world.chain.block_seconds
        priced = state.at(later, world.block_number)
        sent: list[tuple[AccountSnapshot, int]] = []
        for number, (account, _) in enumerate(read_accounts(world, state)):
            factor = priced.health(account).health_factor_wad
            if factor is None:
                continue
            target = factor * (101, 120, 200)[number % 3] // 100 + 1
            offered = priced.restoration(account, target)
            remedies = offered.repay if number % 2 else offered.add_collateral
            for remedy in remedies[:1]:
                amount = remedy.assets - less
                act = pool.repay if number % 2 else pool.supply
                call = act(deployed, symbols[remedy.market], amount, account.key.wallet)
                world.chain.send(PAYER, call.target, call.data, gas=3_000_000, must_succeed=False)
                sent.append((account, target))
        outcomes = world.chain.mine(later).outcomes
        truths = drive_all(world, [state.read_truth(account.key) for account, _ in sent])
        reached = {True: 0, False: 0}
        for (_, target), truth, (_, succeeded) in zip(sent, truths, outcomes, strict=True):
            if succeeded:
                assert truth is not None
                reached[truth[5] >= target] += 1
        assert reached[bool(less)] == 0
        assert reached[not less] > 8


def test_a_broken_feed_makes_unknown_exactly_whom_the_contract_cannot_value(world: World) -> None:
    world.break_feed("WETH")
    for deployment in deployments(world):
        state = calibrated_state(world, deployment)
        priced = state.at(world.timestamp, world.block_number)
        seen = set()
        for account, truth in read_accounts(world, state):
            unknown = priced.health(account).status is RiskStatus.UNKNOWN
            seen.add(unknown)
            assert unknown == (truth is None)
            assert priced.truth(account) == truth
            assert (priced.assess(account).status is RiskStatus.UNKNOWN) == unknown
        assert seen == {True, False}
