"""Bar 1: the exact health factor of every account of a real Aave market at a new block, against re-reading them all.

Ours: the block's header, its logs, one multicall round for the markets (prices, indices, rates), and the adapter's
exact integers for every account; the accounts' raw state is already known, as it is while following. The other side:
multicall.py, asking the contract for every account. Outside the timing, every number is compared with the contract's.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import multicall.constants
from web3 import Web3

from app.chain.reader import ChainReader
from app.chain.rpc import Rpc
from app.domain.account import AccountKey, AccountSnapshot
from app.domain.chain import Address
from app.domain.risk import Health
from app.domain.specs import MULTICALL3, chain_spec
from app.domain.units import UINT256_MAX
from app.protocols.base import DeploymentState
from app.protocols.registry import adapter_for
from app.settings import load_settings
from benchmarks.chain_reads import AAVE, Subject
from benchmarks.chain_reads import _read_multicall as read_multicall
from benchmarks.harness import ROUNDS, Figure, interleave, median_ratio, report, spread
from devnet.world import World

ACCOUNTS = 10_000
WALLETS_PER_ACCOUNT = 1.6
"""The world's wallets are spread over two deployments; only one is measured."""


@dataclass(slots=True)
class Tracker:
    """What following holds in memory, cut down to what pricing a block needs."""

    reader: ChainReader
    state: DeploymentState
    snapshots: Sequence[AccountSnapshot]
    health: Sequence[Health] = ()

    async def price_block(self) -> int:
        """Everything that happens when a block arrives in which no account acted."""
        header = await self.reader.fetch_header("latest")
        assert header is not None
        logs = await self.reader.fetch_block_logs(header, self.state.log_filter())
        assert not any(self.state.touched(log) for log in logs)
        self.state = await self.reader.read(self.state.read_next(full=False), header.block)
        health = self.state.at(header.block.timestamp, header.block.number).health
        self.health = [health(snapshot) for snapshot in self.snapshots]
        return len(self.health)


async def load(reader: ChainReader, world: World, wallets: Sequence[Address]) -> Tracker:
    """Read the deployment and every account once, confirm the rules on the accounts, as following would."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "deployments.json"
        world.write_deployments_file(path)
        (deployment,) = (d for d in load_settings({"DEPLOYMENTS_FILE": str(path)}).extra_deployments if d.id == AAVE)
    header = await reader.fetch_header("latest")
    assert header is not None
    state = await reader.read(adapter_for(deployment.protocol).read_state(deployment), header.block)
    plans = [
        state.read_account(AccountKey(deployment.id, wallet), header.block.number, frozenset()) for wallet in wallets
    ]
    snapshots = [s for s in await reader.read_all(plans, header.block) if isinstance(s, AccountSnapshot)]
    assert len(snapshots) == len(wallets)
    return Tracker(reader, state, snapshots)


def require_equal(tracker: Tracker, world: World, wallets: Sequence[Address]) -> int:
    """How many accounts equal the contract's own answer now; all of them, or this fails."""
    truths = world.account_data(AAVE, wallets)
    for wallet, ours, truth in zip(wallets, tracker.health, truths, strict=True):
        assert truth is not None
        factor = UINT256_MAX if ours.health_factor_wad is None else ours.health_factor_wad
        assert (ours.collateral_value, ours.debt_value, factor) == (truth[0], truth[1], truth[5]), wallet
    return len(truths)


def run(accounts: int = ACCOUNTS, rounds: int = ROUNDS) -> list[Figure]:
    """Bar 1, the exact path."""
    multicall.constants.MULTICALL3_ADDRESSES[31337] = Web3.to_checksum_address(str(MULTICALL3))
    with World(seed=3, wallets=int(accounts * WALLETS_PER_ACCOUNT)) as world, asyncio.Runner() as runner:
        held = world.account_data(AAVE, world.wallets)
        wallets = [wallet for wallet, data in zip(world.wallets, held, strict=True) if data and data[0]][:accounts]
        reader = ChainReader(Rpc(world.rpc_url), chain_spec(world.chain_id))
        blocking = Web3(Web3.HTTPProvider(world.rpc_url))
        try:
            tracker = runner.run(load(reader, world, wallets))
            compared = 0

            def ours() -> int:
                return runner.run(tracker.price_block())

            def theirs() -> int:
                header = runner.run(reader.fetch_header("latest"))
                assert header is not None
                target = tracker.state.deployment.address
                return len(read_multicall(blocking, Subject("aave", world.rpc_url, target, wallets, header.block)))

            def next_block() -> None:
                nonlocal compared
                compared += require_equal(tracker, world, wallets) if tracker.health else 0
                world.mine(1, 12)

            samples = interleave({"ours": ours, "multicall.py": theirs}, rounds, before_round=next_block)
            next_block()
        finally:
            runner.run(reader.aclose())
    wall = {name: [sample.wall_seconds for sample in found] for name, found in samples.items()}
    milliseconds = {name: [seconds * 1000 for seconds in found] for name, found in wall.items()}
    detail = (
        f"ours {spread(milliseconds['ours'], 'ms')}, multicall.py {spread(milliseconds['multicall.py'], 'ms')}, "
        f"{compared:,} accounts compared with the contract, 0 differ"
    )
    what = f"{len(wallets):,} accounts at a new block, all exact: multicall.py re-reading / ours"
    return [Figure("1", what, median_ratio(wall["multicall.py"], wall["ours"]), 30, detail=detail)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    report(run(given.accounts, given.rounds))
