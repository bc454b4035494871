"""The calls this adapter makes. Signatures from the Comet's own interface (Comet and its extension taken as one)."""

from __future__ import annotations

from app.protocols.abi import selector

BASE_TOKEN = selector("baseToken()")
BASE_PRICE_FEED = selector("baseTokenPriceFeed()")
BASE_SCALE = selector("baseScale()")
NUM_ASSETS = selector("numAssets()")
GET_ASSET_INFO = selector("getAssetInfo(uint8)")

CURVES = (
    selector("supplyKink()"),
    selector("supplyPerSecondInterestRateBase()"),
    selector("supplyPerSecondInterestRateSlopeLow()"),
    selector("supplyPerSecondInterestRateSlopeHigh()"),
    selector("borrowKink()"),
    selector("borrowPerSecondInterestRateBase()"),
    selector("borrowPerSecondInterestRateSlopeLow()"),
    selector("borrowPerSecondInterestRateSlopeHigh()"),
)
"""Both curves of interest, in the order of `raw.Curve`, supply first."""

TOTALS_BASIC = selector("totalsBasic()")
GET_PRICE = selector("getPrice(address)")

USER_BASIC = selector("userBasic(address)")
USER_COLLATERAL = selector("userCollateral(address,address)")

IS_LIQUIDATABLE = selector("isLiquidatable(address)")
IS_BORROW_COLLATERALIZED = selector("isBorrowCollateralized(address)")
BORROW_BALANCE_OF = selector("borrowBalanceOf(address)")
BALANCE_OF = selector("balanceOf(address)")

SYMBOL = selector("symbol()")
DESCRIPTION = selector("description()")
