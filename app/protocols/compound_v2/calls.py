"""The calls this adapter makes. Signatures from the family's own interfaces."""

from __future__ import annotations

from app.domain.chain import Address, CallResult, Returned
from app.protocols.abi import decode_words, selector

GET_ALL_MARKETS = selector("getAllMarkets()")
ORACLE = selector("oracle()")
MARKETS = selector("markets(address)")
GET_ASSETS_IN = selector("getAssetsIn(address)")
GET_ACCOUNT_LIQUIDITY = selector("getAccountLiquidity(address)")
MIN_LIQUIDATABLE_COLLATERAL = selector("minLiquidatableCollateral()")
VAI_CONTROLLER = selector("vaiController()")
LAST_POOL_ID = selector("lastPoolId()")
POOLS = selector("pools(uint96)")
POOL_MARKETS = selector("poolMarkets(uint96,address)")
USER_POOL_ID = selector("userPoolId(address)")
MINTED_VAIS = selector("mintedVAIs(address)")

PAST_VAI_INTEREST = selector("pastVAIInterest(address)")
VAI_MINTER_INDEX = selector("getVAIMinterInterestIndex(address)")
VAI_MINT_INDEX = selector("vaiMintIndex()")

GET_UNDERLYING_PRICE = selector("getUnderlyingPrice(address)")

UNDERLYING = selector("underlying()")
SYMBOL = selector("symbol()")
DECIMALS = selector("decimals()")
GET_CASH = selector("getCash()")
TOTAL_BORROWS = selector("totalBorrows()")
TOTAL_RESERVES = selector("totalReserves()")
TOTAL_SUPPLY = selector("totalSupply()")
BORROW_INDEX = selector("borrowIndex()")
ACCRUAL_BLOCK = selector("accrualBlockNumber()")
ACCRUAL_TIME = selector("accrualBlockTimestamp()")
IS_TIME_BASED = selector("isTimeBased()")
RATE_PER_BLOCK = selector("borrowRatePerBlock()")
RATE_PER_SECOND = selector("borrowRatePerTimestamp()")
RESERVE_FACTOR = selector("reserveFactorMantissa()")
EXCHANGE_RATE = selector("exchangeRateStored()")
BAD_DEBT = selector("badDebt()")
FLASH_LOAN_AMOUNT = selector("flashLoanAmount()")
GET_ACCOUNT_SNAPSHOT = selector("getAccountSnapshot(address)")


def decode_addresses(result: CallResult) -> tuple[Address, ...] | None:
    """One `address[]` answer of any length; None when reverted or malformed."""
    if type(result) is not Returned or len(result.data) < 64 or len(result.data) % 32:
        return None
    words = decode_words(result, len(result.data) // 32)
    if words is None or words[0] != 32 or words[1] != len(words) - 2 or any(word >> 160 for word in words[2:]):
        return None
    return tuple(Address(word.to_bytes(20, "big")) for word in words[2:])
