"""The calls this adapter makes. Signatures from the protocol's own interfaces (IMorpho, IIrm, IOracle) and ERC-20."""

from __future__ import annotations

from app.domain.chain import Address, CallResult, Returned, Reverted
from app.domain.units import UINT256_MAX
from app.protocols.abi import address_word, decode_text, selector, uint_word

FEE_RECIPIENT = selector("feeRecipient()")
OWNER = selector("owner()")
ID_TO_MARKET_PARAMS = selector("idToMarketParams(bytes32)")
MARKET = selector("market(bytes32)")
POSITION = selector("position(bytes32,address)")
LIQUIDATE = selector("liquidate((address,address,address,address,uint256),address,uint256,uint256,bytes)")

BORROW_RATE_VIEW = selector(
    "borrowRateView((address,address,address,address,uint256),(uint128,uint128,uint128,uint128,uint128,uint128))"
)
PRICE = selector("price()")

BLOCK_TIMESTAMP = selector("getCurrentBlockTimestamp()")
"""Of Multicall3."""

SYMBOL = selector("symbol()")
DECIMALS = selector("decimals()")

_ERROR = bytes.fromhex("08c379a0")
"""Solidity's `Error(string)`."""
_ARITHMETIC_PANIC = bytes.fromhex("4e487b71") + uint_word(0x11)
"""Solidity's `Panic(uint256)` of an overflow."""
_HEALTHY = "position is healthy"
_BEYOND_UINT128 = "max uint128 exceeded"


def probing_liquidation(params: bytes, borrower: Address) -> bytes:
    """A `liquidate` that never goes through: it asks to seize 2^256 - 1 of the collateral.

    The contract judges the position's health first; only for an unhealthy one does it come to the sum that
    overflows. So the reason it reverts with is its verdict, and nothing moves whoever sends it.
    """
    data = (uint_word(9 * 32), uint_word(0))
    return LIQUIDATE + params + b"".join((address_word(borrower), uint_word(UINT256_MAX), uint_word(0), *data))


def liquidation_verdict(result: CallResult) -> bool | None:
    """Whether the contract calls the position healthy; None when it reverted before it came to a verdict."""
    if not isinstance(result, Reverted):
        return None
    if result.data == _ARITHMETIC_PANIC:
        return False
    if result.data[:4] != _ERROR:
        return None
    reason = decode_text(Returned(result.data[4:]))
    return {_HEALTHY: True, _BEYOND_UINT128: False}.get(reason or "")
