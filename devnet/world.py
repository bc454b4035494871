"""One local chain with the real protocols, a population, and a life of its own; all of it follows from the seed."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from app.domain.chain import Address, Hash32
from devnet import aave_v3_0, aave_v3_6, liquidator, pool, population
from devnet.anvil import Anvil
from devnet.assets import ASSETS, FEEDER, Token, deploy_tokens
from devnet.cache import write_atomically
from devnet.chain import DevChain, Mined
from devnet.codec import call_data
from devnet.deployed import Deployed, Reserve
from devnet.kinds import Plan, make_plans
from devnet.life import queue_admin_action, queue_user_actions
from devnet.node import NodeClient
from devnet.prices import next_prices

GENESIS_TIMESTAMP = 1_750_000_000
"""June 2025: fixed, so that equal seeds give equal hashes, and far enough back never to overtake the clock."""
HOUR = 3600
OPENING_FALL = 0.985
"""Volatile assets lose this much once everybody has borrowed: it brings the near ones nearer."""


@dataclass(frozen=True, slots=True)
class Step:
    """One block of life."""

    number: int
    hash: Hash32
    timestamp: int
    prices: Mapping[str, int]
    """Symbol -> new price (USD, 8 decimals), for those that moved."""
    succeeded: tuple[str, ...]
    refused: tuple[str, ...]
    """Labels of the transactions, by what the contracts made of them."""
    liquidations: int
    """LiquidationCall transactions that succeeded."""
    admin_action: str | None
    jumped_seconds: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state to come back to, as often as wanted."""

    id: str
    random_state: object
    paused: tuple[tuple[str, str], ...]
    number: int


class World:
    """Builds the chain when made. Blocks come only from its methods, never by themselves."""

    def __init__(
        self,
        port: int | None = None,
        *,
        seed: int = 1,
        wallets: int = 300,
        chain_id: int = 31337,
        block_seconds: int = 12,
        start_timestamp: int = GENESIS_TIMESTAMP,
        keep_states: int = 128,
    ) -> None:
        """Start the node, deploy both Aave versions, and populate them (some seconds).

        Args:
            port: on 127.0.0.1; None takes a free one.
            seed: of everything that is drawn. Equal arguments give equal block hashes.
            wallets: how many addresses there are; each third is in V3.0, in V3.6, in both.
            block_seconds: between two ordinary blocks.
            start_timestamp: of the genesis block.
            keep_states: how many blocks back state can be read and blocks rolled back.

        Raises:
            DevnetUnavailable: set-up has not been done and cannot be done now.
            TransactionFailed: a protocol did not deploy; never seen, as everything is pinned.
        """
        self.seed = seed
        self.chain_id = chain_id
        self.rng = random.Random(seed)
        self.anvil = Anvil(port, chain_id=chain_id, timestamp=start_timestamp, keep_states=keep_states)
        try:
            self.chain = DevChain(NodeClient(self.anvil.port), block_seconds)
            self.chain.install_multicall()
            self.tokens: dict[str, Token] = deploy_tokens(self.chain)
            self.chain.mine()
            self._deployed: dict[str, Deployed] = {
                d.id: d for d in (m.deploy(self.chain, self.tokens) for m in (aave_v3_0, aave_v3_6))
            }
            self.wallets: list[Address] = population.make_wallets(seed, wallets)
            self.plans: list[Plan] = make_plans(self.rng, self.wallets, list(self._deployed.values()))
            self.refused_at_start = self._populate()
        except BaseException:
            self.anvil.stop()
            raise
        self._paused: list[tuple[str, str]] = []

    # -- where it is ------------------------------------------------------------------------------------------------

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
        return self.chain.timestamp

    def deployments(self) -> list[dict[str, object]]:
        """Both installations in the shape of a deployments file."""
        return [deployed.as_row(self.chain_id) for deployed in self._deployed.values()]

    def write_deployments_file(self, path: Path) -> None:
        """The deployments file, replaced in one go: a reader sees the old one or the new one."""
        write_atomically(path, json.dumps(self.deployments(), indent=2).encode() + b"\n")

    def deployed(self, deployment_id: str) -> Deployed:
        return self._deployed[deployment_id]

    def reserves(self, deployment_id: str) -> list[Reserve]:
        """In the order of reserve ids: the bit positions of the contracts' bitmaps."""
        return list(self._deployed[deployment_id].reserves.values())

    def plans_of_kind(self, kind: str, deployment_id: str | None = None) -> list[Plan]:
        """What wallets were given at the start; `devnet.kinds.kinds_of` names the kinds."""
        return [p for p in self.plans if p.kind == kind and deployment_id in (None, p.deployment_id)]

    # -- life -------------------------------------------------------------------------------------------------------

    def step(self, *, timestamp: int | None = None, jumps: bool = True, admin: bool = True) -> Step:
        """One mined block of random life.

        First the liquidator's calls on whoever the contract says is below 1, then users, then prices, and rarely a
        change of configuration. Sometimes hours or days pass at once.

        Args:
            timestamp: of the block; None lets the seed decide.
            jumps: whether time may jump; ignored when `timestamp` is given.
            admin: whether configuration may change.
        """
        rng = self.rng
        jump = rng.randint(1, 72) * HOUR if rng.random() < 0.02 and jumps and timestamp is None else 0
        for deployed in self._deployed.values():
            liquidator.queue_liquidations(self.chain, deployed, self.wallets, most=3)
        for deployed in self._deployed.values():
            acting = rng.sample(self.wallets, min(rng.choice((0, 0, 1, 1, 2, 3)), len(self.wallets)))
            queue_user_actions(self.chain, rng, deployed, acting, self.wallets)
        moved = next_prices(rng, self.prices())
        for symbol, price in moved.items():
            self._queue_price(symbol, price)
        action = self._admin_action() if rng.random() < 0.03 and admin else None
        mined = self.chain.mine(
            self.chain.timestamp + self.chain.block_seconds + jump if timestamp is None else timestamp
        )
        succeeded = tuple(sent.label for sent, good in mined.outcomes if good)
        return Step(
            number=mined.number,
            hash=mined.hash,
            timestamp=mined.timestamp,
            prices=moved,
            succeeded=succeeded,
            refused=tuple(mined.refused),
            liquidations=sum(label.startswith("liquidate ") for label in succeeded),
            admin_action=action,
            jumped_seconds=jump,
        )

    def run(self, blocks: int) -> list[Step]:
        """`blocks` steps."""
        return [self.step() for _ in range(blocks)]

    def go_live(self) -> Step:
        """Bring the chain's clock to the wall clock with one block; from here `step_live`."""
        return self.step_live()

    def step_live(self) -> Step:
        """One block of life at the wall clock's time (one second after the last block at least)."""
        return self.step(timestamp=max(int(time.time()), self.chain.timestamp + 1))

    def set_price(self, symbol: str, price: int) -> Mined:
        """Set a price (USD, 8 decimals) by a transaction in a block of its own. Both deployments share the feeds."""
        self._queue_price(symbol, price)
        return self.chain.mine()

    def break_feed(self, symbol: str, *, reverting: bool = True) -> Mined:
        """Let every read of a feed revert, or work again, by a transaction in a block of its own."""
        feed = self.tokens[symbol].feed
        self.chain.execute(FEEDER, feed, "setBroken(bool)", reverting, gas=100_000)
        return self.chain.mine()

    def mine(self, count: int = 1, seconds_between: int | None = None) -> None:
        """Empty blocks."""
        self.chain.mine_empty(count, self.chain.block_seconds if seconds_between is None else seconds_between)

    def time_jump(self, seconds: int) -> None:
        """One empty block, `seconds` later."""
        self.chain.mine(self.chain.timestamp + seconds)

    def prices(self) -> dict[str, int]:
        """The feeds' answers now (USD, 8 decimals), without those that revert."""
        deployed = next(iter(self._deployed.values()))
        return {symbol: price for symbol, price in pool.read_prices(self.chain, deployed).items() if price is not None}

    # -- going back -------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Remember chain and randomness."""
        identity = self.chain.client.text("evm_snapshot")
        return Snapshot(identity, self.rng.getstate(), tuple(self._paused), self.chain.number)

    def revert(self, snapshot: Snapshot) -> Snapshot:
        """Go back to `snapshot`, which this uses up; the one returned stands for the same state."""
        self.chain.client.call("evm_revert", snapshot.id)
        self.chain.resync()
        self.rng.setstate(snapshot.random_state)  # type: ignore[arg-type]  # what getstate() gave, opaque by design
        self._paused = list(snapshot.paused)
        return self.snapshot()

    def reorg(self, depth: int) -> None:
        """Replace the newest `depth` blocks by as many empty ones with other hashes."""
        self.rollback(depth)
        self.mine(depth)

    def rollback(self, depth: int) -> None:
        """Take the newest `depth` blocks away. What is mined next has other hashes than they had."""
        self.chain.client.call("anvil_rollback", depth)
        self.chain.resync()
        self.chain.timestamp += 1  # one second later than the block taken away: even an empty one differs

    # -- the contracts' own word ------------------------------------------------------------------------------------

    def account_data(
        self, deployment_id: str, wallets: Sequence[Address], block_number: int | None = None
    ) -> list[pool.AccountData | None]:
        """getUserAccountData of each wallet at one block (None where it reverts): collateral, debt, available
        borrows (USD, 8 decimals), liquidation threshold, LTV (bps), health factor (WAD)."""
        return pool.read_account_data(self.chain, self._deployed[deployment_id], wallets, block_number)

    def account(self, deployment_id: str, wallet: Address) -> pool.AccountView | None:
        """All a wallet holds in one deployment now; None while its account data reverts."""
        return pool.read_accounts(self.chain, self._deployed[deployment_id], [wallet])[0]

    def liquidation_verdict(
        self,
        deployment_id: str,
        wallet: Address,
        collateral: str | None = None,
        debt: str | None = None,
        block_number: int | None = None,
    ) -> liquidator.Verdict:
        """Whether the contract would let this account be liquidated, by trying it with a funded liquidator.

        Without symbols the account's most valuable collateral and debt are tried, then the others.
        """
        deployed = self._deployed[deployment_id]
        if collateral is not None and debt is not None:
            return liquidator.verdict_on(self.chain, deployed, wallet, collateral, debt, block_number)
        view = self.account(deployment_id, wallet)
        pairs = liquidator.largest_pairs(view, deployed, self._prices_of(deployed)) if view is not None else []
        verdict = liquidator.Verdict("refused", "no collateral and debt to try")
        for first, second in pairs:
            verdict = liquidator.verdict_on(self.chain, deployed, wallet, first, second, block_number)
            if verdict.word != "refused":
                return verdict
        return verdict

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

    # ---------------------------------------------------------------------------------------------------------------

    def _populate(self) -> list[str]:
        opening = {asset.symbol: asset.price for asset in ASSETS}
        population.fund(self.chain, list(self._deployed.values()), len(self.wallets), opening)
        refused = population.populate(self.chain, self._deployed, self.plans, opening)
        for asset in ASSETS:
            if asset.group != "USD":
                self._queue_price(asset.symbol, int(asset.price * OPENING_FALL))
        self.chain.mine()
        return refused

    def _queue_price(self, symbol: str, price: int) -> None:
        data = call_data("set(int256)", price)
        self.chain.send(FEEDER, self.tokens[symbol].feed, data, gas=100_000, label=f"price {symbol}")

    def _prices_of(self, deployed: Deployed) -> dict[str, int | None]:
        return pool.read_prices(self.chain, deployed)

    def _admin_action(self) -> str:
        deployed = self.rng.choice(list(self._deployed.values()))
        paused = [symbol for deployment_id, symbol in self._paused if deployment_id == deployed.id]
        label = queue_admin_action(self.chain, self.rng, deployed, paused)
        kind, symbol = label.removeprefix("admin: ").rsplit(" ", 1)
        if kind == "pause":
            self._paused.append((deployed.id, symbol))
        elif kind == "unpause":
            self._paused.remove((deployed.id, symbol))
        return f"{label} in {deployed.id}"
