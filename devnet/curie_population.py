"""Who holds what in Perpetual Protocol v2 on the devnet: longs, shorts, makers, and those between."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.domain.chain import Address, ContractCall
from devnet import curie_calls as calls
from devnet.assets import ADMIN, LIQUIDATOR, LIQUIDITY_PROVIDER, PRICE_DECIMALS, Token
from devnet.chain import MULTICALL3, DevChain
from devnet.codec import aggregate_data, call_data
from devnet.curie import HISTORY_SECONDS, UINT256_MAX, Curie, CurieMarket
from devnet.curie_calls import WAD
from devnet.curie_mark import MARKET_MOVER, push_to, wait

KINDS = (
    "near_long",
    "near_short",
    "long",
    "short",
    "both",
    "maker",
    "maker_taker",
    "collateral",
    "mixed",
    "closed",
    "deposit",
    "dust",
    "empty",
)
HIGH, LOW, MIDDLE = (1040, 1000), (967, 1000), (1, 1)
"""Pool prices as fractions of the feeds': the near ones open at these, and are as near once the price has come back."""
PRIVILEGED_MARGIN = 10**18
"""Units of USDC (10^12 USD) of those who trade as much as it takes."""
DEPTH_USD = 10**10
"""What a move of the price by a factor of four takes, about: so deep that users hardly move it."""
WIDE_TICKS = 23_000
"""A factor of ten to both sides."""
DEPOSITS_PER_TRANSACTION = 50
TRANSACTIONS_PER_BLOCK = 400
USER_GAS = 6_000_000
_LEVERAGES = {"near_long": (8.8, 9.75), "near_short": (8.8, 9.75), "long": (0.5, 9.5), "short": (0.5, 9.5)}


@dataclass(frozen=True, slots=True)
class Plan:
    """What one wallet is given."""

    wallet: Address
    kind: str
    margin_usd: int
    market: CurieMarket


class Population:
    """Carries plans out. What the contracts refuse is remembered, and is not to be expected."""

    def __init__(self, chain: DevChain, curie: Curie, prices: Mapping[str, int], rng: random.Random) -> None:
        self._chain, self._curie, self._prices, self._rng = chain, curie, prices, rng
        self._waiting = 0
        self.refused: list[str] = []

    def populate(self, wallets: Sequence[Address]) -> list[Plan]:
        """Give every wallet what its kind holds; the kinds take turns. Three times half an hour of chain time."""
        markets = list(self._curie.markets.values())
        plans = []
        for number, wallet in enumerate(wallets):
            kind = KINDS[number % len(KINDS)]
            margin_usd = self._rng.randint(1, 2) if kind == "dust" else self._rng.randint(100, 10_000)
            plans.append(Plan(wallet, kind, margin_usd, self._rng.choice(markets)))
        wait(self._chain, markets, HISTORY_SECONDS + 60)
        self._fund(plans)
        for market in markets:
            self._provide(market)
        self._mine()
        self._open(plans, ("near_long",), HIGH)
        self._move(LOW)
        self._open(plans, ("near_short",), LOW)
        self._move(MIDDLE)
        self._open(plans, [kind for kind in KINDS if not kind.startswith("near")], MIDDLE)
        for plan in plans:
            if plan.kind == "closed":
                self._send(plan.wallet, calls.close(self._curie, plan.market), "close")
            elif plan.kind == "collateral":
                self._take(plan.wallet, plan.market, -plan.margin_usd / 2, MIDDLE)
                # nothing is paid out: what was lost becomes a negative balance
                self._send(plan.wallet, calls.withdraw(self._curie, self._curie.settlement.address, 0), "settle")
        self._mine()
        return plans

    def _fund(self, plans: Iterable[Plan]) -> None:
        """Margin for everybody, by Multicall3 out of what it was minted."""
        usdc, weth, vault = self._curie.settlement, self._curie.collateral, self._curie.vault
        orders: list[tuple[Address, Token, int | None]] = []
        for who in (LIQUIDITY_PROVIDER, MARKET_MOVER, LIQUIDATOR, MULTICALL3):
            orders.append((who, usdc, PRIVILEGED_MARGIN))
            orders += [(who, token, None) for token in (usdc, weth)]
        for plan in plans:
            if plan.kind not in ("empty", "collateral"):
                orders.append((plan.wallet, usdc, plan.margin_usd * 10**usdc.decimals))
            if plan.kind in ("collateral", "mixed"):
                orders.append((plan.wallet, weth, self._units(weth, plan.margin_usd)))
        approval = call_data("approve(address,uint256)", vault, UINT256_MAX)
        first = [ContractCall(token.address, approval) for token in (usdc, weth)]
        for who in (LIQUIDITY_PROVIDER, LIQUIDATOR):
            for approve in first:
                self._chain.send(who, approve.target, approve.data, gas=USER_GAS)
        batch = first
        for who, token, amount in orders:
            minted = who if amount is None else MULTICALL3
            data = call_data("mint(address,uint256)", minted, 10**30 if amount is None else amount)
            batch.append(ContractCall(token.address, data))
            if amount is not None:
                batch.append(calls.deposit_for(self._curie, who, token.address, amount))
            if len(batch) >= 2 * DEPOSITS_PER_TRANSACTION:
                batch = self._aggregate(batch)
        self._aggregate(batch)
        self._mine()

    def _aggregate(self, batch: Sequence[ContractCall]) -> list[ContractCall]:
        self._chain.send(ADMIN, MULTICALL3, aggregate_data(batch, may_fail=False), gas=30_000_000, label="perp margin")
        return []

    def _provide(self, market: CurieMarket) -> None:
        tick = calls.tick_of(self._price(market, HIGH))
        amounts = (self._size(market, DEPTH_USD, HIGH), DEPTH_USD * WAD)
        call = calls.add_liquidity(self._curie, market, *amounts, *calls.ticks_around(tick, WIDE_TICKS))
        self._send(LIQUIDITY_PROVIDER, call, "liquidity")

    def _move(self, level: tuple[int, int]) -> None:
        """Bring the pools to a level, and let the mark prices follow."""
        for market in self._curie.markets.values():
            push_to(self._chain, self._curie, market, calls.tick_of(self._price(market, level)))
        wait(self._chain, self._curie.markets.values(), HISTORY_SECONDS + 60)

    def _open(self, plans: Iterable[Plan], kinds: Sequence[str], level: tuple[int, int]) -> None:
        for plan in plans:
            if plan.kind in kinds:
                self._open_one(plan, level)
        self._mine()

    def _open_one(self, plan: Plan, level: tuple[int, int]) -> None:
        wallet, market, usd = plan.wallet, plan.market, plan.margin_usd
        match plan.kind:
            case "near_long" | "long" | "near_short" | "short":
                notional = usd * self._rng.uniform(*_LEVERAGES[plan.kind])
                self._take(wallet, market, notional if plan.kind.endswith("long") else -notional, level)
            case "both":
                for number, other in enumerate(self._curie.markets.values()):
                    self._take(wallet, other, usd * self._rng.uniform(1, 4) * (-1) ** number, level)
            case "maker":
                self._make(plan, self._rng.uniform(0.5, 4), level)
            case "maker_taker":
                self._make(plan, self._rng.uniform(0.5, 2), level)
                self._take(wallet, market, usd * self._rng.choice((-2, 2)), level)
            case "collateral":
                self._take(wallet, market, usd * self._rng.uniform(1, 5), level)
            case "mixed":
                self._take(wallet, market, -usd * self._rng.uniform(1, 12), level)
            case "closed":
                self._take(wallet, market, usd * 3, level)
            case "dust":
                self._take(wallet, market, self._rng.choice((-1e-6, 1e-6, 0.01)), level)

    def _take(self, wallet: Address, market: CurieMarket, notional_usd: float, level: tuple[int, int]) -> None:
        """Long where the notional is positive, else short."""
        if notional_usd > 0:
            call = calls.long(self._curie, market, int(notional_usd * 10**9) * 10**9)
        else:
            call = calls.short(self._curie, market, self._size(market, -notional_usd, level))
        self._send(wallet, call, "long" if notional_usd > 0 else "short")

    def _make(self, plan: Plan, share: float, level: tuple[int, int]) -> None:
        """Liquidity around the price: as much quote as this share of the margin, and as much base."""
        tick = calls.tick_of(self._price(plan.market, level))
        usd = plan.margin_usd * share
        amounts = (self._size(plan.market, usd, level), int(usd * 10**9) * 10**9)
        ticks = calls.ticks_around(tick, self._rng.choice((240, 600, 1500, 4000)))
        self._send(plan.wallet, calls.add_liquidity(self._curie, plan.market, *amounts, *ticks), "liquidity")

    def _send(self, wallet: Address, call: ContractCall, what: str) -> None:
        if self._waiting >= TRANSACTIONS_PER_BLOCK:
            self._mine()
        label = f"{what} of {wallet} in {self._curie.id}"
        self._chain.send(wallet, call.target, call.data, gas=USER_GAS, label=label, must_succeed=False)
        self._waiting += 1

    def _mine(self) -> None:
        self.refused += self._chain.mine().refused
        self._waiting = 0

    def _price(self, market: CurieMarket, level: tuple[int, int]) -> float:
        price: float = self._prices[market.underlying.symbol] / 10**PRICE_DECIMALS
        return price * level[0] / level[1]

    def _size(self, market: CurieMarket, usd: float, level: tuple[int, int]) -> int:
        """So many dollars in base (18 decimals) at a level."""
        price = self._prices[market.underlying.symbol] * level[0] // level[1]
        size: int = int(usd * 10**9) * 10 ** (PRICE_DECIMALS + 9) // price
        return size

    def _units(self, token: Token, usd: int) -> int:
        unit: int = 10 ** (token.decimals + PRICE_DECIMALS)
        return usd * unit // self._prices[token.symbol]
