"""The adapter against the real contracts: what it says, what it would do, and what it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.domain.account import AccountKey, AccountSnapshot, Unreadable
from app.domain.chain import Address, ContractCall
from app.domain.risk import Direction, RiskStatus
from app.domain.units import WAD
from app.protocols.base import ConfigurationTouched
from app.protocols.calibration import choose_rules
from app.protocols.perp_curie import ADAPTER
from app.protocols.perp_curie.raw import Status
from app.protocols.perp_curie.state import CurieState
from devnet import curie_calls
from devnet.assets import ADMIN, LIQUIDATOR
from devnet.codec import call_data
from devnet.world import World
from tests.fixtures.devnet import WorldFactory
from tests.protocols.aave_v3.devnet_states import drive_all
from tests.protocols.morpho_blue.devnet_states import logs_of
from tests.protocols.perp_curie.devnet_states import (
    deployment_of,
    follow,
    followed_state,
    keys_of,
    life_of,
    next_state,
    read_accounts,
)

pytestmark = pytest.mark.devnet

FEED_UNIT = 10**10
"""The devnet's feeds, which decide the mark, have 8 decimals."""
REVERTING = "0x60006000fd"
"""Code that reverts whatever it is asked."""


@pytest.fixture(scope="module")
def module_world(make_world: WorldFactory) -> World:
    return make_world(wallets=39, protocols=("perp-curie",))


@pytest.fixture
def world(module_world: World) -> Iterator[World]:
    snapshot = module_world.snapshot()
    yield module_world
    module_world.revert(snapshot)


def all_equal(world: World, state: CurieState, accounts: list[AccountSnapshot]) -> Counter[RiskStatus]:
    """Every number of every account is the contracts'; how many are in which status."""
    priced = state.at(world.timestamp, world.block_number)
    truths = drive_all(world, [state.read_truth(account.key) for account in accounts])
    views = life_of(world).accounts([account.key.wallet for account in accounts])
    markets = life_of(world).curie.markets
    seen = Counter[RiskStatus]()
    for account, truth, view in zip(accounts, truths, views, strict=True):
        assert view is not None
        assert truth is not None
        assert priced.truth(account) == truth
        risk, health = priced.assess(account), priced.health(account)
        assert risk.margin is not None
        assert (risk.margin.equity_value, risk.margin.requirement_value) == (view.account_value, view.requirement)
        assert risk.margin.unrealized_pnl_value == view.unrealized_pnl
        assert sum(one.pending_fee_value for one in risk.perps) == view.pending_fee
        in_open = all(state.raw.markets[perp.market].status is Status.OPEN for perp in account.perps)
        assert not in_open or bool(account.params[1]) == view.has_orders  # the view passes other markets over
        perps = {one.market: one for one in risk.perps}
        for name, position in view.positions.items():
            one = perps[str(markets[name].base)]
            assert one.pending_funding_value == position.pending_funding
            assert one.size_raw == position.size or abs(one.size_raw) < 10
        assert health.status is risk.status
        assert (health.status is RiskStatus.LIQUIDATABLE) == (view.requirement > 0 and view.is_below_requirement)
        seen[risk.status] += 1
    return seen


def test_block_after_block_every_number_equals_the_contracts(world: World) -> None:
    """A state that knows no market at first follows the logs, and reads again what moves by itself."""
    (start,) = drive_all(world, [ADAPTER.read_state(deployment_of(world))])
    assert isinstance(start, CurieState)
    assert not start.raw.markets
    keys, known = keys_of(world), dict[AccountKey, AccountSnapshot]()
    state = next_state(world, start.expecting(keys)).confirmed(samples=1, matches=1)
    assert isinstance(state, CurieState)
    known.update((account.key, account) for account in read_accounts(world, state, keys))
    assert len(known) == len(keys)
    seen, makers, grown = Counter[RiskStatus](), 0, set[int | None]()
    for block in range(30):
        if block in (8, 16):
            prices = world.prices()
            world.set_price("WETH", prices["WETH"] * (97 if block == 8 else 105) // 100)
            state = follow(world, state, known)
        world.step(jumps=block % 5 == 0)
        state = follow(world, state, known)
        read = read_accounts(world, state, keys)
        for account in read:
            before = known[account.key]
            assert before.positions == account.positions, "changed without a log that says so"
            assert (before.perps, before.params) == (account.perps, account.params)
        seen += all_equal(world, state, [known[key] for key in keys])
        makers += sum(account.params[1] for account in read)
        grown |= {market.growth.value for market in state.raw.markets.values() if market.growth is not None}
        assert all(
            market.growth is not None and market.growth.anchor is not None for market in state.raw.markets.values()
        )
    assert seen.keys() >= {RiskStatus.NO_DEBT, RiskStatus.HEALTHY, RiskStatus.LIQUIDATABLE}
    assert makers > 100
    assert len(grown) > 40


def test_the_rules_are_confirmed_by_the_contracts(world: World) -> None:
    (state,) = drive_all(world, [ADAPTER.read_state(deployment_of(world))])
    state = next_state(world, state.expecting(keys_of(world)))
    accounts = read_accounts(world, state, keys_of(world))
    truths = drive_all(world, [state.read_truth(account.key) for account in accounts])
    samples = [(account, truth) for account, truth in zip(accounts, truths, strict=True) if truth is not None]
    chosen = choose_rules(state, samples, world.timestamp, world.block_number)
    assert chosen.confirmed_samples == len(accounts)


def test_a_fall_turns_verdicts_as_the_contracts_own_liquidations_do(world: World) -> None:
    """The verdict is held against a liquidation that is tried, orders cancelled first."""
    life = life_of(world)
    life.move_mark("vETH", life.prices("vETH").mark * 88 // 100)
    state = followed_state(world)
    accounts = read_accounts(world, state, keys_of(world)[:39])
    seen = all_equal(world, state, accounts)
    priced, tried = state.at(world.timestamp, world.block_number), Counter[str]()
    for account in accounts:
        said = life.verdict(account.key.wallet).word
        status = priced.health(account).status
        if said == "refused":
            assert status is not RiskStatus.HEALTHY or not any(perp.size_raw for perp in account.perps)
            continue
        tried[said] += 1
        assert (status is RiskStatus.LIQUIDATABLE) == (said == "liquidatable")
    assert seen[RiskStatus.LIQUIDATABLE] > 1
    assert tried["liquidatable"] > 1
    assert tried["healthy"] > 10


def test_at_a_liquidation_price_the_contracts_verdict_turns(world: World) -> None:
    """To the last unit of the feeds that decide the mark; the rest is held by the rule in integers."""
    life = life_of(world)
    market = life.curie.markets["vETH"]
    code, checked = str(market.base), Counter[Direction]()
    state = followed_state(world)
    for account in read_accounts(world, state, keys_of(world)[:39]):
        priced = state.at(world.timestamp, world.block_number)
        found = next((p.liquidation_price for p in priced.assess(account).perps if p.market == code), None)
        if account.params[1] or found is None or abs(found.distance_wad) > WAD // 4 or checked.total() >= 5:
            continue
        snapshot = world.snapshot()
        life.move_mark("vETH", found.price)
        moved = followed_state(world)
        (there,) = read_accounts(world, moved, [account.key])
        risk = moved.at(world.timestamp, world.block_number).assess(there)
        exact = next(p.liquidation_price for p in risk.perps if p.market == code)
        assert exact is not None
        for step in (-2, -1, 0, 1, 2):
            mark = life.nudge_mark("vETH", exact.price + step * FEED_UNIT)
            falls = exact.direction is Direction.FALL
            expected = mark <= exact.price if falls else mark >= exact.price
            (view,) = life.accounts([account.key.wallet])
            assert view is not None
            assert view.is_below_requirement == expected
        checked[exact.direction] += 1
        world.revert(snapshot)
    assert checked[Direction.FALL] > 1
    assert checked[Direction.RISE] > 1


@pytest.mark.parametrize("less", [0, 1])
def test_a_deposit_carried_out_reaches_the_target_and_a_unit_less_does_not(world: World, less: int) -> None:
    life, reached = life_of(world), 0
    state = followed_state(world)
    priced = state.at(world.timestamp, world.block_number)
    for account in read_accounts(world, state, keys_of(world)[:39]):
        factor = priced.health(account).health_factor_wad
        if factor is None:
            continue
        target = factor + abs(factor) // 7 + 1
        (deposit,) = priced.restoration(account, target).add_collateral
        call = curie_calls.deposit_for(
            life.curie, account.key.wallet, life.curie.settlement.address, deposit.assets - less
        )
        after = _after(world, state, account.key, LIQUIDATOR, call)
        assert (after >= target) == (not less)
        reached += 1
    assert reached > 20


def _after(world: World, state: CurieState, key: AccountKey, sender: Address, call: ContractCall) -> int:
    """The health factor after one action at the very time of the newest block."""
    snapshot = world.snapshot()
    world.chain.send(sender, call.target, call.data, gas=3_000_000)
    world.chain.mine(world.timestamp)
    after = next_state(world, state.expecting([key]))
    (account,) = read_accounts(world, after, [key])
    factor = after.at(world.timestamp, world.block_number).health(account).health_factor_wad
    world.revert(snapshot)
    assert factor is not None
    return factor


def test_while_nobody_trades_funding_is_foretold_to_the_unit(world: World) -> None:
    """Once the averages have settled, the premium stays: hours later the contracts say what was said they would."""
    world.mine(1, 3_600)
    before = followed_state(world)
    world.mine(1, 7_200)
    after = followed_state(world)
    for code, market in before.raw.markets.items():
        assert market.premium_x96
        assert market.growth_after(7_200) == after.raw.markets[code].growth.value  # type: ignore[union-attr]
    foretold = before.at(world.timestamp, world.block_number)
    takers = [a for a in read_accounts(world, before, keys_of(world)) if a.perps and not a.params[1]]
    views = life_of(world).accounts([account.key.wallet for account in takers])
    for account, view in zip(takers, views, strict=True):
        assert view is not None
        margin = foretold.assess(account).margin
        assert margin is not None
        assert margin.pending_funding_value == sum(one.pending_funding for one in view.positions.values())
    assert len(takers) > 15


def test_a_market_that_is_paused_and_one_that_is_closed_are_valued_as_the_contracts_do(world: World) -> None:
    life = life_of(world)
    base, known = life.curie.markets["vBTC"].base, dict[AccountKey, AccountSnapshot]()
    state, keys = followed_state(world), keys_of(world)
    known.update((account.key, account) for account in read_accounts(world, state, keys))
    for call, status in (("pause()", Status.PAUSED), ("close(uint256)", Status.CLOSED)):
        data = call_data(call, 61_234 * WAD) if status is Status.CLOSED else call_data(call)
        world.execute(ADMIN, ContractCall(base, data))
        assert ConfigurationTouched() in [touch for log in logs_of(world) for touch in state.touched(log)]
        state = follow(world, state, known)
        for _ in range(3):
            assert state.raw.markets[str(base)].status is status
            all_equal(world, state, [known[key] for key in keys])
            world.mine(1, 600)
            state = follow(world, state, known)
    assert state.raw.markets[str(base)].price == 61_234 * WAD
    held = next(account for account in known.values() if any(perp.market == str(base) for perp in account.perps))
    risk = state.at(world.timestamp, world.block_number).assess(held)
    assert "market_closed" in {reason.code for reason in risk.reasons}


def test_a_broken_feed_makes_unknown_exactly_whom_the_contracts_cannot_judge(world: World) -> None:
    state, keys = followed_state(world), keys_of(world)
    known = {account.key: account for account in read_accounts(world, state, keys)}
    feed = life_of(world).curie.markets["vETH"].feed
    world.chain.client.call("anvil_setCode", str(feed), REVERTING)
    world.mine(1)
    after = next_state(world, state)
    priced = after.at(world.timestamp, world.block_number)
    views = life_of(world).accounts([key.wallet for key in keys])
    read = drive_all(world, [after.read_account(key, world.block_number, frozenset()) for key in keys])
    truths = drive_all(world, [after.read_truth(key) for key in keys])
    seen = set()
    for key, view, account, truth in zip(keys, views, read, truths, strict=True):
        unknown = truth is None
        seen.add(unknown)
        assert unknown or isinstance(account, AccountSnapshot)
        stored = account if isinstance(account, AccountSnapshot) else known[key]
        assert (priced.health(stored).status is RiskStatus.UNKNOWN) == unknown
        assert priced.truth(stored) == truth
        assert view is None or not unknown
    assert any(isinstance(account, Unreadable) for account in read)
    assert seen == {True, False}


def test_a_market_whose_witnesses_have_all_left_is_found_out_and_others_tell(world: World) -> None:
    state, life = followed_state(world), life_of(world)
    base = str(life.curie.markets["vETH"].base)
    market = state.raw.markets[base]
    assert len(market.witnesses) == 4
    alone = replace(market, witnesses=(Address(b"\x99" * 20),))
    raw = replace(state.raw, markets={**state.raw.markets, base: alone})
    after = next_state(world, CurieState(state.deployment, raw, state.confirmation))
    assert after.raw.markets[base].growth is None
    assert after.may_have_changed_unseen(state, logs=())
    accounts = read_accounts(world, after, keys_of(world))
    holders = [a for a in accounts if any(perp.market == base and perp.size_raw for perp in a.perps)]
    assert all(after.may_change_unseen(account) and after.moves_by_itself(account) for account in holders)
    assert holders
    told = next_state(world, after.expecting([holders[0].key, holders[-1].key]))
    growth = told.raw.markets[base].growth
    assert growth is not None
    all_equal(world, told, read_accounts(world, told, keys_of(world)))
