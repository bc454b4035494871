"""Deploys the real Venus core pool: the Diamond behind its Unitroller, markets with interest by blocks, and VAI.

What the present version insists on besides its documentation: a lens and a deviation-bounded oracle (borrowing
reverts without them), a distance between reserve reductions, and permission to borrow market by market.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from app.domain.chain import Address
from devnet.artifacts import venus_artifact
from devnet.assets import ADMIN, PRICE_DECIMALS, TREASURY, Token
from devnet.chain import DevChain

WAD = 10**18
FACETS = ("Market", "Policy", "Reward", "Setter", "FlashLoan")
CAP = 10**40
BLOCKS_PER_YEAR = 2_628_000
"""Blocks of twelve seconds."""
DEPLOY_GAS = 20_000_000


@dataclass(frozen=True, slots=True)
class Terms:
    """Parameters of one market; ratios in hundredths."""

    symbol: str
    factor: int
    threshold: int
    reserve_factor: int


TERMS = (
    Terms("WETH", 78, 82, 15),
    Terms("WBTC", 72, 78, 20),
    Terms("USDC", 80, 84, 10),
    Terms("DAI", 75, 79, 25),
)
POOL_TERMS = Terms("WETH", 90, 93, 15)
"""What accounts of the one special pool get for their WETH; everything else falls back to the core pool."""


@dataclass(frozen=True, slots=True)
class VenusMarket:
    """One market and its underlying."""

    token: Token
    address: Address


@dataclass(frozen=True, slots=True)
class Venus:
    """One Venus installation."""

    id: str
    name: str
    comptroller: Address
    oracle: Address
    vai_controller: Address
    vai: Address
    start_block: int
    markets: Mapping[str, VenusMarket]
    """By symbol of the underlying."""

    def as_row(self, chain_id: int) -> dict[str, object]:
        """In the shape of a deployments file."""
        return {
            "id": self.id,
            "chain_id": chain_id,
            "protocol": "compound-v2",
            "name": self.name,
            "address": to_checksum_address(self.comptroller),
            "start_block": self.start_block,
            "contracts": {},
        }


def oracle_price(token: Token, price: int) -> int:
    """A price (USD, 8 decimals) as the oracle holds it: USD x 10^(36 - decimals)."""
    scaled: int = price * 10 ** (36 - token.decimals - PRICE_DECIMALS)
    return scaled


def deploy(chain: DevChain, tokens: Mapping[str, Token], prices: Mapping[str, int], network: str) -> Venus:
    """Deploy, list and configure everything; takes three blocks."""
    comptroller, oracle = _deploy_comptroller(chain)
    start_block = chain.mine().number
    acm = chain.deploy(ADMIN, venus_artifact("test/AccessControlManagerMock"), ("address",), ADMIN)
    _configure(chain, comptroller, oracle, acm)
    vai, controller = _deploy_vai(chain, comptroller, acm)
    markets = _deploy_markets(chain, comptroller, acm, tokens)
    chain.mine()
    for terms in TERMS:
        market = markets[terms.symbol]
        price = oracle_price(market.token, prices[terms.symbol])
        chain.execute(ADMIN, oracle, "setDirectPrice(address,uint256)", market.token.address, price)
        _list(chain, comptroller, market.address, terms)
    listed = [market.address for market in markets.values()]
    for kind in ("Supply", "Borrow"):
        signature = f"setMarket{kind}Caps(address[],uint256[])"
        chain.execute(ADMIN, comptroller, signature, listed, [CAP] * len(listed))
    _create_pool(chain, comptroller, markets[POOL_TERMS.symbol].address)
    chain.mine()
    name = f"Venus core pool ({network})"
    return Venus(f"venus-{network}", name, comptroller, oracle, controller, vai, start_block, markets)


def _deploy_comptroller(chain: DevChain) -> tuple[Address, Address]:
    """Queue Unitroller, Diamond and facets (each selector from the first facet that has it), and the price oracle."""
    unitroller = chain.deploy(ADMIN, venus_artifact("Comptroller/Unitroller"))
    diamond = chain.deploy(ADMIN, venus_artifact("Comptroller/Diamond/Diamond"))
    chain.execute(ADMIN, unitroller, "_setPendingImplementation(address)", diamond)
    chain.execute(ADMIN, diamond, "_become(address)", unitroller)
    cuts, taken = [], set()
    for name in FACETS:
        code = venus_artifact(f"Comptroller/Diamond/facets/{name}Facet")
        selectors = [selector for text in code.functions if (selector := keccak(text=text)[:4]) not in taken]
        taken.update(selectors)
        cuts.append((chain.deploy(ADMIN, code), 0, selectors))
    chain.execute(ADMIN, unitroller, "diamondCut((address,uint8,bytes4[])[])", cuts, gas=DEPLOY_GAS)
    return unitroller, chain.deploy(ADMIN, venus_artifact("test/SimplePriceOracle"))


def _configure(chain: DevChain, comptroller: Address, oracle: Address, acm: Address) -> None:
    lens = chain.deploy(ADMIN, venus_artifact("Lens/ComptrollerLens"))
    bounded = venus_artifact("DeviationBoundedOracle", "@venusprotocol/oracle/contracts")
    types = ("address", "address", "address")
    bounded_oracle = chain.deploy(ADMIN, bounded, types, oracle, ADMIN, ADMIN)  # the other two are never asked for
    chain.execute(ADMIN, comptroller, "_setAccessControl(address)", acm)
    chain.execute(ADMIN, comptroller, "setPriceOracle(address)", oracle)
    chain.execute(ADMIN, comptroller, "_setComptrollerLens(address)", lens)
    chain.execute(ADMIN, comptroller, "setDeviationBoundedOracle(address)", bounded_oracle)
    chain.execute(ADMIN, comptroller, "setCloseFactor(uint256)", WAD // 2)


def _deploy_vai(chain: DevChain, comptroller: Address, acm: Address) -> tuple[Address, Address]:
    """Queue VAI and its controller; the token and the controller's proxy."""
    vai = chain.deploy(ADMIN, venus_artifact("Tokens/VAI/VAI"), ("uint256",), 31337)  # for permits alone
    controller = chain.deploy(ADMIN, venus_artifact("Tokens/VAI/VAIUnitroller"))
    code = chain.deploy(ADMIN, venus_artifact("Tokens/VAI/VAIController"))
    chain.execute(ADMIN, controller, "_setPendingImplementation(address)", code)
    chain.execute(ADMIN, code, "_become(address)", controller)
    chain.execute(ADMIN, controller, "initialize()")
    chain.execute(ADMIN, controller, "_setComptroller(address)", comptroller)
    chain.execute(ADMIN, controller, "setAccessControl(address)", acm)
    chain.execute(ADMIN, controller, "setVAIToken(address)", vai)
    chain.execute(ADMIN, controller, "setReceiver(address)", TREASURY)
    chain.execute(ADMIN, controller, "setBaseRate(uint256)", WAD // 2)
    chain.execute(ADMIN, vai, "rely(address)", controller)
    chain.execute(ADMIN, comptroller, "_setVAIController(address)", controller)
    chain.execute(ADMIN, comptroller, "_setVAIMintRate(uint256)", 10_000)
    return vai, controller


def _deploy_markets(
    chain: DevChain, comptroller: Address, acm: Address, tokens: Mapping[str, Token]
) -> dict[str, VenusMarket]:
    implementation = chain.deploy(ADMIN, venus_artifact("Tokens/VTokens/VBep20Delegate"))
    yearly = [WAD * percent // 100 for percent in (2, 10, 150, 80)]
    rates = venus_artifact("InterestRateModels/JumpRateModel")
    model = chain.deploy(ADMIN, rates, ("uint256",) * 5, *yearly, BLOCKS_PER_YEAR)
    code = venus_artifact("Tokens/VTokens/VBep20Delegator")
    types = ("address", "address", "address", "uint256", "string", "string", "uint8", "address", "address", "bytes")
    markets = {}
    for terms in TERMS:
        token = tokens[terms.symbol]
        initial: int = 2 * 10 ** (8 + token.decimals)
        names = (f"Venus {terms.symbol}", f"v{terms.symbol}", 8)
        address = chain.deploy(
            ADMIN, code, types, token.address, comptroller, model, initial, *names, ADMIN, implementation, b""
        )
        chain.execute(ADMIN, address, "setAccessControlManager(address)", acm)
        chain.execute(ADMIN, address, "setReduceReservesBlockDelta(uint256)", 10**9)
        chain.execute(ADMIN, address, "_setReserveFactor(uint256)", WAD * terms.reserve_factor // 100)
        markets[terms.symbol] = VenusMarket(token, address)
    return markets


def _list(chain: DevChain, comptroller: Address, market: Address, terms: Terms) -> None:
    factors = (WAD * terms.factor // 100, WAD * terms.threshold // 100)
    chain.execute(ADMIN, comptroller, "_supportMarket(address)", market)
    chain.execute(ADMIN, comptroller, "setLiquidationIncentive(address,uint256)", market, WAD * 11 // 10)
    chain.execute(ADMIN, comptroller, "setCollateralFactor(address,uint256,uint256)", market, *factors)
    chain.execute(ADMIN, comptroller, "setIsBorrowAllowed(uint96,address,bool)", 0, market, True)


def _create_pool(chain: DevChain, comptroller: Address, market: Address) -> None:
    """Pool 1: better terms for one market that can be borrowed in it too."""
    factors = (WAD * POOL_TERMS.factor // 100, WAD * POOL_TERMS.threshold // 100)
    chain.execute(ADMIN, comptroller, "createPool(string)", "ETH")
    chain.execute(ADMIN, comptroller, "addPoolMarkets(uint96[],address[])", [1], [market])
    chain.execute(ADMIN, comptroller, "setLiquidationIncentive(uint96,address,uint256)", 1, market, WAD * 105 // 100)
    chain.execute(ADMIN, comptroller, "setCollateralFactor(uint96,address,uint256,uint256)", 1, market, *factors)
    chain.execute(ADMIN, comptroller, "setIsBorrowAllowed(uint96,address,bool)", 1, market, True)
    chain.execute(ADMIN, comptroller, "setAllowCorePoolFallback(uint96,bool)", 1, True)
