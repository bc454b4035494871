"""Bar 1: the health factor of every account of a real Aave market at a new block, against re-reading them all.

Ours: the block's header, its logs, one multicall round for the markets (prices, indices, rates), and then either the
adapter's exact integers for every account (bar 1), or the book's floats for every account and the exact integers for
whoever may be below the line (bar 1f); the accounts' raw state is already known, as it is while following. The other
side: multicall.py, asking the contract for every account. Outside the timing, every number is compared with the
contract's; of the floats, who is below the line.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import multicall.constants
from web3 import Web3

from app.book.kept import KeptDeployment
from app.book.population import KeptAccounts
from app.chain.reader import ChainReader, Header
from app.chain.rpc import Rpc
from app.domain.account import AccountKey, AccountSnapshot
from app.domain.chain import Address, BlockRef
from app.domain.risk import Health, RiskStatus
from app.domain.specs import MULTICALL3, chain_spec
from app.domain.units import UINT256_MAX
from app.protocols.base import DeploymentState
from app.protocols.registry import adapter_for
from app.settings import load_settings
from app.valuation.assess import state_at
from app.valuation.book import Screen
from benchmarks.chain_reads import AAVE, Subject
from benchmarks.chain_reads import _read_multicall as read_multicall
from benchmarks.harness import ROUNDS, Figure, interleave, median_ratio, report, spread
from devnet.world import World

ACCOUNTS = 10_000
WALLETS_PER_ACCOUNT = 1.6
"""The world's wallets are spread over two deployments; only one is measured."""


@dataclass
class Tracker:
    """What following holds in memory, cut down to what pricing a block needs."""

    reader: ChainReader
    state: DeploymentState
    snapshots: Sequence[AccountSnapshot]
    health: Sequence[Health] = ()
    accounts: KeptAccounts = field(default_factory=KeptAccounts)
    screen: Screen | None = None
    below: set[AccountKey] = field(default_factory=set)
    """Who is below the line, by the book and the exact rule together."""

    async def price_block(self) -> int:
        """Everything that happens when a block arrives in which no account acted, all in exact integers."""
        header = await self._follow()
        health = self.state.at(header.block.timestamp, header.block.number).health
        self.health = [health(snapshot) for snapshot in self.snapshots]
        return len(self.health)

    async def screen_block(self) -> int:
        """The same by the book: floats for all, exact integers for whoever may be below the line."""
        kept = self._kept((await self._follow()).block)
        self.accounts.price(kept)
        screen = self.screen = self.accounts.book.reprice(self.screen)
        assert kept.state is not None
        health = kept.state.priced.health
        certain = {ranked.key for ranked in screen.below(1.0)}
        doubtful = screen.to_confirm((1.0,))
        self.below = (certain - set(doubtful)) | {
            key for key in doubtful if health(self.by_key[key]).status is RiskStatus.LIQUIDATABLE
        }
        return len(self.snapshots)

    def fill(self, block: BlockRef) -> None:
        """Put every account into the book."""
        kept = self._kept(block)
        self.accounts.price(kept)
        self.accounts.fill(kept, self.snapshots)

    @cached_property
    def by_key(self) -> dict[AccountKey, AccountSnapshot]:
        """The accounts' states."""
        return {snapshot.key: snapshot for snapshot in self.snapshots}

    def _kept(self, block: BlockRef) -> KeptDeployment:
        deployment = self.state.deployment
        now = state_at(deployment, self.state, block)
        return KeptDeployment(
            deployment, adapter_for(deployment.protocol), (), {}, now, None, None, now.priced.factors()
        )

    async def _follow(self) -> Header:
        """The newest block, its logs, and the markets at it."""
        header = await self.reader.fetch_header("latest")
        assert header is not None
        logs = await self.reader.fetch_block_logs(header, self.state.log_filter())
        assert not any(self.state.touched(log) for log in logs)
        self.state = await self.reader.read(self.state.read_next(full=False), header.block)
        return header


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


def require_same_below(tracker: Tracker) -> None:
    """The book and the exact rule together find whoever the exact rule alone finds, and nobody else."""
    exact = {
        s.key for s, h in zip(tracker.snapshots, tracker.health, strict=True) if h.status is RiskStatus.LIQUIDATABLE
    }
    assert tracker.below == exact


def require_equal(tracker: Tracker, world: World, wallets: Sequence[Address]) -> int:
    """How many accounts equal the contract's own answer now; all of them, or this fails."""
    truths = world.account_data(AAVE, wallets)
    for wallet, ours, truth in zip(wallets, tracker.health, truths, strict=True):
        assert truth is not None
        factor = UINT256_MAX if ours.health_factor_wad is None else ours.health_factor_wad
        assert (ours.collateral_value, ours.debt_value, factor) == (truth[0], truth[1], truth[5]), wallet
    return len(truths)


def run(accounts: int = ACCOUNTS, rounds: int = ROUNDS) -> list[Figure]:
    """Bars 1 and 1f."""
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
                if tracker.health:
                    compared += require_equal(tracker, world, wallets)
                    require_same_below(tracker)
                world.mine(1, 12)

            def book() -> int:
                return runner.run(tracker.screen_block())

            header = runner.run(reader.fetch_header("latest"))
            assert header is not None
            tracker.fill(header.block)
            contestants = {"book": book, "ours": ours, "multicall.py": theirs}
            samples = interleave(contestants, rounds, before_round=next_block)
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
    screened = f"{len(wallets):,} accounts at a new block, the book in floats: multicall.py re-reading / ours"
    below = f"ours {spread(milliseconds['book'], 'ms')}; {len(tracker.below)} below the line, the same as all exact"
    return [
        Figure("1", what, median_ratio(wall["multicall.py"], wall["ours"]), 30, detail=detail),
        Figure("1f", screened, median_ratio(wall["multicall.py"], wall["book"]), 200, detail=below),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    report(run(given.accounts, given.rounds))
