"""Who uses Venus on the devnet, and what they do block after block: deposits, debts, VAI, and real liquidations."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from app.domain.chain import Address, ContractCall, Returned
from devnet import venus
from devnet.assets import FEEDER, LIQUIDATOR, LIQUIDITY_PROVIDER, PRICE_DECIMALS, Token
from devnet.chain import MULTICALL3, DevChain
from devnet.codec import Value, aggregate_data, call_data, wallet_call_data, words
from devnet.venus import TERMS, WAD, Venus, oracle_price

GAS = 4_000_000
PLENTY = 10**34
LIQUIDITY_USD = 20_000_000
LIQUIDATIONS_PER_BLOCK = 3
USERS_PER_BLOCK = (1, 2, 3)
VOLATILE = ("WETH", "WBTC")
STABLE = ("USDC", "DAI")
KINDS = ("single", "near", "two", "supply_only", "not_entered", "same_asset", "pool", "vai", "empty")
_SHARES = {
    "near": (0.97, 0.999),
    "single": (0.2, 0.9),
    "two": (0.3, 0.95),
    "same_asset": (0.3, 0.9),
    "pool": (0.5, 0.98),
}


def join(
    chain: DevChain,
    tokens: Mapping[str, Token],
    prices: Mapping[str, int],
    wallets: Sequence[Address],
    seed: int,
    network: str,
) -> VenusLife:
    """Deploy Venus and populate it; takes seven blocks."""
    installed = venus.deploy(chain, tokens, prices, network)
    life = VenusLife(chain, installed, wallets, random.Random(f"venus {seed}"))
    life.populate(prices)
    return life


class VenusLife:
    """Draws what happens from its own randomness and from what the contracts say now."""

    def __init__(self, chain: DevChain, installed: Venus, wallets: Sequence[Address], rng: random.Random) -> None:
        self.venus = installed
        self._chain, self._wallets, self._rng = chain, wallets, rng
        self._borrowable = {symbol: market.address for symbol, market in installed.markets.items()}

    @property
    def state(self) -> object:
        return self._rng.getstate()

    @state.setter
    def state(self, state: object) -> None:
        self._rng.setstate(state)  # type: ignore[arg-type]  # what getstate() gave, opaque by design

    def as_row(self, chain_id: int) -> dict[str, object]:
        """In the shape of a deployments file."""
        return self.venus.as_row(chain_id)

    def populate(self, prices: Mapping[str, int]) -> None:
        """Give every wallet what its kind holds; the kinds take turns, so that all exist."""
        for who in (LIQUIDITY_PROVIDER, LIQUIDATOR):
            for market in self.venus.markets.values():
                token = market.token.address
                self._chain.execute(who, token, "mint(address,uint256)", who, PLENTY, gas=GAS)
                self._chain.execute(who, token, "approve(address,uint256)", market.address, 2**256 - 1, gas=GAS)
        self._chain.mine()
        for symbol in self.venus.markets:
            self._supply(LIQUIDITY_PROVIDER, symbol, self._units(symbol, LIQUIDITY_USD, prices))
        plans = []
        for number, wallet in enumerate(self._wallets):
            kind = KINDS[number % len(KINDS)]
            collateral = self._rng.sample(VOLATILE, 2 if kind == "two" else 1) if kind != "pool" else ["WETH"]
            usd = [self._rng.randint(500, 100_000) for _ in collateral]
            if kind != "empty":
                plans.append((wallet, kind, dict(zip(collateral, usd, strict=True))))
        for wallet, _, holdings in plans:
            for symbol, usd_value in holdings.items():
                self._supply(wallet, symbol, self._units(symbol, usd_value, prices))
        self._chain.mine()
        for wallet, kind, holdings in plans:
            if kind != "not_entered":
                self._act(wallet, "enterMarkets(address[])", [self._borrowable[symbol] for symbol in holdings])
            if kind == "pool":
                self._act(wallet, "enterPool(uint96)", 1)
        self._chain.mine()
        for wallet, kind, holdings in plans:
            self._open_debts(wallet, kind, holdings, prices)
        self._chain.mine()

    def queue_block(self) -> None:
        """Liquidations first, then users."""
        self._queue_liquidations()
        for wallet in self._rng.sample(self._wallets, min(self._rng.choice(USERS_PER_BLOCK), len(self._wallets))):
            self._queue_user(wallet)

    def queue_prices(self, prices: Mapping[str, int]) -> None:
        """Queue prices (USD, 8 decimals) by symbol, in one transaction; those of other assets are passed over."""
        moved = {symbol: price for symbol, price in prices.items() if symbol in self.venus.markets}
        if moved:
            calls = [
                ContractCall(self.venus.oracle, call_data("setDirectPrice(address,uint256)", token.address, price))
                for token, price in (self._oracle_price(symbol, price) for symbol, price in moved.items())
            ]
            data = aggregate_data(calls, may_fail=False)
            self._chain.send(FEEDER, MULTICALL3, data, gas=2_000_000, label=f"venus prices {' '.join(moved)}")

    def exposed(self) -> set[Address]:
        """Wallets with a debt now; minted VAI alone is not looked for."""
        asked = [
            (wallet, ContractCall(market, wallet_call_data("borrowBalanceStored(address)", wallet)))
            for wallet in self._wallets
            for market in self._borrowable.values()
        ]
        answers = self._chain.read([call for _, call in asked])
        return {wallet for (wallet, _), answer in zip(asked, answers, strict=True) if any(answer.data)}

    def _open_debts(self, wallet: Address, kind: str, holdings: Mapping[str, int], prices: Mapping[str, int]) -> None:
        factors = {terms.symbol: terms.factor for terms in TERMS}
        room = sum(usd * (90 if kind == "pool" else factors[symbol]) / 100 for symbol, usd in holdings.items())
        if kind == "vai":
            self._send(wallet, self.venus.vai_controller, "mintVAI(uint256)", int(room * 0.9) * WAD)
        elif kind in _SHARES:
            symbols = (
                [*holdings] if kind == "same_asset" else ["WETH"] if kind == "pool" else [self._rng.choice(STABLE)]
            )
            if kind == "two":
                symbols = [*STABLE]
            share = self._rng.uniform(*_SHARES[kind]) / len(symbols)
            for symbol in symbols:
                self._send(
                    wallet, self._borrowable[symbol], "borrow(uint256)", self._units(symbol, room * share, prices)
                )

    def _queue_user(self, wallet: Address) -> None:
        """One random action, whatever the contracts make of it."""
        rng = self._rng
        symbol = rng.choice([*self._borrowable])
        market, unit = self.venus.markets[symbol], 10 ** self.venus.markets[symbol].token.decimals
        match rng.choice(("supply", "redeem", "borrow", "repay", "transfer", "enter", "exit", "vai", "donate")):
            case "supply":
                self._supply(wallet, symbol, rng.randint(1, 3 * unit))
            case "redeem":
                self._send(wallet, market.address, "redeem(uint256)", self._balance(market.address, wallet) // 3)
            case "borrow":
                self._send(wallet, market.address, "borrow(uint256)", rng.randint(1, unit))
            case "repay":
                signature = "repayBorrowBehalf(address,uint256)"
                self._send(LIQUIDITY_PROVIDER, market.address, signature, wallet, rng.randint(1, unit))
            case "transfer":
                amount = self._balance(market.address, wallet) // 4
                self._send(wallet, market.address, "transfer(address,uint256)", rng.choice(self._wallets), amount)
            case "enter":
                self._act(wallet, "enterMarkets(address[])", [market.address])
            case "exit":
                self._act(wallet, "exitMarket(address)", market.address)
            case "vai":
                self._send(wallet, self.venus.vai_controller, "mintVAI(uint256)", rng.randint(1, 100 * WAD))
            case "donate":
                signature = "transfer(address,uint256)"
                self._send(LIQUIDITY_PROVIDER, market.token.address, signature, market.address, unit)

    def _queue_liquidations(self) -> None:
        """Repay part of the largest debt of some accounts that the Comptroller says are in shortfall."""
        asked = [
            ContractCall(self.venus.comptroller, wallet_call_data("getAccountLiquidity(address)", wallet))
            for wallet in self._wallets
        ]
        short = []
        for wallet, answer in zip(self._wallets, self._chain.read(asked), strict=True):
            if isinstance(answer, Returned) and words(answer.data)[0] == 0 and words(answer.data)[2]:
                short.append(wallet)
        for wallet in short[:LIQUIDATIONS_PER_BLOCK]:
            self._liquidate(wallet)

    def _liquidate(self, wallet: Address) -> None:
        symbols = [*self._borrowable]
        data = wallet_call_data("getAccountSnapshot(address)", wallet)
        answers = self._chain.read([ContractCall(self._borrowable[symbol], data) for symbol in symbols])
        held = {symbol: words(a.data) for symbol, a in zip(symbols, answers, strict=True) if isinstance(a, Returned)}
        debts = [symbol for symbol, row in held.items() if row[2]]
        collateral = [symbol for symbol, row in held.items() if row[1]]
        for debt in debts:
            for seized in collateral:
                repay = held[debt][2] * self._rng.randint(10, 50) // 100
                target = self._borrowable[debt]
                signature = "liquidateBorrow(address,uint256,address)"
                call = ContractCall(target, call_data(signature, wallet, repay, self._borrowable[seized]))
                answer = self._chain.try_call(call, LIQUIDATOR)
                if isinstance(answer, Returned) and not int.from_bytes(answer.data):
                    label = f"liquidate {seized} for {debt} in {self.venus.id}"
                    self._chain.send(LIQUIDATOR, target, call.data, gas=GAS, label=label, must_succeed=False)
                    return

    def _supply(self, wallet: Address, symbol: str, amount: int) -> None:
        self._send(LIQUIDITY_PROVIDER, self._borrowable[symbol], "mintBehalf(address,uint256)", wallet, amount)

    def _act(self, wallet: Address, signature: str, *arguments: Value) -> None:
        self._send(wallet, self.venus.comptroller, signature, *arguments)

    def _send(self, wallet: Address, to: Address, signature: str, *arguments: Value) -> None:
        label = f"{signature} in {self.venus.id}"
        self._chain.send(wallet, to, call_data(signature, *arguments), gas=GAS, label=label, must_succeed=False)

    def _balance(self, token: Address, wallet: Address) -> int:
        return int.from_bytes(self._chain.call(token, "balanceOf(address)", wallet))

    def _units(self, symbol: str, usd: float, prices: Mapping[str, int]) -> int:
        unit = 10 ** (self.venus.markets[symbol].token.decimals + PRICE_DECIMALS)
        units: int = int(usd) * unit // prices[symbol]
        return units

    def _oracle_price(self, symbol: str, price: int) -> tuple[Token, int]:
        token = self.venus.markets[symbol].token
        return token, oracle_price(token, price)
