"""Deploys the real Aave V3.6: liquid eModes, deficit accounting, floor/ceil rounding, dust-aware close factor."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.chain import Address
from devnet.artifacts import Artifact
from devnet.assets import ADMIN, LISTINGS_V3_6, TREASURY, Listing, Token
from devnet.chain import DevChain
from devnet.codec import address_in, arguments_data, decoded
from devnet.compile import AAVE_V3_6, compiled
from devnet.deployed import Deployed, Reserve

ID = "aave-v3-6-devnet"
ZERO = Address(bytes(20))

EMODES = (
    (1, 9300, 9500, 10100, "ETH correlated", ("WETH", "wstETH"), ("WETH", "wstETH"), ()),
    (2, 9300, 9500, 10100, "Stablecoins", ("USDC", "USDT", "DAI"), ("USDC", "USDT", "DAI"), ()),
    (3, 8800, 9100, 10300, "ETH for stablecoins", ("WETH", "wstETH"), ("USDC", "USDT"), ()),
    (4, 8400, 8700, 10400, "BTC, staked ETH held", ("WBTC", "wstETH"), ("USDC", "WETH"), ("wstETH",)),
)
"""(id, LTV, liquidation threshold, bonus, label, collateral, borrowable, collateral that gives no borrowing power)"""

_LIBRARIES = ("SupplyLogic", "BorrowLogic", "LiquidationLogic", "PoolLogic", "ConfiguratorLogic")
_INIT_RESERVE = "initReserves((address,address,address,string,string,string,string,bytes,bytes)[])"


def deploy(chain: DevChain, tokens: Mapping[str, Token]) -> Deployed:
    """Deploy and configure everything; takes four blocks."""
    code = compiled(AAVE_V3_6)
    libraries = {name: chain.deploy(ADMIN, code[name]) for name in _LIBRARIES}
    libraries["FlashLoanLogic"] = chain.deploy(ADMIN, code["FlashLoanLogic"], libraries=libraries)
    provider = chain.deploy(ADMIN, code["PoolAddressesProvider"], ("string", "address"), "Waterline devnet V3.6", ADMIN)
    registry = chain.deploy(ADMIN, code["PoolAddressesProviderRegistry"], ("address",), ADMIN)
    chain.execute(ADMIN, registry, "registerAddressesProvider(address,uint256)", provider, 1)
    chain.execute(ADMIN, provider, "setACLAdmin(address)", ADMIN)
    acl = chain.deploy(ADMIN, code["ACLManager"], ("address",), provider)
    chain.execute(ADMIN, provider, "setACLManager(address)", acl)
    for role in ("PoolAdmin", "EmergencyAdmin", "RiskAdmin", "AssetListingAdmin"):
        chain.execute(ADMIN, acl, f"add{role}(address)", ADMIN)

    strategy = chain.deploy(ADMIN, code["DefaultReserveInterestRateStrategyV2"], ("address",), provider)
    pool_code = code["PoolInstance"]
    implementation = chain.deploy(ADMIN, pool_code, ("address", "address"), provider, strategy, libraries=libraries)
    chain.execute(ADMIN, provider, "setPoolImpl(address)", implementation)
    configurator_implementation = chain.deploy(ADMIN, code["PoolConfiguratorInstance"], libraries=libraries)
    chain.execute(ADMIN, provider, "setPoolConfiguratorImpl(address)", configurator_implementation)
    data_provider = chain.deploy(ADMIN, code["AaveProtocolDataProvider"], ("address",), provider)
    chain.execute(ADMIN, provider, "setPoolDataProvider(address)", data_provider)
    oracle = _deploy_oracle(chain, code["AaveOracle"], provider, tokens)
    start_block = chain.mine().number

    pool = address_in(chain.call(provider, "getPool()"))
    configurator = address_in(chain.call(provider, "getPoolConfigurator()"))
    _list_reserves(chain, code, pool, configurator, tokens)
    chain.mine()
    for listing in LISTINGS_V3_6:
        _configure(chain, configurator, tokens[listing.symbol].address, listing)
    chain.mine()
    _configure_emodes(chain, configurator, tokens)
    chain.mine()
    return Deployed(
        id=ID,
        name="Aave V3.6 (devnet)",
        version=(3, 6),
        pool=pool,
        addresses_provider=provider,
        configurator=configurator,
        oracle=oracle,
        data_provider=data_provider,
        start_block=start_block,
        reserves={listing.symbol: _reserve(chain, data_provider, tokens[listing.symbol]) for listing in LISTINGS_V3_6},
    )


def _deploy_oracle(chain: DevChain, code: Artifact, provider: Address, tokens: Mapping[str, Token]) -> Address:
    assets = [tokens[listing.symbol].address for listing in LISTINGS_V3_6]
    feeds = [tokens[listing.symbol].feed for listing in LISTINGS_V3_6]
    types = ("address", "address[]", "address[]", "address", "address", "uint256")
    oracle = chain.deploy(ADMIN, code, types, provider, assets, feeds, ZERO, ZERO, 10**8)
    chain.execute(ADMIN, provider, "setPriceOracle(address)", oracle)
    return oracle


def _list_reserves(
    chain: DevChain, code: Mapping[str, Artifact], pool: Address, configurator: Address, tokens: Mapping[str, Token]
) -> None:
    rewards = chain.deploy(ADMIN, code["RewardsController"], ("address",), ADMIN)
    three = ("address", "address", "address")
    a_token = chain.deploy(ADMIN, code["ATokenInstance"], three, pool, rewards, TREASURY)
    v_token = chain.deploy(ADMIN, code["VariableDebtTokenInstance"], three[:2], pool, rewards)
    rows = []
    for listing in LISTINGS_V3_6:
        symbol = listing.symbol
        rates = (9000, 0, 550, 4000) if listing.is_stable else (9000, 0, 270, 8000)
        names = (f"Aave {symbol}", f"a{symbol}", f"Aave variable debt {symbol}", f"variableDebt{symbol}")
        rate_data = arguments_data(("uint16", "uint32", "uint32", "uint32"), *rates)
        rows.append((a_token, v_token, tokens[symbol].address, *names, b"\x10", rate_data))
    chain.execute(ADMIN, configurator, _INIT_RESERVE, rows, gas=100_000_000)


def _configure(chain: DevChain, configurator: Address, asset: Address, listing: Listing) -> None:
    def set_up(signature: str, *arguments: object) -> None:
        chain.execute(ADMIN, configurator, signature, asset, *arguments)

    if listing.threshold:
        ratios = (listing.ltv, listing.threshold, listing.bonus)
        set_up("configureReserveAsCollateral(address,uint256,uint256,uint256)", *ratios)
    set_up("setReserveBorrowing(address,bool)", True)
    set_up("setReserveFactor(address,uint256)", listing.reserve_factor)
    set_up("setLiquidationProtocolFee(address,uint256)", listing.protocol_fee)
    set_up("setReserveFlashLoaning(address,bool)", True)
    set_up("setSupplyCap(address,uint256)", listing.supply_cap)
    set_up("setBorrowCap(address,uint256)", listing.borrow_cap)


def _configure_emodes(chain: DevChain, configurator: Address, tokens: Mapping[str, Token]) -> None:
    for category, ltv, threshold, bonus, label, collateral, borrowable, without_ltv in EMODES:
        signature = "setEModeCategory(uint8,uint16,uint16,uint16,string)"
        chain.execute(ADMIN, configurator, signature, category, ltv, threshold, bonus, label)
        members = {"Collateral": collateral, "Borrowable": borrowable, "Ltvzero": without_ltv}
        for role, symbols in members.items():
            for symbol in symbols:
                setter = f"setAsset{role}InEMode(address,uint8,bool)"
                chain.execute(ADMIN, configurator, setter, tokens[symbol].address, category, True)


def _reserve(chain: DevChain, data_provider: Address, token: Token) -> Reserve:
    data = chain.call(data_provider, "getReserveTokensAddresses(address)", token.address)
    a_token, _, v_token = (Address.from_hex(str(value)) for value in decoded("(address,address,address)", data))
    return Reserve(token.symbol, token.address, token.decimals, token.feed, a_token, v_token)
