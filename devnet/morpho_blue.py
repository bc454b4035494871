"""Deploys the real Morpho Blue with a few markets, and gives it a population and a life of its own."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from app.domain.chain import ZERO_ADDRESS, Address, ContractCall, Returned, Reverted
from devnet.assets import ADMIN, LIQUIDATOR, LIQUIDITY_PROVIDER, TREASURY, Token
from devnet.chain import MULTICALL3, DevChain
from devnet.codec import Value, aggregate_data, arguments_data, call_data, words
from devnet.compile import MORPHO_BLUE, compiled

WAD = 10**18
GAS = 1_000_000
UINT256_MAX = 2**256 - 1
PARAMS = "(address,address,address,address,uint256)"
ACTIONS_PER_BLOCK = (0, 1, 1, 2, 3)
LIQUIDATIONS_PER_BLOCK = 2
_PARAM_TYPES = ("address", "address", "address", "address", "uint256")
_HEALTHY = call_data("Error(string)", "position is healthy")


@dataclass(frozen=True, slots=True)
class Terms:
    """One market to create; ratios in WAD."""

    loan: str
    collateral: str
    lltv: int
    fee: int = 0
    model: str | None = "IrmMock"
    """Contract of the rate model; None: debts bear no interest."""


TERMS = (
    Terms("USDC", "WETH", 860 * WAD // 1000, fee=WAD // 10, model="DriftingIrm"),
    Terms("USDC", "WBTC", 860 * WAD // 1000),
    Terms("WETH", "wstETH", 945 * WAD // 1000, fee=WAD // 4),
    Terms("DAI", "LINK", 625 * WAD // 1000, model="DriftingIrm"),
    Terms("USDT", "WETH", 915 * WAD // 1000, model=None),
)


@dataclass(frozen=True, slots=True)
class Market:
    """One created market."""

    terms: Terms
    params: tuple[Value, ...]
    """The five words its id is the hash of, as the codec takes them."""
    id: bytes
    loan: Token
    collateral: Token
    oracle: Address


@dataclass(frozen=True, slots=True)
class MorphoBlue:
    """One installation."""

    id: str
    name: str
    address: Address
    lens: Address
    """The package's own library of accrued balances, callable."""
    start_block: int
    markets: tuple[Market, ...]

    def as_row(self, chain_id: int) -> dict[str, object]:
        """In the shape of a deployments file."""
        return {
            "id": self.id,
            "chain_id": chain_id,
            "protocol": "morpho-blue",
            "name": self.name,
            "address": to_checksum_address(self.address),
            "start_block": self.start_block,
            "contracts": {},
        }


def deploy(
    chain: DevChain, tokens: Mapping[str, Token], network: str, markets_terms: Sequence[Terms] = TERMS
) -> MorphoBlue:
    """Deploy the contract, two rate models, an oracle a market, and create the markets; takes two blocks."""
    codes = compiled(MORPHO_BLUE)
    morpho = chain.deploy(ADMIN, codes["Morpho"], ("address",), ADMIN)
    models: dict[str | None, Address] = {name: chain.deploy(ADMIN, codes[name]) for name in ("IrmMock", "DriftingIrm")}
    models[None] = ZERO_ADDRESS
    lens = chain.deploy(ADMIN, codes["MorphoLens"])
    start_block = chain.mine().number
    for model in models.values():
        chain.execute(ADMIN, morpho, "enableIrm(address)", model)
    for lltv in sorted({terms.lltv for terms in markets_terms}):
        chain.execute(ADMIN, morpho, "enableLltv(uint256)", lltv)
    chain.execute(ADMIN, morpho, "setFeeRecipient(address)", TREASURY)
    markets = []
    for terms in markets_terms:
        loan, collateral = tokens[terms.loan], tokens[terms.collateral]
        numbers = (collateral.feed, loan.feed, collateral.decimals, loan.decimals)
        types = ("address", "address", "uint256", "uint256")
        oracle = chain.deploy(ADMIN, codes["FeedOracle"], types, *numbers)
        params = (loan.address, collateral.address, oracle, models[terms.model], terms.lltv)
        chain.execute(ADMIN, morpho, f"createMarket({PARAMS})", params)
        if terms.fee:
            chain.execute(ADMIN, morpho, f"setFee({PARAMS},uint256)", params, terms.fee)
        identity = keccak(arguments_data(_PARAM_TYPES, *params))
        markets.append(Market(terms, params, identity, loan, collateral, oracle))
    chain.mine()
    return MorphoBlue(f"morpho-blue-{network}", f"Morpho Blue ({network})", morpho, lens, start_block, tuple(markets))


@dataclass(frozen=True, slots=True)
class State:
    """All that a next block depends on besides the chain."""

    randomness: object
    tried: tuple[tuple[bytes, Address], ...]
    """Pairs of market id and wallet."""


def join(
    chain: DevChain,
    tokens: Mapping[str, Token],
    prices: Mapping[str, int],
    wallets: Sequence[Address],
    seed: int,
    network: str,
) -> MorphoLife:
    """Deploy, and populate at these prices (USD, 8 decimals)."""
    return MorphoLife(chain, deploy(chain, tokens, network), wallets, prices, seed)


class MorphoLife:
    """What wallets do in Morpho's markets, drawn from randomness of its own: a `Neighbour` of Aave."""

    def __init__(
        self,
        chain: DevChain,
        deployed: MorphoBlue,
        wallets: Sequence[Address],
        prices: Mapping[str, int],
        seed: int,
    ) -> None:
        """Half of the wallets are given a position, at opening prices (USD, 8 decimals)."""
        self.deployed = deployed
        self._chain = chain
        self._rng = random.Random(f"{seed} morpho blue")
        self._wallets = list(wallets[::2])
        self._known: dict[tuple[bytes, Address], Market] = {}
        """Every pair of market and wallet that ever was tried."""
        self._populate(prices)

    @property
    def state(self) -> object:
        return State(self._rng.getstate(), tuple(self._known))

    @state.setter
    def state(self, state: object) -> None:
        assert isinstance(state, State)
        self._rng.setstate(state.randomness)  # type: ignore[arg-type]  # what getstate() gave, opaque by design
        by_id = {market.id: market for market in self.deployed.markets}
        self._known = {pair: by_id[pair[0]] for pair in state.tried}

    def as_row(self, chain_id: int) -> dict[str, object]:
        """In the shape of a deployments file."""
        return self.deployed.as_row(chain_id)

    def queue_prices(self, prices: Mapping[str, int]) -> None:
        """Nothing: the oracles read the feeds that everybody shares."""

    @property
    def accounts(self) -> list[tuple[Market, Address]]:
        """Everybody who ever may have had a position."""
        return [(market, wallet) for (_, wallet), market in self._known.items()]

    def queue_block(self) -> None:
        """Queue one block's liquidations and what users do; the contract may refuse any of them."""
        rng = self._rng
        accounts = self.accounts
        tried = rng.sample(accounts, min(len(accounts), 20))
        unhealthy = [pair for pair in tried if self.is_liquidatable(*pair)]
        for market, wallet in unhealthy[:LIQUIDATIONS_PER_BLOCK]:
            self._liquidate(market, wallet)
        for wallet in rng.sample(self._wallets, min(len(self._wallets), rng.choice(ACTIONS_PER_BLOCK))):
            self._act(rng.choice(self.deployed.markets), wallet)

    def exposed(self) -> set[Address]:
        """Wallets with a debt in any market now."""
        return {wallet for market, wallet in self.accounts if self.position(market, wallet)[1]}

    def is_liquidatable(self, market: Market, wallet: Address) -> bool:
        """The contract's word: whether a liquidation comes further than the check of health."""
        data = call_data(
            f"liquidate({PARAMS},address,uint256,uint256,bytes)", market.params, wallet, UINT256_MAX, 0, b""
        )
        result = self._chain.try_call(ContractCall(self.deployed.address, data), LIQUIDATOR)
        return isinstance(result, Reverted) and result.data != _HEALTHY

    def position(self, market: Market, wallet: Address) -> tuple[int, int, int]:
        """Supply shares, borrow shares, collateral."""
        data = self._chain.call(self.deployed.address, "position(bytes32,address)", market.id, wallet)
        supply_shares, borrow_shares, collateral = words(data)
        return supply_shares, borrow_shares, collateral

    def _populate(self, prices: Mapping[str, int]) -> None:
        """Lenders first, then every wallet with a loan somewhere between safe and nearly too much."""
        rng = self._rng
        symbols = sorted({symbol for terms in TERMS for symbol in (terms.loan, terms.collateral)})
        tokens = {market.loan.symbol: market.loan for market in self.deployed.markets}
        tokens |= {market.collateral.symbol: market.collateral for market in self.deployed.markets}
        for wallet in (LIQUIDITY_PROVIDER, LIQUIDATOR, *self._wallets):
            calls = [
                ContractCall(tokens[symbol].address, call_data("mint(address,uint256)", wallet, 10**40))
                for symbol in symbols
            ]
            self._chain.send(ADMIN, MULTICALL3, aggregate_data(calls, may_fail=False), gas=5_000_000)
            for symbol in symbols:
                token = tokens[symbol].address
                self._chain.execute(wallet, token, "approve(address,uint256)", self.deployed.address, UINT256_MAX)
        self._chain.mine()
        for market in self.deployed.markets:
            amount = _worth(20_000_000, market.loan, prices)
            self._send(LIQUIDITY_PROVIDER, market, "supply", amount, 0, LIQUIDITY_PROVIDER, b"", must_succeed=True)
        for wallet in self._wallets:
            for market in rng.sample(self.deployed.markets, rng.choice((1, 1, 2))):
                dollars = rng.randint(100, 100_000)
                collateral = _worth(dollars, market.collateral, prices)
                self._send(wallet, market, "supplyCollateral", collateral, wallet, b"", must_succeed=True)
                part = rng.choice((rng.randint(400, 970), rng.randint(970, 999)))
                owed = _worth(dollars, market.loan, prices) * market.terms.lltv // WAD * part // 1000
                self._send(wallet, market, "borrow", owed, 0, wallet, wallet, must_succeed=True)
        self._chain.mine()

    def _act(self, market: Market, wallet: Address) -> None:
        rng = self._rng
        self._known[market.id, wallet] = market
        supply_shares, borrow_shares, collateral = self.position(market, wallet)
        options = ["supply", "supplyCollateral"]
        options += ["withdraw"] if supply_shares else []
        options += ["withdrawCollateral", "borrow", "borrow"] if collateral else []
        options += ["repay", "repay", "repay all"] if borrow_shares else []
        receiver, payer = rng.choice(self._wallets), rng.choice((wallet, wallet, LIQUIDITY_PROVIDER))
        part = rng.randint(1, 10**6)
        amount = rng.randint(1, 10 ** (market.loan.decimals + rng.randint(0, 4)))
        match rng.choice(options):
            case "supply":
                self._send(payer, market, "supply", amount, 0, wallet, b"")
            case "supplyCollateral":
                most = 10 ** (market.collateral.decimals + rng.randint(-1, 1))
                self._send(payer, market, "supplyCollateral", rng.randint(1, most), wallet, b"")
            case "withdraw":
                self._send(wallet, market, "withdraw", 0, max(1, supply_shares * part // 10**6), wallet, receiver)
            case "withdrawCollateral":
                taken = max(1, collateral * part // 3 // 10**6)
                self._send(wallet, market, "withdrawCollateral", taken, wallet, receiver)
            case "borrow":
                self._send(wallet, market, "borrow", amount, 0, wallet, receiver)
            case "repay":
                self._send(payer, market, "repay", 0, max(1, borrow_shares * part // 10**6), wallet, b"")
            case _:
                self._send(payer, market, "repay", 0, borrow_shares, wallet, b"")

    def _liquidate(self, market: Market, wallet: Address) -> None:
        """A part or all of the debt; all of the collateral where that is worth less."""
        _, borrow_shares, collateral = self.position(market, wallet)
        half = self._rng.random() < 0.5
        attempts = ((0, borrow_shares // 2), (0, borrow_shares), (collateral, 0))
        for seized, repaid in attempts if half else attempts[1:]:
            signature = f"liquidate({PARAMS},address,uint256,uint256,bytes)"
            call = ContractCall(self.deployed.address, call_data(signature, market.params, wallet, seized, repaid, b""))
            if isinstance(self._chain.try_call(call, LIQUIDATOR), Returned):
                label = f"liquidate {market.terms.collateral} for {market.terms.loan} in {self.deployed.id}"
                self._chain.send(LIQUIDATOR, call.target, call.data, gas=GAS, label=label, must_succeed=False)
                return

    def _send(
        self, sender: Address, market: Market, action: str, *arguments: Value, must_succeed: bool = False
    ) -> None:
        data = call_data(f"{action}({PARAMS},{_ARGUMENTS[action]})", market.params, *arguments)
        label = f"morpho {action} {market.terms.loan}/{market.terms.collateral}"
        self._chain.send(sender, self.deployed.address, data, gas=GAS, label=label, must_succeed=must_succeed)
        self._known[market.id, sender] = market


_ARGUMENTS = {
    "supply": "uint256,uint256,address,bytes",
    "withdraw": "uint256,uint256,address,address",
    "borrow": "uint256,uint256,address,address",
    "repay": "uint256,uint256,address,bytes",
    "supplyCollateral": "uint256,address,bytes",
    "withdrawCollateral": "uint256,address,address",
}
"""Types after the market's, by function."""


def _worth(dollars: int, token: Token, prices: Mapping[str, int]) -> int:
    """So many dollars in a token's own units."""
    unit: int = 10 ** (8 + token.decimals)
    return dollars * unit // prices[token.symbol]
