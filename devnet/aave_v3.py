"""What deploying Aave V3 has in common over its versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.domain.chain import ZERO_ADDRESS, Address
from devnet.artifacts import Artifact
from devnet.assets import ADMIN, CENTS, PRICE_DECIMALS, Listing, Token
from devnet.chain import DevChain
from devnet.codec import address_in, decoded
from devnet.deployed import Reserve

LISTING_GAS = 100_000_000
TOKEN_PARAMS = b"\x10"
"""Opaque parameters of the aToken and debt token initialisers; any will do."""


def deploy_roots(
    chain: DevChain, market: str, provider_code: Artifact, registry_code: Artifact, acl_code: Artifact
) -> Address:
    """Queue addresses provider, registry and access control with one admin for every role; the provider."""
    provider = chain.deploy(ADMIN, provider_code, ("string", "address"), market, ADMIN)
    registry = chain.deploy(ADMIN, registry_code, ("address",), ADMIN)
    chain.execute(ADMIN, registry, "registerAddressesProvider(address,uint256)", provider, 1)
    chain.execute(ADMIN, provider, "setACLAdmin(address)", ADMIN)  # the access control's constructor asks for it
    acl = chain.deploy(ADMIN, acl_code, ("address",), provider)
    chain.execute(ADMIN, provider, "setACLManager(address)", acl)
    for role in ("PoolAdmin", "EmergencyAdmin", "RiskAdmin", "AssetListingAdmin"):
        chain.execute(ADMIN, acl, f"add{role}(address)", ADMIN)
    return provider


def deploy_oracle(chain: DevChain, code: Artifact, provider: Address, tokens: Sequence[Token]) -> Address:
    """Queue a price oracle in USD with 8 decimals over the tokens' feeds, without a fallback."""
    types = ("address", "address[]", "address[]", "address", "address", "uint256")
    assets, feeds = [token.address for token in tokens], [token.feed for token in tokens]
    unit: int = 10**PRICE_DECIMALS
    oracle = chain.deploy(ADMIN, code, types, provider, assets, feeds, ZERO_ADDRESS, ZERO_ADDRESS, unit)
    chain.execute(ADMIN, provider, "setPriceOracle(address)", oracle)
    return oracle


def deploy_data_provider(chain: DevChain, code: Artifact, provider: Address) -> Address:
    """Queue the protocol data provider."""
    data_provider = chain.deploy(ADMIN, code, ("address",), provider)
    chain.execute(ADMIN, provider, "setPoolDataProvider(address)", data_provider)
    return data_provider


def configure_reserve(chain: DevChain, configurator: Address, asset: Address, listing: Listing) -> None:
    """Queue all settings of one listed reserve."""

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
        set_up("setDebtCeiling(address,uint256)", listing.debt_ceiling_usd * CENTS)
    if listing.borrowable_in_isolation:
        set_up("setBorrowableInIsolation(address,bool)", True)


def token_names(symbol: str) -> tuple[str, str, str, str]:
    """Name and symbol of the aToken, then of the variable debt token."""
    return (f"Aave {symbol}", f"a{symbol}", f"Aave variable debt {symbol}", f"variableDebt{symbol}")


def read_roots(chain: DevChain, provider: Address) -> tuple[Address, Address]:
    """The proxies the provider made: Pool and PoolConfigurator."""
    return address_in(chain.call(provider, "getPool()")), address_in(chain.call(provider, "getPoolConfigurator()"))


def read_reserves(
    chain: DevChain, data_provider: Address, listings: Sequence[Listing], tokens: Mapping[str, Token]
) -> dict[str, Reserve]:
    """Every listed reserve with its tokens, in listing order, which is the order of ids."""
    reserves = {}
    for listing in listings:
        token = tokens[listing.symbol]
        data = chain.call(data_provider, "getReserveTokensAddresses(address)", token.address)
        a_token, _, v_token = (Address.from_hex(str(value)) for value in decoded("(address,address,address)", data))
        reserves[token.symbol] = Reserve(token.symbol, token.address, token.decimals, token.feed, a_token, v_token)
    return reserves
