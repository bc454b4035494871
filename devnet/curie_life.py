"""What happens in Perpetual Protocol v2 on the devnet, block after block: trades, margin, liquidity, liquidations."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.domain.chain import Address, ContractCall, Returned
from devnet import curie, curie_mark, curie_truth
from devnet import curie_calls as calls
from devnet.assets import LIQUIDATOR, LIQUIDITY_PROVIDER, Token
from devnet.chain import DevChain
from devnet.codec import call_data, wallet_call_data, words
from devnet.curie import Curie, CurieMarket
from devnet.curie_mark import SWAP_GAS, queue_keeper, queue_push, tick_in
from devnet.curie_population import HIGH, USER_GAS, Plan, Population
from devnet.liquidator import Verdict

STRIPES = 8
"""The liquidator looks at one part of this many of the wallets a block."""
LIQUIDATIONS_PER_BLOCK = 3
USERS_PER_BLOCK = (1, 2, 3)
MOST_TICKS_PER_BLOCK = 250
"""How far the arbitrageur moves a pool: two such blocks and users stay within the contract's own limit."""
MOOD_CHANCE, MOOD_TICKS = 0.05, 80
"""How often, and how far at most, the market's idea of the price leaves the index: what funding comes from."""


def join(
    chain: DevChain,
    tokens: Mapping[str, Token],
    prices: Mapping[str, int],
    wallets: Sequence[Address],
    seed: int,
    network: str,
) -> CurieLife:
    """Deploy and populate at these prices (USD, 8 decimals); takes some thirty blocks and an hour and a half."""
    installed = curie.deploy(chain, tokens, prices, network, HIGH)
    rng = random.Random(f"{seed} perp curie")
    population = Population(chain, installed, prices, rng)
    plans = population.populate(wallets)
    return CurieLife(chain, installed, plans, population.refused, rng)


@dataclass(frozen=True, slots=True)
class State:
    """All that a next block depends on besides the chain."""

    randomness: object
    moods: tuple[tuple[str, int], ...]
    """By market: how many ticks above the index the arbitrageur wants the pool."""
    turn: int
    """How many blocks there have been."""


class CurieLife:
    """Draws what happens from its own randomness and from what the contracts say now: a `Neighbour` of Aave."""

    def __init__(
        self, chain: DevChain, installed: Curie, plans: Sequence[Plan], refused: Sequence[str], rng: random.Random
    ) -> None:
        self.curie = installed
        self.plans = list(plans)
        self.refused_at_start = list(refused)
        self._chain, self._rng = chain, rng
        self._wallets = [plan.wallet for plan in plans]
        self._moods = dict.fromkeys(installed.markets, 0)
        self._turn = 0

    @property
    def state(self) -> object:
        return State(self._rng.getstate(), tuple(self._moods.items()), self._turn)

    @state.setter
    def state(self, state: object) -> None:
        assert isinstance(state, State)
        self._rng.setstate(state.randomness)  # type: ignore[arg-type]  # what getstate() gave, opaque by design
        self._moods, self._turn = dict(state.moods), state.turn

    def as_row(self, chain_id: int) -> dict[str, object]:
        """In the shape of a deployments file."""
        return self.curie.as_row(chain_id)

    def queue_prices(self, prices: Mapping[str, int]) -> None:
        """Have the index note the new prices: its feeds read those that everybody shares.

        A second price within one second is not noted: the feeds tell rounds apart by their time.
        """
        queue_keeper(
            self._chain, [market for market in self.curie.markets.values() if market.underlying.symbol in prices]
        )

    def exposed(self) -> set[Address]:
        """Wallets with a position or with liquidity that has become one, now."""
        margins = curie_truth.read_margins(self._chain, self.curie, self._wallets)
        return {w for w, margin in zip(self._wallets, margins, strict=True) if margin is not None and margin[1]}

    def queue_block(self) -> None:
        """Liquidations first, then whoever brings the pools towards the index, then users."""
        self._turn += 1
        self._queue_liquidations()
        self._queue_arbitrage()
        rng = self._rng
        for wallet in rng.sample(self._wallets, min(rng.choice(USERS_PER_BLOCK), len(self._wallets))):
            self._queue_user(wallet)

    # -- for tests

    def plans_of_kind(self, kind: str) -> list[Plan]:
        """What wallets were given at the start; `devnet.curie_population.KINDS` names the kinds."""
        return [plan for plan in self.plans if plan.kind == kind]

    def accounts(
        self, wallets: Sequence[Address], block_number: int | None = None
    ) -> list[curie_truth.MarginView | None]:
        """Everything of each wallet at one block; None where a read reverts."""
        return curie_truth.read_accounts(self._chain, self.curie, wallets, block_number)

    def prices(self, market: str, block_number: int | None = None) -> curie_truth.Prices:
        """A market's mark price and what it is made of (WAD) at one block."""
        return curie_truth.read_prices(self._chain, self.curie, self.curie.markets[market], block_number)

    def verdict(self, wallet: Address, block_number: int | None = None) -> Verdict:
        """Whether the contract would let this account be liquidated at one block, by trying it."""
        return curie_truth.verdict(self._chain, self.curie, wallet, block_number)

    def move_mark(self, market: str, price: int, bracket_ticks: int = 50) -> int:
        """See `devnet.curie_mark.move_mark`: `price` (WAD) to within 10^-8 USD, for a good half hour of chain time."""
        return curie_mark.move_mark(self._chain, self.curie, self.curie.markets[market], price, bracket_ticks)

    def nudge_mark(self, market: str, price: int) -> int:
        """See `devnet.curie_mark.nudge_mark`: the same inside the bracket, in a block of the same second."""
        return curie_mark.nudge_mark(self._chain, self.curie, self.curie.markets[market], price)

    # -- liquidations

    def _queue_liquidations(self) -> None:
        looked_at = self._wallets[self._turn % STRIPES :: STRIPES]
        margins = curie_truth.read_margins(self._chain, self.curie, looked_at)
        below = [
            w for w, margin in zip(looked_at, margins, strict=True) if margin is not None and margin[0] < margin[1]
        ]
        for wallet in below[:LIQUIDATIONS_PER_BLOCK]:
            self._liquidate(wallet)
        asked = [ContractCall(self.curie.vault, wallet_call_data("isLiquidatable(address)", w)) for w in looked_at]
        answers = zip(looked_at, self._chain.read(asked), strict=True)
        short = [w for w, answer in answers if isinstance(answer, Returned) and words(answer.data)[0]]
        for wallet in [wallet for wallet in short if wallet not in below][:LIQUIDATIONS_PER_BLOCK]:
            self._liquidate_collateral(wallet)

    def _liquidate(self, wallet: Address) -> None:
        """One position; who has orders has them cancelled first."""
        view = self.accounts([wallet])[0]
        if view is None:
            return
        markets = [self.curie.markets[name] for name in view.positions]
        for market in markets:
            if view.has_orders:
                call = calls.cancel_orders(self.curie, wallet, market)
                self._send(LIQUIDATOR, call, f"cancel orders of {wallet}")
        for market in markets:
            call = calls.liquidate(self.curie, wallet, market)
            if view.has_orders or isinstance(self._chain.try_call(call, LIQUIDATOR), Returned):
                self._send(LIQUIDATOR, call, f"liquidate {market.name}")
                return

    def _liquidate_collateral(self, wallet: Address) -> None:
        """Nearly all that may be: what may be shrinks with every second of funding."""
        token = self.curie.collateral.address
        signature = "getMaxRepaidSettlementAndLiquidatableCollateral(address,address)"
        most = words(self._chain.call(self.curie.vault, signature, wallet, token))[1]
        data = call_data("liquidateCollateral(address,address,uint256,bool)", wallet, token, most * 9 // 10, False)
        call = ContractCall(self.curie.vault, data)
        if isinstance(self._chain.try_call(call, LIQUIDATOR), Returned):
            self._send(LIQUIDATOR, call, f"liquidate {self.curie.collateral.symbol}")

    # -- prices

    def _queue_arbitrage(self) -> None:
        """Trade every pool part of the way to the index and the market's mood."""
        markets = self.curie.markets
        asked = [
            ContractCall(to, data)
            for market in markets.values()
            for to, data in (
                (market.pool, call_data("slot0()")),
                (market.base, call_data("getIndexPrice(uint256)", 0)),
                (market.base, call_data("isOpen()")),
            )
        ]
        answers = self._chain.read(asked)
        rows = zip(markets.items(), answers[::3], answers[1::3], answers[2::3], strict=True)
        for (name, market), pool, index, is_open in rows:
            if self._rng.random() < MOOD_CHANCE:
                self._moods[name] = self._rng.randint(-MOOD_TICKS, MOOD_TICKS)
            share = self._rng.uniform(0.3, 1)
            if not (isinstance(pool, Returned) and isinstance(index, Returned) and any(is_open.data)):
                continue
            now = tick_in(pool.data)
            gap = calls.tick_of(words(index.data)[0] / calls.WAD) + self._moods[name] - now
            step = max(-MOST_TICKS_PER_BLOCK, min(MOST_TICKS_PER_BLOCK, round(gap * share)))
            if step:
                queue_push(self._chain, self.curie, market, now + step, is_short=step < 0, must_succeed=False)

    # -- users

    def _queue_user(self, wallet: Address) -> None:
        """One random action that the account's state allows, as far as can be told before the block."""
        rng, market = self._rng, self._rng.choice(list(self.curie.markets.values()))
        usdc, weth = self.curie.settlement, self.curie.collateral
        free, free_weth, size, orders = self._holdings(wallet, market)
        options = ["deposit", "deposit WETH", "settle"]
        options += ["withdraw", "open", "open", "add liquidity"] if free > 10**usdc.decimals else []
        options += ["withdraw WETH"] if free_weth else []
        options += ["reduce", "reduce", "close"] if size else []
        options += ["remove liquidity", "remove liquidity"] if orders else []
        action = rng.choice(options)
        part = rng.choice((rng.random(), 1)) if action != "reduce" else rng.uniform(0.05, 0.95)
        match action:
            case "deposit":
                call = calls.deposit_for(self.curie, wallet, usdc.address, rng.randint(1, 1000 * 10**usdc.decimals))
                wallet = LIQUIDITY_PROVIDER
            case "deposit WETH":
                call = calls.deposit_for(self.curie, wallet, weth.address, rng.randint(1, 10**weth.decimals))
                wallet = LIQUIDITY_PROVIDER
            case "withdraw":
                call = calls.withdraw(self.curie, usdc.address, max(1, int(free * part)))
            case "settle":
                call = calls.withdraw(self.curie, usdc.address, 0)  # what is owed goes into the balance
            case "withdraw WETH":
                call = calls.withdraw(self.curie, weth.address, max(1, int(free_weth * part)))
            case "open":
                call = self._opened(market, free, rng.uniform(0.2, 9.5))
            case "add liquidity":
                call = self._liquidity(market, free, rng.uniform(0.2, 4))
            case "reduce":
                call = self._reduced(market, int(size * part))
            case "close":
                call = calls.close(self.curie, market)
            case _:
                lower, upper, liquidity = self._order(rng.choice(orders))
                taken = rng.choice((0, liquidity, int(liquidity * part)))
                call = calls.remove_liquidity(self.curie, market, lower, upper, taken)
        self._send(wallet, call, f"perp {action}")

    def _opened(self, market: CurieMarket, free: int, leverage: float) -> ContractCall:
        """A long or a short for `leverage` times what is free of the margin (settlement units)."""
        notional = int(free * leverage) * 10 ** (18 - self.curie.settlement.decimals)
        if self._rng.random() < 0.5:
            return calls.long(self.curie, market, notional)
        return calls.short(self.curie, market, notional * calls.WAD // self._index(market))

    def _reduced(self, market: CurieMarket, size: int) -> ContractCall:
        """The opposite trade of a part of a position."""
        if size > 0:
            return calls.short(self.curie, market, size)
        return calls.long(self.curie, market, max(1, -size * self._index(market) // calls.WAD))

    def _liquidity(self, market: CurieMarket, free: int, share: float) -> ContractCall:
        quote = int(free * share) * 10 ** (18 - self.curie.settlement.decimals)
        tick = curie_mark.pool_tick(self._chain, market)
        ticks = calls.ticks_around(tick, self._rng.choice((240, 900, 3000)))
        return calls.add_liquidity(self.curie, market, quote * calls.WAD // self._index(market), quote, *ticks)

    def _holdings(self, wallet: Address, market: CurieMarket) -> tuple[int, int, int, Sequence[bytes]]:
        """What may be withdrawn of USDC and of WETH (their units), the taker's size, and ids of orders."""
        free, own = "getFreeCollateralByToken(address,address)", (wallet, market.base)
        asked = [
            ContractCall(self.curie.vault, call_data(free, wallet, self.curie.settlement.address)),
            ContractCall(self.curie.vault, call_data(free, wallet, self.curie.collateral.address)),
            ContractCall(self.curie.account_balance, call_data("getTakerPositionSize(address,address)", *own)),
            ContractCall(self.curie.order_book, call_data("getOpenOrderIds(address,address)", *own)),
        ]
        usdc, weth, size, orders = (r.data if isinstance(r, Returned) else b"" for r in self._chain.read(asked))
        ids = [orders[start : start + 32] for start in range(64, len(orders), 32)]
        return int.from_bytes(usdc), int.from_bytes(weth), int.from_bytes(size, signed=True), ids

    def _order(self, order_id: bytes) -> tuple[int, int, int]:
        """Lower tick, upper tick, liquidity."""
        data = self._chain.call(self.curie.order_book, "getOpenOrderById(bytes32)", order_id)
        lower, upper = (int.from_bytes(data[start : start + 32], signed=True) for start in (32, 64))
        return lower, upper, words(data)[0]

    def _index(self, market: CurieMarket) -> int:
        return words(self._chain.call(market.base, "getIndexPrice(uint256)", 0))[0]

    def _send(self, sender: Address, call: ContractCall, what: str) -> None:
        label = f"{what} in {self.curie.id}"
        gas = SWAP_GAS if sender == LIQUIDATOR else USER_GAS
        self._chain.send(sender, call.target, call.data, gas=gas, label=label, must_succeed=False)
