"""The calls this adapter makes. Signatures from the protocol's own interfaces (IPool, IAaveOracle, ...)."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.chain import Address, CallResult, ContractCall, Returned
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


class Round:
    """One round of a read plan: calls are asked for, sent together, and answered by the tickets handed out."""

    __slots__ = ("_results", "calls")

    def __init__(self) -> None:
        self.calls: list[ContractCall] = []
        self._results: Sequence[CallResult] = ()

    def ask(self, target: Address, data: bytes) -> int:
        """Add a call; the number returned fetches its answer."""
        self.calls.append(ContractCall(target, data))
        return len(self.calls) - 1

    def answer(self, results: Sequence[CallResult]) -> None:
        """Take the results of `calls`, in order."""
        if len(results) != len(self.calls):
            raise ValueError(f"{len(self.calls)} calls were answered by {len(results)} results")
        self._results = results

    def __getitem__(self, ticket: int) -> CallResult:
        return self._results[ticket]


def describe(result: CallResult) -> str:
    """How a read failed, for people."""
    if isinstance(result, Returned):
        return f"answered {len(result.data)} bytes of another shape"
    return f"reverted{f' (0x{result.data[:4].hex()})' if result.data else ''}"
