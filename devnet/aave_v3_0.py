"""Deploys the real Aave V3.0: one eMode category per asset, isolation mode, half-up rounding, 50 % close factor."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.chain import Address
from devnet.artifacts import aave_v3_0_artifact
from devnet.assets import ADMIN, LISTINGS_V3_0, TREASURY, Listing, Token
from devnet.chain import DevChain
from devnet.codec import address_in, decoded
from devnet.deployed import Deployed, Reserve

ID = "aave-v3-0-devnet"
RAY = 10**27
ZERO = Address(bytes(20))

EMODES = (
    (1, 9000, 9300, 10100, "ETH correlated", ("WETH", "wstETH")),
    (2, 9300, 9500, 10100, "Stablecoins", ("USDC", "USDT", "DAI")),
)
"""(id, LTV, liquidation threshold, bonus, label, member symbols)"""

_LIBRARIES = ("SupplyLogic", "EModeLogic", "BorrowLogic", "LiquidationLogic", "BridgeLogic", "PoolLogic")
_INIT_RESERVE = (
    "initReserves((address,address,address,uint8,address,address,address,address,string,string,string,string,"
    "string,string,bytes)[])"
)


def deploy(chain: DevChain, tokens: Mapping[str, Token]) -> Deployed:
    """Deploy and configure everything; takes four blocks."""
    libraries = _deploy_libraries(chain)
    provider = chain.deploy(
        ADMIN,
        aave_v3_0_artifact("protocol/configuration/PoolAddressesProvider"),
        ("string", "address"),
        "Waterline devnet V3.0",
        ADMIN,
    )
    registry = chain.deploy(
        ADMIN, aave_v3_0_artifact("protocol/configuration/PoolAddressesProviderRegistry"), ("address",), ADMIN
    )
    chain.execute(ADMIN, registry, "registerAddressesProvider(address,uint256)", provider, 1)
    chain.execute(ADMIN, provider, "setACLAdmin(address)", ADMIN)
    acl = chain.deploy(ADMIN, aave_v3_0_artifact("protocol/configuration/ACLManager"), ("address",), provider)
    chain.execute(ADMIN, provider, "setACLManager(address)", acl)
    for role in ("PoolAdmin", "EmergencyAdmin", "RiskAdmin", "AssetListingAdmin"):
        chain.execute(ADMIN, acl, f"add{role}(address)", ADMIN)

    pool_code = aave_v3_0_artifact("protocol/pool/Pool")
    pool_implementation = chain.deploy(ADMIN, pool_code, ("address",), provider, libraries=libraries)
    chain.execute(ADMIN, pool_implementation, "initialize(address)", provider)
    configurator_code = aave_v3_0_artifact("protocol/pool/PoolConfigurator")
    configurator_implementation = chain.deploy(ADMIN, configurator_code, libraries=libraries)
    chain.execute(ADMIN, configurator_implementation, "initialize(address)", provider)
    chain.execute(ADMIN, provider, "setPoolImpl(address)", pool_implementation)
    chain.execute(ADMIN, provider, "setPoolConfiguratorImpl(address)", configurator_implementation)
    data_provider = chain.deploy(ADMIN, aave_v3_0_artifact("misc/AaveProtocolDataProvider"), ("address",), provider)
    chain.execute(ADMIN, provider, "setPoolDataProvider(address)", data_provider)
    oracle = _deploy_oracle(chain, provider, tokens)
    start_block = chain.mine().number

    pool = address_in(chain.call(provider, "getPool()"))
    configurator = address_in(chain.call(provider, "getPoolConfigurator()"))
    _list_reserves(chain, provider, pool, configurator, tokens)
    chain.mine()
    for listing in LISTINGS_V3_0:
        _configure(chain, configurator, tokens[listing.symbol].address, listing)
    for category, ltv, threshold, bonus, label, members in EMODES:
        signature = "setEModeCategory(uint8,uint16,uint16,uint16,address,string)"
        chain.execute(ADMIN, configurator, signature, category, ltv, threshold, bonus, ZERO, label)
        for symbol in members:
            chain.execute(ADMIN, configurator, "setAssetEModeCategory(address,uint8)", tokens[symbol].address, category)
    chain.mine()
    return Deployed(
        id=ID,
        name="Aave V3.0 (devnet)",
        version=(3, 0),
        pool=pool,
        addresses_provider=provider,
        configurator=configurator,
        oracle=oracle,
        data_provider=data_provider,
        start_block=start_block,
        reserves={listing.symbol: _reserve(chain, data_provider, tokens[listing.symbol]) for listing in LISTINGS_V3_0},
    )


def _deploy_libraries(chain: DevChain) -> dict[str, Address]:
    folder = "protocol/libraries/logic"
    found: dict[str, Address] = {}
    for name in (*_LIBRARIES, "ConfiguratorLogic"):
        found[name] = chain.deploy(ADMIN, aave_v3_0_artifact(f"{folder}/{name}"))
    flash_loans = aave_v3_0_artifact(f"{folder}/FlashLoanLogic")  # the only one that needs another
    found["FlashLoanLogic"] = chain.deploy(ADMIN, flash_loans, libraries=found)
    return found


def _deploy_oracle(chain: DevChain, provider: Address, tokens: Mapping[str, Token]) -> Address:
    assets = [tokens[listing.symbol].address for listing in LISTINGS_V3_0]
    feeds = [tokens[listing.symbol].feed for listing in LISTINGS_V3_0]
    types = ("address", "address[]", "address[]", "address", "address", "uint256")
    oracle = chain.deploy(
        ADMIN, aave_v3_0_artifact("misc/AaveOracle"), types, provider, assets, feeds, ZERO, ZERO, 10**8
    )
    chain.execute(ADMIN, provider, "setPriceOracle(address)", oracle)
    return oracle


def _list_reserves(
    chain: DevChain, provider: Address, pool: Address, configurator: Address, tokens: Mapping[str, Token]
) -> None:
    folder = "protocol/tokenization"
    a_token, s_token, v_token = (
        chain.deploy(ADMIN, aave_v3_0_artifact(f"{folder}/{name}"), ("address",), pool)
        for name in ("AToken", "StableDebtToken", "VariableDebtToken")
    )
    strategies = {is_stable: _deploy_rates(chain, provider, is_stable) for is_stable in (False, True)}
    rows = []
    for listing in LISTINGS_V3_0:
        token, symbol = tokens[listing.symbol], listing.symbol
        names = (f"Aave {symbol}", f"a{symbol}", f"Aave variable debt {symbol}", f"variableDebt{symbol}")
        stable_names = (f"Aave stable debt {symbol}", f"stableDebt{symbol}")
        strategy = strategies[listing.is_stable]
        rows.append(
            (a_token, s_token, v_token, token.decimals, strategy, token.address, TREASURY, ZERO)
            + (*names, *stable_names, b"\x10")
        )
    chain.execute(ADMIN, configurator, _INIT_RESERVE, rows, gas=100_000_000)


def _deploy_rates(chain: DevChain, provider: Address, is_stable: bool) -> Address:
    percent = RAY // 100
    optimal, slope1, slope2 = (90, 4, 60) if is_stable else (80, 3, 80)
    variable = (optimal * percent, 0, slope1 * percent, slope2 * percent)
    stable = (2 * percent, 75 * percent, 2 * percent, 5 * percent, 20 * percent)
    code = aave_v3_0_artifact("protocol/pool/DefaultReserveInterestRateStrategy")
    return chain.deploy(ADMIN, code, ("address", *["uint256"] * 9), provider, *variable, *stable)


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
    if listing.debt_ceiling_usd:
        set_up("setDebtCeiling(address,uint256)", listing.debt_ceiling_usd * 100)
    if listing.borrowable_in_isolation:
        set_up("setBorrowableInIsolation(address,bool)", True)


def _reserve(chain: DevChain, data_provider: Address, token: Token) -> Reserve:
    data = chain.call(data_provider, "getReserveTokensAddresses(address)", token.address)
    a_token, _, v_token = (Address.from_hex(str(value)) for value in decoded("(address,address,address)", data))
    return Reserve(token.symbol, token.address, token.decimals, token.feed, a_token, v_token)
