"""The adapter's states and accounts of the devnet, read through the devnet's own client."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.account import AccountKey, AccountSnapshot
from app.domain.chain import Address, CallResult, ReadPlan, T
from app.domain.market import Deployment
from app.protocols.aave_v3 import ADAPTER
from app.protocols.aave_v3.state import AaveState
from app.protocols.base import Truth
from app.protocols.calibration import choose_rules
from devnet.world import World


def deployments(world: World) -> list[Deployment]:
    """Both installations of the world."""
    found = []
    for row in world.deployments():
        contracts = row["contracts"]
        assert isinstance(contracts, dict)
        deployed = world.deployed(str(row["id"]))
        named = {role: Address.from_hex(str(address)) for role, address in contracts.items()}
        found.append(Deployment(str(row["id"]), world.chain_id, "aave-v3", str(row["name"]), deployed.pool, 1, named))
    return found


def drive_all(world: World, plans: Sequence[ReadPlan[T]]) -> list[T]:
    """All plans in lock-step at the newest block."""
    done: dict[int, T] = {}
    waiting: dict[int, tuple[ReadPlan[T], list[CallResult] | None]] = {n: (plan, None) for n, plan in enumerate(plans)}
    while waiting:
        asked = {}
        for number, (plan, results) in waiting.items():
            try:
                asked[number] = list(next(plan) if results is None else plan.send(results))
            except StopIteration as end:
                done[number] = end.value
        answers = world.chain.read([call for calls in asked.values() for call in calls])
        at, again = 0, {}
        for number, calls in asked.items():
            again[number] = (plans[number], answers[at : at + len(calls)])
            at += len(calls)
        waiting = again  # type: ignore[assignment]
    return [done[number] for number in range(len(plans))]


def read_accounts(world: World, state: AaveState) -> list[tuple[AccountSnapshot, Truth | None]]:
    """Every wallet's raw state in every market, and the contract's own numbers about it."""
    keys = [AccountKey(state.deployment.id, wallet) for wallet in world.wallets]
    everything = frozenset(market.code for market in state.markets())
    read = drive_all(world, [state.read_account(key, world.block_number, everything) for key in keys])
    truths = drive_all(world, [state.read_truth(key) for key in keys])
    snapshots = []
    for account in read:
        assert isinstance(account, AccountSnapshot), account
        snapshots.append(account)
    return list(zip(snapshots, truths, strict=True))


def calibrated_state(world: World, deployment: Deployment) -> AaveState:
    """The deployment's state now, with its rules found out from every wallet."""
    (state,) = drive_all(world, [ADAPTER.read_state(deployment)])
    assert isinstance(state, AaveState)
    samples = [(account, truth) for account, truth in read_accounts(world, state) if truth is not None]
    chosen = choose_rules(state, samples, world.timestamp, world.block_number)
    assert isinstance(chosen, AaveState)
    return chosen


def next_state(world: World, state: AaveState, *, full: bool) -> AaveState:
    """The state at the newest block."""
    (after,) = drive_all(world, [state.read_next(full=full)])
    assert isinstance(after, AaveState)
    return after
