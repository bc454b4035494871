"""The calls this adapter makes. Signatures from the protocol's own interfaces, ERC-20 and Multicall3."""

from __future__ import annotations

from app.protocols.abi import selector

GET_ACCOUNT_BALANCE = selector("getAccountBalance()")
GET_VAULT = selector("getVault()")
GET_EXCHANGE = selector("getExchange()")
GET_ORDER_BOOK = selector("getOrderBook()")
GET_INSURANCE_FUND = selector("getInsuranceFund()")
GET_CLEARING_HOUSE_CONFIG = selector("getClearingHouseConfig()")
GET_COLLATERAL_MANAGER = selector("getCollateralManager()")
GET_SETTLEMENT_TOKEN = selector("getSettlementToken()")
DECIMALS = selector("decimals()")
SYMBOL = selector("symbol()")

GET_MM_RATIO = selector("getMmRatio()")
GET_IM_RATIO = selector("getImRatio()")
GET_LIQUIDATION_PENALTY_RATIO = selector("getLiquidationPenaltyRatio()")
GET_MAX_FUNDING_RATE = selector("getMaxFundingRate()")
GET_TWAP_INTERVAL = selector("getTwapInterval()")
PAUSED = selector("paused()")

IS_OPEN = selector("isOpen()")
IS_PAUSED = selector("isPaused()")
IS_CLOSED = selector("isClosed()")
GET_PAUSED_INDEX_PRICE = selector("getPausedIndexPrice()")
GET_CLOSED_PRICE = selector("getClosedPrice()")
GET_INDEX_PRICE = selector("getIndexPrice(uint256)")
GET_MARK_PRICE = selector("getMarkPrice(address)")
GET_SQRT_MARKET_TWAP = selector("getSqrtMarketTwapX96(address,uint32)")

GET_COLLATERAL_CONFIG = selector("getCollateralConfig(address)")
GET_PRICE_FEED_DECIMALS = selector("getPriceFeedDecimals(address)")
GET_PRICE = selector("getPrice(address,uint256)")

GET_BASE_TOKENS = selector("getBaseTokens(address)")
GET_COLLATERAL_TOKENS = selector("getCollateralTokens(address)")
GET_BALANCE = selector("getBalance(address)")
GET_BALANCE_BY_TOKEN = selector("getBalanceByToken(address,address)")
GET_PNL_AND_PENDING_FEE = selector("getPnlAndPendingFee(address)")
GET_ACCOUNT_INFO = selector("getAccountInfo(address,address)")
GET_OPEN_ORDER_IDS = selector("getOpenOrderIds(address,address)")
GET_TOTAL_TOKEN_AMOUNT = selector("getTotalTokenAmountInPoolAndPendingFee(address,address,bool)")
GET_TOTAL_ORDER_DEBT = selector("getTotalOrderDebt(address,address,bool)")
GET_PENDING_FUNDING = selector("getPendingFundingPayment(address,address)")

GET_ACCOUNT_VALUE = selector("getAccountValue(address)")
GET_MARGIN_REQUIREMENT = selector("getMarginRequirementForLiquidation(address)")
GET_TOTAL_ABS_POSITION_VALUE = selector("getTotalAbsPositionValue(address)")

GET_BLOCK_TIMESTAMP = selector("getCurrentBlockTimestamp()")
"""Of Multicall3: the protocol has no view of the time its own answers are for."""
