"""Deploys the real Aave V3.0: one eMode category per asset, isolation mode, half-up rounding, 50 % close factor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.chain import ZERO_ADDRESS, Address
from devnet.aave_v3 import (
    LISTING_GAS,
    TOKEN_PARAMS,
    configure_reserve,
    deploy_data_provider,
    deploy_oracle,
    deploy_roots,
    read_reserves,
    read_roots,
    token_names,
)
from devnet.artifacts import aave_v3_0_artifact
from devnet.assets import ADMIN, LISTINGS_V3_0, TREASURY, Token
from devnet.chain import DevChain
from devnet.deployed import Deployed

RAY_PERCENT = 10**25


@dataclass(frozen=True, slots=True)
class EMode:
    """A category of V3.0; ratios in basis points. An asset is in one at most, as collateral and as debt."""

    id: int
    ltv: int
    threshold: int
    bonus: int
    label: str
    members: tuple[str, ...]


EMODES = (
    EMode(1, 9000, 9300, 10100, "ETH correlated", ("WETH", "wstETH")),
    EMode(2, 9300, 9500, 10100, "Stablecoins", ("USDC", "USDT", "DAI")),
)

_LIBRARIES = (
    "SupplyLogic",
    "EModeLogic",
    "BorrowLogic",
    "LiquidationLogic",
    "BridgeLogic",
    "PoolLogic",
    "ConfiguratorLogic",
)
_INIT_RESERVES = (
    "initReserves((address,address,address,uint8,address,address,address,address,string,string,string,string,"
    "string,string,bytes)[])"
)


def deploy(chain: DevChain, tokens: Mapping[str, Token], network: str) -> Deployed:
    """Deploy, list and configure everything; takes three blocks."""
    libraries = _deploy_libraries(chain)
    configuration = (
        aave_v3_0_artifact(f"protocol/configuration/{name}")
        for name in ("PoolAddressesProvider", "PoolAddressesProviderRegistry", "ACLManager")
    )
    provider = deploy_roots(chain, "Waterline devnet V3.0", *configuration)
    _deploy_pool(chain, provider, libraries)
    data_provider = deploy_data_provider(chain, aave_v3_0_artifact("misc/AaveProtocolDataProvider"), provider)
    listed = [tokens[listing.symbol] for listing in LISTINGS_V3_0]
    oracle = deploy_oracle(chain, aave_v3_0_artifact("misc/AaveOracle"), provider, listed)
    start_block = chain.mine().number

    pool, configurator = read_roots(chain, provider)
    _list_reserves(chain, provider, pool, configurator, tokens)
    chain.mine()
    for listing in LISTINGS_V3_0:
        configure_reserve(chain, configurator, tokens[listing.symbol].address, listing)
    _configure_emodes(chain, configurator, tokens)
    chain.mine()
    return Deployed(
        id=f"aave-v3-0-{network}",
        name=f"Aave V3.0 ({network})",
        version=(3, 0),
        pool=pool,
        addresses_provider=provider,
        configurator=configurator,
        oracle=oracle,
        data_provider=data_provider,
        start_block=start_block,
        reserves=read_reserves(chain, data_provider, LISTINGS_V3_0, tokens),
    )


def _deploy_libraries(chain: DevChain) -> dict[str, Address]:
    folder = "protocol/libraries/logic"
    found: dict[str, Address] = {}
    for name in _LIBRARIES:
        found[name] = chain.deploy(ADMIN, aave_v3_0_artifact(f"{folder}/{name}"))
    flash_loans = aave_v3_0_artifact(f"{folder}/FlashLoanLogic")  # the only one that needs another
    found["FlashLoanLogic"] = chain.deploy(ADMIN, flash_loans, libraries=found)
    return found


def _deploy_pool(chain: DevChain, provider: Address, libraries: Mapping[str, Address]) -> None:
    pool = chain.deploy(ADMIN, aave_v3_0_artifact("protocol/pool/Pool"), ("address",), provider, libraries=libraries)
    chain.execute(ADMIN, pool, "initialize(address)", provider)
    configurator = chain.deploy(ADMIN, aave_v3_0_artifact("protocol/pool/PoolConfigurator"), libraries=libraries)
    chain.execute(ADMIN, configurator, "initialize(address)", provider)
    chain.execute(ADMIN, provider, "setPoolImpl(address)", pool)
    chain.execute(ADMIN, provider, "setPoolConfiguratorImpl(address)", configurator)


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
        implementations = (a_token, s_token, v_token)
        roles = (token.decimals, strategies[listing.is_stable], token.address, TREASURY, ZERO_ADDRESS)
        stable_debt_names = (f"Aave stable debt {symbol}", f"stableDebt{symbol}")
        rows.append((*implementations, *roles, *token_names(symbol), *stable_debt_names, TOKEN_PARAMS))
    chain.execute(ADMIN, configurator, _INIT_RESERVES, rows, gas=LISTING_GAS)


def _deploy_rates(chain: DevChain, provider: Address, is_stable: bool) -> Address:
    optimal, slope1, slope2 = (90, 4, 60) if is_stable else (80, 3, 80)
    variable = (optimal, 0, slope1, slope2)
    stable = (2, 75, 2, 5, 20)  # nobody can borrow at stable rates here, the constructor wants them all the same
    values = [percent * RAY_PERCENT for percent in (*variable, *stable)]
    code = aave_v3_0_artifact("protocol/pool/DefaultReserveInterestRateStrategy")
    return chain.deploy(ADMIN, code, ("address", *["uint256"] * 9), provider, *values)


def _configure_emodes(chain: DevChain, configurator: Address, tokens: Mapping[str, Token]) -> None:
    signature = "setEModeCategory(uint8,uint16,uint16,uint16,address,string)"
    for emode in EMODES:
        ratios = (emode.ltv, emode.threshold, emode.bonus)
        chain.execute(ADMIN, configurator, signature, emode.id, *ratios, ZERO_ADDRESS, emode.label)
        for symbol in emode.members:
            asset = tokens[symbol].address
            chain.execute(ADMIN, configurator, "setAssetEModeCategory(address,uint8)", asset, emode.id)
