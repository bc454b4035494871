"""What the devnet lists: tokens, prices, and the risk parameters of each deployment (of the order of real ones)."""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils.crypto import keccak

from app.domain.chain import Address
from devnet.artifacts import aave_v3_0_artifact
from devnet.chain import DevChain
from devnet.compile import OWN_CONTRACTS, compiled

PRICE_DECIMALS = 8
CENTS = 100


@dataclass(frozen=True, slots=True)
class Asset:
    """A token of this world."""

    symbol: str
    name: str
    decimals: int
    price: int
    """Opening price in USD with 8 decimals: also what the price walk comes back to."""
    volatility: float
    """Standard deviation of one block's relative price move on its own."""
    group: str
    """Assets of one group move together besides."""


@dataclass(frozen=True, slots=True)
class Token:
    """An asset as it lies on the chain."""

    symbol: str
    address: Address
    decimals: int
    feed: Address


@dataclass(frozen=True, slots=True)
class Listing:
    """Parameters of one reserve; ratios in basis points, caps in whole tokens (0 = none)."""

    symbol: str
    ltv: int
    threshold: int
    bonus: int
    """10500 = 5 % more collateral than the debt is worth."""
    reserve_factor: int
    protocol_fee: int
    supply_cap: int
    borrow_cap: int
    debt_ceiling_usd: int = 0
    """Not 0: usable as collateral in isolation only."""
    borrowable_in_isolation: bool = False
    is_stable: bool = False


ASSETS = (
    Asset("WETH", "Wrapped Ether", 18, 3_000_00000000, 0.0008, "ETH"),
    Asset("wstETH", "Wrapped liquid staked Ether", 18, 3_570_00000000, 0.0002, "ETH"),
    Asset("WBTC", "Wrapped BTC", 8, 65_000_00000000, 0.0012, "BTC"),
    Asset("USDC", "USD Coin", 6, 1_00000000, 0.00002, "USD"),
    Asset("USDT", "Tether USD", 6, 99950000, 0.00003, "USD"),
    Asset("DAI", "Dai Stablecoin", 18, 1_00020000, 0.00003, "USD"),
    Asset("LINK", "ChainLink Token", 18, 14_50000000, 0.0025, "LINK"),
)
GROUP_VOLATILITY = {"ETH": 0.0025, "BTC": 0.0015, "USD": 0.0, "LINK": 0.0}
"""Standard deviation of one block's relative move that a whole group shares."""

LISTINGS_V3_0 = (
    Listing("WETH", 8050, 8300, 10500, 1500, 1000, 1_800_000, 1_400_000),
    Listing("wstETH", 7850, 8100, 10600, 1500, 1000, 1_100_000, 120_000),
    Listing("WBTC", 7300, 7800, 10500, 2000, 1000, 43_000, 28_000),
    Listing("USDC", 7700, 8000, 10450, 1000, 1000, 1_760_000_000, 1_580_000_000, 0, True, True),
    Listing("USDT", 7500, 7800, 10450, 1000, 1000, 1_500_000_000, 1_300_000_000, 0, True, True),
    Listing("DAI", 6300, 7700, 10500, 2500, 1000, 338_000_000, 271_000_000, 0, True, True),
    Listing("LINK", 5300, 6800, 10700, 2000, 1000, 15_000_000, 13_000_000, 20_000_000),
)
LISTINGS_V3_6 = (
    Listing("WETH", 8050, 8300, 10500, 1500, 1000, 2_700_000, 1_400_000),
    Listing("wstETH", 7850, 8100, 10600, 3500, 1000, 1_300_000, 24_000),
    Listing("WBTC", 7300, 7800, 10500, 5000, 1000, 43_000, 28_000),
    Listing("USDC", 7500, 7800, 10450, 1000, 1000, 6_750_000_000, 6_310_000_000, is_stable=True),
    # No threshold of its own: it is collateral inside the stablecoin eMode only.
    Listing("USDT", 0, 0, 0, 1000, 1000, 8_000_000_000, 7_500_000_000, is_stable=True),
    Listing("DAI", 6300, 7700, 10500, 2500, 1000, 338_000_000, 271_000_000, is_stable=True),
    Listing("LINK", 6600, 7100, 10700, 2000, 1000, 15_000_000, 13_000_000),
)


def actor(name: str) -> Address:
    """A fixed address for a role; nobody holds its key, the node lets it be impersonated."""
    return Address(keccak(text=f"waterline devnet {name}")[12:])


ADMIN = actor("admin")
TREASURY = actor("treasury")
FEEDER = actor("price feeder")
LIQUIDITY_PROVIDER = actor("liquidity provider")
LIQUIDATOR = actor("liquidator")


def deploy_tokens(chain: DevChain) -> dict[str, Token]:
    """Queue every token and its price feed; usable after the next block."""
    token_code = aave_v3_0_artifact("mocks/tokens/MintableERC20")
    feed_code = compiled(OWN_CONTRACTS)["PriceFeed"]
    tokens = {}
    for asset in ASSETS:
        types = ("string", "string", "uint8")
        address = chain.deploy(ADMIN, token_code, types, asset.name, asset.symbol, asset.decimals)
        description = f"{asset.symbol} / USD"
        feed = chain.deploy(ADMIN, feed_code, ("uint8", "string", "int256"), PRICE_DECIMALS, description, asset.price)
        tokens[asset.symbol] = Token(asset.symbol, address, asset.decimals, feed)
    return tokens
