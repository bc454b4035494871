"""Deploys the real Perpetual Protocol v2 (Curie): two markets over Uniswap V3 pools, USDC and WETH as margin.

What it insists on besides its documentation: a base token's address below the quote token's, a cap of deposits that is
not zero, and half an hour of a pool's history before anything that needs the mark price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from math import isqrt

from eth_utils.address import to_checksum_address

from app.domain.chain import Address
from devnet.artifacts import curie_artifact, perp_oracle_artifact, uniswap_v3_artifact
from devnet.assets import ADMIN, PRICE_DECIMALS, Token, actor
from devnet.chain import DevChain
from devnet.codec import address_in, created_address

UINT256_MAX = 2**256 - 1
POOL_FEE = 3000
"""What the pool takes, in parts per million: the registry's own fee stands instead of it."""
EXCHANGE_FEE = 1000
INSURANCE_FUND_SHARE = 100_000
TICK_SPACING = 60
MAX_TICKS_PER_BLOCK = 1000
"""The most the contract takes: further than this no swap may move a pool within 15 seconds."""
TWAP_SECONDS = 900
"""Interval of the index price in funding and in the mark price."""
HISTORY_SECONDS = 1800
"""Interval of the pool's price in the mark price."""
OBSERVATIONS = 2000
"""Kept by a pool: the history that is needed, at one block a second."""
INSURANCE_USD = 1_000_000_000
COLLATERAL_RATIO, COLLATERAL_DISCOUNT = 700_000, 100_000
"""What a token that is not the settlement token counts for, and the liquidator's discount on it: parts per million."""


@dataclass(frozen=True, slots=True)
class CurieMarket:
    """One market. Its pool's price is quote per base, both of 18 decimals."""

    name: str
    underlying: Token
    """Whose feed gives the index price."""
    base: Address
    feed: Address
    """Follows the underlying's feed; only what is cached in it counts in time-weighted prices."""
    pool: Address


@dataclass(frozen=True, slots=True)
class Curie:
    """One installation."""

    id: str
    name: str
    clearing_house: Address
    account_balance: Address
    vault: Address
    exchange: Address
    order_book: Address
    market_registry: Address
    config: Address
    collateral_manager: Address
    insurance_fund: Address
    settlement: Token
    collateral: Token
    start_block: int
    markets: Mapping[str, CurieMarket]
    """By name, e.g. `vETH`."""

    def as_row(self, chain_id: int) -> dict[str, object]:
        """In the shape of a deployments file."""
        return {
            "id": self.id,
            "chain_id": chain_id,
            "protocol": "perp-curie",
            "name": self.name,
            "address": to_checksum_address(self.clearing_house),
            "start_block": self.start_block,
            "contracts": {},
        }


def deploy(
    chain: DevChain, tokens: Mapping[str, Token], prices: Mapping[str, int], network: str, opening: tuple[int, int]
) -> Curie:
    """Deploy, wire and configure everything; takes three blocks.

    The pools open at the price (USD, 8 decimals) times `opening`, a fraction, and cannot be traded in for half an hour.
    """
    core = _deploy_core(chain)
    named = {"vETH": tokens["WETH"], "vBTC": tokens["WBTC"]}
    feeds = {name: _deploy_feed(chain, token) for name, token in named.items()}
    bases = {name: chain.deploy(ADMIN, curie_artifact("BaseToken")) for name in named}
    quote = _deploy_quote(chain, max(bases.values()))
    start_block = chain.mine().number
    _initialize(chain, core, quote, tokens["USDC"])
    for name, base in bases.items():
        chain.execute(ADMIN, base, "initialize(string,string,address)", name, name, feeds[name][1])
        chain.execute(
            ADMIN, core["factory"], "createPool(address,address,uint24)", base, quote, POOL_FEE, gas=8_000_000
        )
    chain.mine()
    markets = {}
    for name, token in named.items():
        data = chain.call(core["factory"], "getPool(address,address,uint24)", bases[name], quote, POOL_FEE)
        markets[name] = CurieMarket(name, token, bases[name], feeds[name][0], address_in(data))
        price = prices[token.symbol] * opening[0] // opening[1]
        _list(chain, core, quote, markets[name], price)
    weth = (feeds["vETH"][0], COLLATERAL_RATIO, COLLATERAL_DISCOUNT, UINT256_MAX)
    signature = "addCollateral(address,(address,uint24,uint24,uint256))"
    chain.execute(ADMIN, core["CollateralManager"], signature, tokens["WETH"].address, weth)
    chain.execute(ADMIN, tokens["USDC"].address, "mint(address,uint256)", core["InsuranceFund"], INSURANCE_USD * 10**6)
    chain.mine()
    return Curie(
        id=f"perp-curie-{network}",
        name=f"Perpetual Protocol v2 ({network})",
        clearing_house=core["ClearingHouse"],
        account_balance=core["AccountBalance"],
        vault=core["Vault"],
        exchange=core["Exchange"],
        order_book=core["OrderBook"],
        market_registry=core["MarketRegistry"],
        config=core["ClearingHouseConfig"],
        collateral_manager=core["CollateralManager"],
        insurance_fund=core["InsuranceFund"],
        settlement=tokens["USDC"],
        collateral=tokens["WETH"],
        start_block=start_block,
        markets=markets,
    )


def sqrt_price_x96(price: int) -> int:
    """A price (USD, 8 decimals) as pools hold it: its square root times 2^96, rounded down."""
    return isqrt(price * 2**192 // 10**PRICE_DECIMALS)


CORE = (
    "ClearingHouseConfig",
    "MarketRegistry",
    "OrderBook",
    "Exchange",
    "AccountBalance",
    "InsuranceFund",
    "Vault",
    "CollateralManager",
    "ClearingHouse",
    "DelegateApproval",
)


def _deploy_core(chain: DevChain) -> dict[str, Address]:
    core = {name: chain.deploy(ADMIN, curie_artifact(name)) for name in CORE}
    core["factory"] = chain.deploy(ADMIN, uniswap_v3_artifact("UniswapV3Factory"))
    return core


def _deploy_feed(chain: DevChain, token: Token) -> tuple[Address, Address]:
    """Queue the protocol's own feed over the devnet's, and the dispatcher in front of it."""
    types = ("address", "uint256", "uint80")
    feed = chain.deploy(ADMIN, perp_oracle_artifact("ChainlinkPriceFeedV3"), types, token.feed, 86_400, TWAP_SECONDS)
    chain.execute(ADMIN, feed, "update()")
    return feed, chain.deploy(ADMIN, perp_oracle_artifact("PriceFeedDispatcher"), ("address",), feed)


def _deploy_quote(chain: DevChain, above: Address) -> Address:
    """Queue the quote token at an address higher than `above`: what counts is who deploys it."""
    deployers = (actor(f"curie quote deployer {number}") for number in count())
    deployer = next(who for who in deployers if created_address(who, 0) > above)
    return chain.deploy(deployer, curie_artifact("QuoteToken"))


def _initialize(chain: DevChain, core: Mapping[str, Address], quote: Address, settlement: Token) -> None:
    """Queue every contract's initialisation, and who knows whom."""
    config, registry, book, exchange, balance, fund, vault, manager, house, approval = (core[name] for name in CORE)

    def call(to: Address, signature: str, *arguments: object) -> None:
        chain.execute(ADMIN, to, signature, *arguments)

    def initialize(to: Address, *addresses: Address) -> None:
        call(to, f"initialize({','.join(['address'] * len(addresses))})", *addresses)

    call(quote, "initialize(string,string)", "vUSD", "vUSD")
    initialize(config)
    initialize(registry, core["factory"], quote)
    initialize(book, registry)
    initialize(fund, settlement.address)
    initialize(exchange, registry, book, config)
    call(book, "setExchange(address)", exchange)
    initialize(balance, config, book)
    initialize(vault, fund, config, balance, exchange)
    limits = (5, 750_000, 500_000, 2000, 30_000, 10_000 * 10**6, 500 * 10**6)
    signature = "initialize(address,address,uint8,uint24,uint24,uint24,uint24,uint256,uint256)"
    call(manager, signature, config, vault, *limits)
    call(fund, "setVault(address)", vault)
    initialize(house, config, vault, quote, core["factory"], exchange, balance, fund)
    initialize(approval)
    call(house, "setDelegateApproval(address)", approval)
    for knower in (exchange, book, balance, vault, registry):
        call(knower, "setClearingHouse(address)", house)
    call(exchange, "setAccountBalance(address)", balance)
    call(balance, "setVault(address)", vault)
    call(vault, "setCollateralManager(address)", manager)
    call(config, "setSettlementTokenBalanceCap(uint256)", UINT256_MAX)
    call(quote, "mintMaximumTo(address)", house)
    call(quote, "addWhitelist(address)", house)


def _list(chain: DevChain, core: Mapping[str, Address], quote: Address, market: CurieMarket, price: int) -> None:
    """Queue what makes a market out of a base token and its pool, at a price (USD, 8 decimals)."""
    base, pool, registry = market.base, market.pool, core["MarketRegistry"]
    chain.execute(ADMIN, pool, "initialize(uint160)", sqrt_price_x96(price))
    signature = "increaseObservationCardinalityNext(uint16)"
    chain.execute(ADMIN, pool, signature, OBSERVATIONS, gas=30_000 * OBSERVATIONS)
    chain.execute(ADMIN, base, "mintMaximumTo(address)", core["ClearingHouse"])
    for token, holder in ((base, core["ClearingHouse"]), (base, pool), (quote, pool)):
        chain.execute(ADMIN, token, "addWhitelist(address)", holder)
    chain.execute(ADMIN, registry, "addPool(address,uint24)", base, POOL_FEE)
    chain.execute(ADMIN, registry, "setFeeRatio(address,uint24)", base, EXCHANGE_FEE)
    chain.execute(ADMIN, registry, "setInsuranceFundFeeRatio(address,uint24)", base, INSURANCE_FUND_SHARE)
    signature = "setMaxTickCrossedWithinBlock(address,uint24)"
    chain.execute(ADMIN, core["Exchange"], signature, base, MAX_TICKS_PER_BLOCK)
