"""One block of life after the other: the liquidator, the users, the prices, the admin, and time itself."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.domain.chain import Address, ContractCall, Hash32
from devnet import liquidator, pool
from devnet.admin import Admin, Pending
from devnet.assets import FEEDER, Token
from devnet.chain import MULTICALL3, DevChain
from devnet.codec import aggregate_data, call_data
from devnet.deployed import Deployed
from devnet.neighbour import Neighbour
from devnet.prices import next_prices
from devnet.users import queue_user_actions

HOUR = 3600
JUMP_CHANCE = 0.02
JUMP_HOURS = (1, 72)
ADMIN_CHANCE = 0.03
USERS_PER_BLOCK = (0, 0, 1, 1, 2, 3)
"""How many act in each deployment: one of these is drawn each block."""
STRIPES = 3
"""The liquidator looks at one part of this many of the wallets a block: asking for all of them is most of the work."""
LIQUIDATIONS_PER_BLOCK = 3
"""In each deployment."""


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
    """liquidationCall transactions that succeeded."""
    admin_action: str | None
    jumped_seconds: int


@dataclass(frozen=True, slots=True)
class LifeState:
    """All that a next block depends on besides the chain."""

    randomness: object
    pending: Pending
    neighbours: tuple[object, ...] = ()


class Life:
    """Draws what happens from its own randomness and from what the contracts say now."""

    def __init__(
        self,
        chain: DevChain,
        rng: random.Random,
        deployments: Sequence[Deployed],
        wallets: Sequence[Address],
        tokens: Mapping[str, Token],
        users_per_block: Sequence[int] = USERS_PER_BLOCK,
        neighbours_every: int = 1,
    ) -> None:
        self._chain, self._rng, self._deployments = chain, rng, deployments
        self._wallets, self._tokens, self._users_per_block = wallets, tokens, users_per_block
        self._neighbours_every = neighbours_every
        self._admin = Admin()
        self._neighbours: list[Neighbour] = []

    def join(self, neighbour: Neighbour) -> None:
        """Let another protocol take part in every further block."""
        self._neighbours.append(neighbour)

    @property
    def state(self) -> LifeState:
        neighbours = tuple(neighbour.state for neighbour in self._neighbours)
        return LifeState(self._rng.getstate(), self._admin.pending, neighbours)

    @state.setter
    def state(self, state: LifeState) -> None:
        self._rng.setstate(state.randomness)  # type: ignore[arg-type]  # what getstate() gave, opaque by design
        self._admin.pending = state.pending
        for neighbour, own in zip(self._neighbours, state.neighbours, strict=True):
            neighbour.state = own

    def step(self, timestamp: int | None, *, jumps: bool, admin: bool) -> Step:
        """Mine one block: liquidations first, as liquidators outbid users; then users, prices, configuration."""
        chain, rng = self._chain, self._rng
        jump = rng.randint(*JUMP_HOURS) * HOUR if rng.random() < JUMP_CHANCE and jumps and timestamp is None else 0
        looked_at = self._wallets[chain.number % STRIPES :: STRIPES]
        for deployed in self._deployments:
            liquidator.queue_liquidations(chain, deployed, looked_at, LIQUIDATIONS_PER_BLOCK)
        for deployed in self._deployments:
            acting = rng.sample(self._wallets, min(rng.choice(self._users_per_block), len(self._wallets)))
            queue_user_actions(chain, rng, deployed, acting, self._wallets)
        for place, neighbour in enumerate(self._neighbours):
            if (chain.number + place) % self._neighbours_every == 0:
                neighbour.queue_block()
        moved = next_prices(rng, self.prices())
        self.queue_prices(moved)
        action = None
        if rng.random() < ADMIN_CHANCE and admin:
            action = self._admin.queue_change(chain, rng, rng.choice(self._deployments))
        mined = chain.mine(chain.timestamp + chain.block_seconds + jump if timestamp is None else timestamp)
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

    def prices(self) -> dict[str, int]:
        """The feeds' answers now (USD, 8 decimals), without those that revert."""
        prices = pool.read_prices(self._chain, self._deployments[0])  # all deployments share the feeds
        return {symbol: price for symbol, price in prices.items() if price is not None}

    def queue_prices(self, prices: Mapping[str, int]) -> None:
        """Queue prices (USD, 8 decimals) by symbol for the next block, all in one transaction.

        One, because the node keeps some 20 kB of every transaction for ever.
        """
        if prices:
            calls = [ContractCall(self._tokens[s].feed, call_data("set(int256)", p)) for s, p in prices.items()]
            data = aggregate_data(calls, may_fail=False)
            self._chain.send(FEEDER, MULTICALL3, data, gas=2_000_000, label=f"prices {' '.join(prices)}")
            for neighbour in self._neighbours:
                neighbour.queue_prices(prices)
