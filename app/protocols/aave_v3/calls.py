"""The calls this adapter makes. Signatures from the protocol's own interfaces (IPool, IAaveOracle, ...)."""

from __future__ import annotations

from app.protocols.abi import selector

GET_POOL = selector("getPool()")
GET_POOL_CONFIGURATOR = selector("getPoolConfigurator()")
GET_PRICE_ORACLE = selector("getPriceOracle()")
GET_PRICE_ORACLE_SENTINEL = selector("getPriceOracleSentinel()")

POOL_REVISION = selector("POOL_REVISION()")
GET_RESERVES_COUNT = selector("getReservesCount()")
GET_RESERVE_ADDRESS_BY_ID = selector("getReserveAddressById(uint16)")
GET_RESERVE_DATA = selector("getReserveData(address)")
GET_LIQUIDATION_GRACE_PERIOD = selector("getLiquidationGracePeriod(address)")
GET_USER_CONFIGURATION = selector("getUserConfiguration(address)")
GET_USER_EMODE = selector("getUserEMode(address)")
GET_USER_ACCOUNT_DATA = selector("getUserAccountData(address)")
GET_EMODE_CATEGORY_DATA = selector("getEModeCategoryData(uint8)")
GET_EMODE_COLLATERAL_CONFIG = selector("getEModeCategoryCollateralConfig(uint8)")
GET_EMODE_COLLATERAL_BITMAP = selector("getEModeCategoryCollateralBitmap(uint8)")
GET_EMODE_LTV_ZERO_BITMAP = selector("getEModeCategoryLtvzeroBitmap(uint8)")
GET_EMODE_ISOLATED = selector("getIsEModeCategoryIsolated(uint8)")

BASE_CURRENCY = selector("BASE_CURRENCY()")
BASE_CURRENCY_UNIT = selector("BASE_CURRENCY_UNIT()")
GET_ASSETS_PRICES = selector("getAssetsPrices(address[])")
GET_ASSET_PRICE = selector("getAssetPrice(address)")
GET_SOURCE_OF_ASSET = selector("getSourceOfAsset(address)")

LATEST_ROUND_DATA = selector("latestRoundData()")
LATEST_TIMESTAMP = selector("latestTimestamp()")
IS_LIQUIDATION_ALLOWED = selector("isLiquidationAllowed()")

SYMBOL = selector("symbol()")
SCALED_BALANCE_OF = selector("scaledBalanceOf(address)")
BALANCE_OF = selector("balanceOf(address)")
