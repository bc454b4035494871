"""One local chain with the real protocols, a population, and a life of its own; all of it follows from the seed."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from app.domain.chain import Address, ContractCall
from devnet import aave_v3_0, aave_v3_6, comet_life, curie_life, liquidator, morpho_blue, pool, population, venus_life
from devnet.anvil import Anvil
from devnet.assets import ADMIN, ASSETS, FEEDER, Token, deploy_tokens
from devnet.cache import write_atomically
from devnet.chain import DevChain, Mined
from devnet.codec import Value, call_data
from devnet.deployed import Deployed, Reserve
from devnet.kinds import Plan, make_plans
from devnet.life import USERS_PER_BLOCK, Life, LifeState, Step
from devnet.neighbour import Neighbour
from devnet.node import NodeClient

GENESIS_TIMESTAMP = 1_750_000_000
"""June 2025: fixed, so that equal seeds give equal hashes, and far enough back never to overtake the clock."""
OPENING_FALL = 985, 1000
"""Volatile assets fall to this part of their price once everybody has borrowed: the near ones come nearer."""


NEIGHBOURS: dict[str, Callable[..., Neighbour]] = {
    "venus": venus_life.join,
    "morpho-blue": morpho_blue.join,
    "perp-curie": curie_life.join,
    "compound-v3": comet_life.join,
}
"""Protocols that join a world when asked for: each deploys and populates itself."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state to come back to."""

    id: str
    life: LifeState


class World:
    """Builds the chain when made. Blocks come only from its methods, never by themselves."""

    def __init__(
        self,
        port: int | None = None,
        *,
        seed: int = 1,
        wallets: int = 300,
        chain_id: int = 31337,
        network: str = "devnet",
        block_seconds: int = 12,
        start_timestamp: int = GENESIS_TIMESTAMP,
        keep_states: int = 128,
        users_per_block: Sequence[int] = USERS_PER_BLOCK,
        protocols: Sequence[str] = (),
        neighbours_every: int = 1,
    ) -> None:
        """Start the node, deploy both Aave versions, and populate them (a second or two).

        Args:
            port: on 127.0.0.1; None takes a free one.
            seed: of everything that is drawn. Equal arguments give equal block hashes.
            wallets: how many addresses there are; each third is in V3.0, in V3.6, in both.
            network: ends the deployments' ids (`aave-v3-0-devnet`); give another to each of several chains.
            block_seconds: between two ordinary blocks.
            start_timestamp: of the genesis block.
            keep_states: how many blocks back state can be read and blocks rolled back.
            users_per_block: how many users act in each deployment; one of the numbers is drawn each block.
            protocols: which join Aave, by the names of `NEIGHBOURS`; those that are there without them stay the same.
            neighbours_every: each of those protocols has life of its own in one block of so many, in turn.

        Raises:
            DevnetUnavailable: set-up has not been done and cannot be done now.
            AnvilFailed: the node does not start, e.g. because the port is taken.
            TransactionFailed: a protocol did not deploy; not to be expected, as everything is pinned.
        """
        self.seed = seed
        self.chain_id = chain_id
        self.anvil = Anvil(port, chain_id=chain_id, timestamp=start_timestamp, keep_states=keep_states)
        try:
            rng = random.Random(seed)
            self.chain = DevChain(NodeClient(self.anvil.port), block_seconds)
            self.chain.install_multicall()
            self.tokens: dict[str, Token] = deploy_tokens(self.chain)
            self.chain.mine()
            installed = [module.deploy(self.chain, self.tokens, network) for module in (aave_v3_0, aave_v3_6)]
            self._deployed: dict[str, Deployed] = {deployed.id: deployed for deployed in installed}
            self.wallets: list[Address] = population.make_wallets(seed, wallets)
            self.plans: list[Plan] = make_plans(rng, self.wallets, installed)
            self._life = Life(self.chain, rng, installed, self.wallets, self.tokens, users_per_block, neighbours_every)
            self.refused_at_start = self._populate()
            self.neighbours: dict[str, Neighbour] = {}
            for name in protocols:
                self._join(name, network)
        except BaseException:
            self.anvil.stop()
            raise

    # -- where it is

    @property
    def rpc_url(self) -> str:
        return self.anvil.url

    @property
    def ws_url(self) -> str:
        return self.anvil.ws_url

    @property
    def block_number(self) -> int:
        return self.chain.number

    @property
    def timestamp(self) -> int:
        """Of the newest block."""
        return self.chain.timestamp

    def deployments(self) -> list[dict[str, object]]:
        """Every installation in the shape of a deployments file, Aave's first."""
        rows = [deployed.as_row(self.chain_id) for deployed in self._deployed.values()]
        return rows + [neighbour.as_row(self.chain_id) for neighbour in self.neighbours.values()]

    @property
    def aave_ids(self) -> list[str]:
        """Ids of the Aave installations, the older one first."""
        return [*self._deployed]

    def write_deployments_file(self, path: Path) -> None:
        """The deployments file, replaced in one go: a reader sees the old one or the new one."""
        write_atomically(path, json.dumps(self.deployments(), indent=2).encode() + b"\n")

    def deployed(self, deployment_id: str) -> Deployed:
        """All addresses of one installation."""
        return self._deployed[deployment_id]

    def reserves(self, deployment_id: str) -> list[Reserve]:
        """In the order of reserve ids: the bit positions of the contracts' bitmaps."""
        return list(self._deployed[deployment_id].reserves.values())

    def plans_of_kind(self, kind: str, deployment_id: str | None = None) -> list[Plan]:
        """What wallets were given at the start; `devnet.kinds.kinds_of` names the kinds."""
        return [p for p in self.plans if p.kind == kind and deployment_id in (None, p.deployment_id)]

    def prices(self) -> dict[str, int]:
        """The feeds' answers now (USD, 8 decimals) by symbol, without those that revert."""
        return self._life.prices()

    # -- life

    def step(self, *, timestamp: int | None = None, jumps: bool = True, admin: bool = True) -> Step:
        """One mined block of random life.

        First the liquidator's calls on whoever the contract says is below 1 (he finds everybody within three
        blocks), then users, then prices, and rarely a change of configuration. Sometimes hours or days pass at once.

        Args:
            timestamp: of the block; None lets the seed decide.
            jumps: whether time may jump; it does not when `timestamp` is given.
            admin: whether configuration may change.
        """
        return self._life.step(timestamp, jumps=jumps, admin=admin)

    def run(self, blocks: int) -> list[Step]:
        """`blocks` steps."""
        return [self.step() for _ in range(blocks)]

    def step_live(self) -> Step:
        """One block of life at the wall clock's time, or one second after the last block if that is later.

        The first one brings a chain of the past to the present. Whoever is connected to the node may have mined,
        rolled back or reorganised blocks since the last one.

        Raises:
            TransactionFailed, NodeError: somebody did so in the middle of this one; `start_over` and go on.
        """
        self.chain.resync()
        return self.step(timestamp=max(int(time.time()), self.chain.timestamp + 1))

    def start_over(self) -> None:
        """Forget a block that could not be made."""
        self.chain.start_over()

    def set_price(self, symbol: str, price: int, *, timestamp: int | None = None) -> Mined:
        """Set a price (USD, 8 decimals) by a transaction in a block of its own. Both deployments share the feeds.

        Args:
            timestamp: of the block; that of the last block is allowed, and then no interest accrues in between.
        """
        self._life.queue_prices({symbol: price})
        return self.chain.mine(timestamp)

    def break_feed(self, symbol: str, *, reverting: bool = True) -> Mined:
        """Let every read of a feed revert, or work again, by a transaction in a block of its own."""
        self.chain.execute(FEEDER, self.tokens[symbol].feed, "setBroken(bool)", reverting, gas=100_000)
        return self.chain.mine()

    def execute(self, sender: Address, *calls: ContractCall) -> Mined:
        """Let anybody make calls (`devnet.pool` has the Pool's), each a transaction, in a block of their own.

        Raises:
            TransactionFailed: a contract refused one; the block is mined all the same.
        """
        for call in calls:
            self.chain.send(sender, call.target, call.data, gas=pool.POOL_GAS, label="execute")
        return self.chain.mine()

    def configure(self, deployment_id: str, signature: str, *arguments: Value) -> Mined:
        """One call of the PoolConfigurator by the admin, in a block of its own.

        Raises:
            TransactionFailed: the contract refused it.
        """
        configurator = self._deployed[deployment_id].configurator
        return self.execute(ADMIN, ContractCall(configurator, call_data(signature, *arguments)))

    def mine(self, count: int = 1, seconds_between: int | None = None) -> None:
        """Empty blocks."""
        for _ in range(count):
            self.chain.mine(self.chain.timestamp + (seconds_between or self.chain.block_seconds))

    def time_jump(self, seconds: int) -> None:
        """One empty block, `seconds` later."""
        self.mine(seconds_between=seconds)

    # -- going back

    def snapshot(self) -> Snapshot:
        """Remember the chain and what life depends on."""
        return Snapshot(self.chain.client.text("evm_snapshot"), self._life.state)

    def revert(self, snapshot: Snapshot) -> Snapshot:
        """Go back to `snapshot`, which this uses up; the one returned stands for the same state."""
        self.chain.client.call("evm_revert", snapshot.id)
        self.chain.resync()
        self._life.state = snapshot.life
        return self.snapshot()

    def reorg(self, depth: int) -> None:
        """Replace the newest `depth` blocks by as many empty ones, at once: nobody sees the chain shorter."""
        self.chain.reorg(depth)

    def rollback(self, depth: int) -> None:
        """Take the newest `depth` blocks away; what `step` then makes of these heights is another life.

        The next block comes a second later than the first one taken away, so that even an empty one differs.
        """
        self.chain.rollback(depth)

    # -- the contracts' own word

    def account_data(
        self, deployment_id: str, wallets: Sequence[Address], block_number: int | None = None
    ) -> list[pool.AccountData | None]:
        """getUserAccountData of each wallet at one block (None where it reverts): collateral, debt, available
        borrows (USD, 8 decimals), liquidation threshold, LTV (bps), health factor (WAD)."""
        return pool.read_account_data(self.chain, self._deployed[deployment_id], wallets, block_number)

    def accounts(self, deployment_id: str, wallets: Sequence[Address]) -> list[pool.AccountView | None]:
        """All that each wallet holds in one deployment now; None where its account data reverts."""
        return pool.read_accounts(self.chain, self._deployed[deployment_id], wallets)

    def liquidation_verdict(
        self, deployment_id: str, wallet: Address, collateral: str | None = None, debt: str | None = None
    ) -> liquidator.Verdict:
        """Whether the contract would let this account be liquidated now, by trying it with a funded liquidator.

        Without symbols the account's most valuable collateral and debt are tried first, then the others.
        """
        deployed = self._deployed[deployment_id]
        if collateral is not None and debt is not None:
            return liquidator.verdict_on(self.chain, deployed, wallet, collateral, debt)
        return liquidator.verdict_on_account(self.chain, deployed, wallet)

    def stop(self) -> None:
        """End the node; nothing stays behind."""
        self.chain.client.close()
        self.anvil.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _join(self, name: str, network: str) -> None:
        joining = NEIGHBOURS[name](self.chain, self.tokens, self.prices(), self.wallets, self.seed, network)
        self.neighbours[name] = joining
        self._life.join(joining)

    def _populate(self) -> list[str]:
        """Carry out all plans at opening prices, then let those fall a little; what the contracts refused."""
        opening = {asset.symbol: asset.price for asset in ASSETS}
        population.fund(self.chain, list(self._deployed.values()), len(self.wallets), opening)
        refused = population.populate(self.chain, self._deployed, self.plans, opening)
        part, whole = OPENING_FALL
        self._life.queue_prices({a.symbol: a.price * part // whole for a in ASSETS if a.group != "USD"})
        newest = max(self._deployed.values(), key=lambda deployed: deployed.version)
        aave_v3_6.retire_collateral(self.chain, newest)
        self.chain.mine()
        return refused
