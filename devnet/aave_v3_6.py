"""Deploys the real Aave V3.6: liquid eModes, deficit accounting, floor/ceil rounding, dust-aware close factor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.chain import Address
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
from devnet.artifacts import Artifact
from devnet.assets import ADMIN, LISTINGS_V3_6, TREASURY, Token
from devnet.chain import DevChain
from devnet.codec import arguments_data
from devnet.compile import AAVE_V3_6, compiled
from devnet.deployed import Deployed


@dataclass(frozen=True, slots=True)
class EMode:
    """A liquid eMode; ratios in basis points. An asset may be in several."""

    id: int
    ltv: int
    threshold: int
    bonus: int
    label: str
    collateral: tuple[str, ...]
    borrowable: tuple[str, ...]


_STABLECOINS = ("USDC", "USDT", "DAI")
EMODES = (
    EMode(1, 9300, 9500, 10100, "ETH correlated", ("WETH", "wstETH"), ("WETH", "wstETH")),
    EMode(2, 9300, 9500, 10100, "Stablecoins", _STABLECOINS, _STABLECOINS),
    EMode(3, 8800, 9100, 10300, "ETH for stablecoins", ("WETH", "wstETH"), ("USDC", "USDT")),
    EMode(4, 8400, 8700, 10400, "BTC and staked ETH", ("WBTC", "wstETH"), ("USDC", "WETH")),
)
RETIRED = (4, "wstETH")
"""(eMode, symbol) that stops giving borrowing power once wallets hold it: it goes on protecting them."""

_LIBRARIES = ("SupplyLogic", "BorrowLogic", "LiquidationLogic", "PoolLogic", "ConfiguratorLogic")
_INIT_RESERVES = "initReserves((address,address,address,string,string,string,string,bytes,bytes)[])"


def deploy(chain: DevChain, tokens: Mapping[str, Token], network: str) -> Deployed:
    """Deploy, list and configure everything; takes three blocks."""
    code = compiled(AAVE_V3_6)
    libraries = {name: chain.deploy(ADMIN, code[name]) for name in _LIBRARIES}
    libraries["FlashLoanLogic"] = chain.deploy(ADMIN, code["FlashLoanLogic"], libraries=libraries)
    configuration = (code[n] for n in ("PoolAddressesProvider", "PoolAddressesProviderRegistry", "ACLManager"))
    provider = deploy_roots(chain, "Waterline devnet V3.6", *configuration)
    _deploy_pool(chain, code, provider, libraries)
    data_provider = deploy_data_provider(chain, code["AaveProtocolDataProvider"], provider)
    listed = [tokens[listing.symbol] for listing in LISTINGS_V3_6]
    oracle = deploy_oracle(chain, code["AaveOracle"], provider, listed)
    start_block = chain.mine().number

    pool, configurator = read_roots(chain, provider)
    _list_reserves(chain, code, pool, configurator, tokens)
    chain.mine()
    for listing in LISTINGS_V3_6:
        configure_reserve(chain, configurator, tokens[listing.symbol].address, listing)
    _configure_emodes(chain, configurator, tokens)
    chain.mine()
    return Deployed(
        id=f"aave-v3-6-{network}",
        name=f"Aave V3.6 ({network})",
        version=(3, 6),
        pool=pool,
        addresses_provider=provider,
        configurator=configurator,
        oracle=oracle,
        data_provider=data_provider,
        start_block=start_block,
        reserves=read_reserves(chain, data_provider, LISTINGS_V3_6, tokens),
    )


def retire_collateral(chain: DevChain, deployed: Deployed) -> None:
    """Queue setting `RETIRED` to LTV zero. Nobody could enter that eMode with it afterwards, so it comes late."""
    category, symbol = RETIRED
    asset = deployed.reserves[symbol].asset
    chain.execute(ADMIN, deployed.configurator, "setAssetLtvzeroInEMode(address,uint8,bool)", asset, category, True)


def _deploy_pool(
    chain: DevChain, code: Mapping[str, Artifact], provider: Address, libraries: Mapping[str, Address]
) -> None:
    rates = chain.deploy(ADMIN, code["DefaultReserveInterestRateStrategyV2"], ("address",), provider)
    two = ("address", "address")
    pool = chain.deploy(ADMIN, code["PoolInstance"], two, provider, rates, libraries=libraries)
    chain.execute(ADMIN, provider, "setPoolImpl(address)", pool)
    configurator = chain.deploy(ADMIN, code["PoolConfiguratorInstance"], libraries=libraries)
    chain.execute(ADMIN, provider, "setPoolConfiguratorImpl(address)", configurator)


def _list_reserves(
    chain: DevChain, code: Mapping[str, Artifact], pool: Address, configurator: Address, tokens: Mapping[str, Token]
) -> None:
    rewards = chain.deploy(ADMIN, code["RewardsController"], ("address",), ADMIN)
    three = ("address", "address", "address")
    a_token = chain.deploy(ADMIN, code["ATokenInstance"], three, pool, rewards, TREASURY)
    v_token = chain.deploy(ADMIN, code["VariableDebtTokenInstance"], three[:2], pool, rewards)
    rows = []
    for listing in LISTINGS_V3_6:
        rates = (9000, 0, 550, 4000) if listing.is_stable else (9000, 0, 270, 8000)  # optimum, base, slopes: bps
        rate_data = arguments_data(("uint16", "uint32", "uint32", "uint32"), *rates)
        asset, names = tokens[listing.symbol].address, token_names(listing.symbol)
        rows.append((a_token, v_token, asset, *names, TOKEN_PARAMS, rate_data))
    chain.execute(ADMIN, configurator, _INIT_RESERVES, rows, gas=LISTING_GAS)


def _configure_emodes(chain: DevChain, configurator: Address, tokens: Mapping[str, Token]) -> None:
    signature = "setEModeCategory(uint8,uint16,uint16,uint16,string)"
    for emode in EMODES:
        ratios = (emode.ltv, emode.threshold, emode.bonus)
        chain.execute(ADMIN, configurator, signature, emode.id, *ratios, emode.label)
        for role, symbols in (("Collateral", emode.collateral), ("Borrowable", emode.borrowable)):
            for symbol in symbols:
                setter = f"setAsset{role}InEMode(address,uint8,bool)"
                chain.execute(ADMIN, configurator, setter, tokens[symbol].address, emode.id, True)
