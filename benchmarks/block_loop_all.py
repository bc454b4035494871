"""Bar 1 with every protocol on one chain: the exact health of every account at a new block, against re-reading it.

Ours: the block's header, the logs of all deployments in one request, one set of multicall rounds for all markets and
for the makers of the perp market (who change by themselves), then the adapters' exact integers for every account. The
other side: multicall.py, asking each contract for each account: getUserAccountData, getAccountLiquidity, Morpho's
position (it has no view of health), getAccountValue. Outside the timing, every account is
compared with what the contracts say.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import multicall.constants
from multicall import Call, Multicall
from web3 import Web3

from app.chain.reader import ChainReader, Header
from app.chain.rpc import Rpc
from app.domain.account import AccountKey, AccountSnapshot, AccountState
from app.domain.chain import ReadPlan
from app.domain.market import Deployment
from app.domain.risk import Health
from app.domain.specs import MULTICALL3, chain_spec
from app.indexer.block.touches import merged_filter
from app.protocols.base import DeploymentState
from app.protocols.registry import adapter_for
from app.settings import load_settings
from benchmarks.harness import ROUNDS, Figure, interleave, median_ratio, report, spread
from devnet.morpho_blue import MorphoLife
from devnet.world import World

WALLETS = 1_000
PROTOCOLS = ("venus", "morpho-blue", "perp-curie")
CALLS_PER_REQUEST = 500
MAKERS = 4
"""Kept of the devnet's, which has a maker for every six traders: reading one takes the node 3 ms, and of real traders
one in hundreds makes a market. Four are one in two hundred of the traders of `WALLETS`."""
VIEWS = {
    "aave-v3": ("getUserAccountData(address)(uint256,uint256,uint256,uint256,uint256,uint256)",),
    "compound-v2": ("getAccountLiquidity(address)(uint256,uint256,uint256)",),
    "morpho-blue": ("position(bytes32,address)(uint256,uint128,uint128)",),
    "perp-curie": ("getAccountValue(address)(int256)",),
}


@dataclass(slots=True)
class Tracker:
    """What following holds in memory, cut down to what pricing a block needs."""

    reader: ChainReader
    states: dict[str, DeploymentState]
    accounts: dict[str, list[AccountSnapshot]]
    health: list[Health] = field(default_factory=list)

    async def price_block(self) -> int:
        """Everything that happens when a block arrives in which no account acted."""
        header = await self.reader.fetch_header("latest")
        assert header is not None
        await self.reader.fetch_block_logs(header, merged_filter(self.states.values()))
        plans: list[ReadPlan[DeploymentState | AccountState]] = [
            state.read_next(full=False) for state in self.states.values()
        ]
        places = [
            (name, place)
            for name, accounts in self.accounts.items()
            if self.states[name].accounts_move
            for place, account in enumerate(accounts)
            if self.states[name].moves_by_itself(account)
        ]
        for name, place in places:
            key = self.accounts[name][place].key
            plans.append(self.states[name].read_account(key, header.block.number, frozenset()))
        values = await self.reader.read_all(plans, header.block)
        for state in values[: len(self.states)]:
            assert isinstance(state, DeploymentState)
            self.states[state.deployment.id] = state
        for (name, place), account in zip(places, values[len(self.states) :], strict=True):
            assert isinstance(account, AccountSnapshot)
            self.accounts[name][place] = account
        self.health = [health for name in self.states for health in self._healths(name, header)]
        return len(self.health)

    def _healths(self, name: str, header: Header) -> list[Health]:
        health = self.states[name].at(header.block.timestamp, header.block.number).health
        return [health(account) for account in self.accounts[name]]


async def load(reader: ChainReader, world: World) -> Tracker:
    """Read every deployment and every account once, as following would."""
    header = await reader.fetch_header("latest")
    assert header is not None
    tracker = Tracker(reader, {}, {})
    for deployment in _deployments(world):
        state = await reader.read(adapter_for(deployment.protocol).read_state(deployment), header.block)
        keys = _keys(world, deployment)
        state = await reader.read(state.expecting(keys).read_next(full=True), header.block)
        codes = frozenset(market.code for market in state.markets())
        plans = [state.read_account(key, header.block.number, codes) for key in keys]
        found = [one for one in await reader.read_all(plans, header.block) if isinstance(one, AccountSnapshot)]
        tracker.states[deployment.id] = state
        held = [one for one in found if one.positions or one.perps]
        makers = [one for one in held if state.accounts_move and state.moves_by_itself(one)]
        left_out = {one.key for one in makers[MAKERS:]}
        tracker.accounts[deployment.id] = [one for one in held if one.key not in left_out]
    return tracker


async def require_equal(tracker: Tracker) -> int:
    """How many accounts equal their contract's own view now; all of them, or this fails."""
    header = await tracker.reader.fetch_header("latest")
    assert header is not None
    await tracker.price_block()
    compared = 0
    for name, state in tracker.states.items():
        accounts = tracker.accounts[name]
        priced = state.at(header.block.timestamp, header.block.number)
        truths = await tracker.reader.read_all([state.read_truth(one.key) for one in accounts], header.block)
        for account, truth in zip(accounts, truths, strict=True):
            assert truth is not None
            assert priced.truth(account) == truth, account.key
        compared += len(accounts)
    return compared


def reread(web3: Web3, tracker: Tracker, block_number: int) -> int:
    """multicall.py as one uses it: chunks in turn, pinned to the block."""
    calls: list[Call] = []
    for name, state in tracker.states.items():
        target = Web3.to_checksum_address(str(state.deployment.address))
        for signature in VIEWS[state.deployment.protocol]:
            for account in tracker.accounts[name]:
                arguments = [bytes.fromhex(account.key.unit[2:])] if account.key.unit else []
                outputs = signature.rpartition("(")[2].count(",") + 1
                returns: Any = [(f"{len(calls)}/{place}", None) for place in range(outputs)]
                calls.append(Call(target, [signature, *arguments, str(account.key.wallet)], returns))
    answers = 0
    for start in range(0, len(calls), CALLS_PER_REQUEST):
        chunk = calls[start : start + CALLS_PER_REQUEST]
        found = Multicall(chunk, block_id=block_number, require_success=False, gas_limit=2_500_000_000, _w3=web3)()
        answers += len(found)
    assert answers >= len(calls)
    return len(calls)


def run(wallets: int = WALLETS, rounds: int = ROUNDS) -> list[Figure]:
    """Bar 1a."""
    multicall.constants.MULTICALL3_ADDRESSES[31337] = Web3.to_checksum_address(str(MULTICALL3))
    with World(seed=3, wallets=wallets, protocols=PROTOCOLS) as world, asyncio.Runner() as runner:
        reader = ChainReader(Rpc(world.rpc_url), chain_spec(world.chain_id))
        blocking = Web3(Web3.HTTPProvider(world.rpc_url))
        try:
            tracker = runner.run(load(reader, world))
            compared = 0

            def next_block() -> None:
                nonlocal compared
                compared += runner.run(require_equal(tracker))
                world.mine(1, 12)

            contestants = {
                "ours": lambda: runner.run(tracker.price_block()),
                "multicall.py": lambda: reread(blocking, tracker, world.block_number),
            }
            samples = interleave(contestants, rounds, before_round=next_block)
            next_block()
        finally:
            runner.run(reader.aclose())
    wall = {name: [sample.wall_seconds for sample in found] for name, found in samples.items()}
    milliseconds = {name: [seconds * 1000 for seconds in found] for name, found in wall.items()}
    counts = ", ".join(f"{len(accounts):,} {name}" for name, accounts in tracker.accounts.items())
    detail = (
        f"ours {spread(milliseconds['ours'], 'ms')}, multicall.py {spread(milliseconds['multicall.py'], 'ms')}; "
        f"{counts}; {compared:,} accounts compared with the contracts, 0 differ"
    )
    total = sum(map(len, tracker.accounts.values()))
    what = f"{total:,} accounts of every protocol at a new block, all exact: multicall.py re-reading / ours"
    return [Figure("1a", what, median_ratio(wall["multicall.py"], wall["ours"]), 30, detail=detail)]


def _deployments(world: World) -> Sequence[Deployment]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "deployments.json"
        world.write_deployments_file(path)
        return load_settings({"DEPLOYMENTS_FILE": str(path)}).extra_deployments


def _keys(world: World, deployment: Deployment) -> list[AccountKey]:
    if deployment.protocol != "morpho-blue":
        return [AccountKey(deployment.id, wallet) for wallet in world.wallets]
    life = world.neighbours["morpho-blue"]
    assert isinstance(life, MorphoLife)
    return [AccountKey(deployment.id, wallet, f"0x{market.id.hex()}") for market, wallet in life.accounts]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wallets", type=int, default=WALLETS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    report(run(given.wallets, given.rounds))
