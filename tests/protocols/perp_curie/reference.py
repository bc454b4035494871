"""The protocol's rule written out again from its Solidity, step by step, to hold the adapter against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

Q96 = 2**96


class Holding(NamedTuple):
    """One market of an account: total size and open notional, the price used, and what is pending. 18 decimals."""

    size: int
    open_notional: int
    price: int
    funding: int = 0
    fee: int = 0


class Token(NamedTuple):
    """A posted token that is not the settlement token, with its feed's own decimals."""

    amount: int
    decimals: int
    price: int
    feed_decimals: int
    ratio: int


def mul_div(a: int, b: int, denominator: int) -> int:
    """`PerpMath.mulDiv` of signed numbers: magnitudes floored, the sign put back."""
    result = abs(a) * abs(b) // denominator
    return -result if (a < 0) != (b < 0) else result


def position_value(holding: Holding) -> int:
    """`AccountBalance.getTotalPositionValue`: sizes under 10 wei read as none."""
    if abs(holding.size) < 10:
        return 0
    return mul_div(holding.size, holding.price, 10**18)


def token_value(token: Token) -> int:
    """`Vault._getCollateralValue` times the collateral ratio."""
    if token.decimals > 18:
        value = token.amount * token.price // 10**token.feed_decimals // 10 ** (token.decimals - 18)
    else:
        value = token.amount * 10 ** (18 - token.decimals) * token.price // 10**token.feed_decimals
    return int(value * token.ratio // 10**6)


def unrealized_pnl(holdings: Iterable[Holding]) -> int:
    """`AccountBalance.getPnlAndPendingFee`, the second of three."""
    return sum(position_value(one) + one.open_notional for one in holdings)


def account_value(balance: int, decimals: int, owed: int, holdings: Sequence[Holding], tokens: Iterable[Token]) -> int:
    """`ClearingHouse.getAccountValue`: the Vault's, floored to the settlement token's units, in 18 decimals again."""
    unit: int = 10 ** (18 - decimals)
    pending = sum(one.fee for one in holdings) - sum(one.funding for one in holdings)
    value = balance * unit + pending + owed + unrealized_pnl(holdings) + sum(map(token_value, tokens))
    truncated = abs(value) // unit
    if value < 0:
        truncated = -truncated - (1 if abs(value) % unit else 0)
    return truncated * unit


def total_abs_position_value(holdings: Iterable[Holding]) -> int:
    return sum(abs(position_value(one)) for one in holdings)


def margin_requirement(holdings: Iterable[Holding], mm_ratio: int) -> int:
    return total_abs_position_value(holdings) * mm_ratio // 10**6


def pending_funding(base: int, last_growth: int, growth: int, liquidity_coefficient: int = 0) -> int:
    """`Funding.calcPendingFundingPaymentWithLiquidityCoefficient`."""
    total = liquidity_coefficient + mul_div(base, growth - last_growth, Q96)
    return mul_div(total, 1, 86_400)


def premium_x96(sqrt_twap_x96: int, index_twap: int, max_funding_rate: int) -> int:
    """`Exchange._getDeltaTwapX96`, with its caller's conversions."""
    market, index = sqrt_twap_x96 * sqrt_twap_x96 // Q96, index_twap * Q96 // 10**18
    most = index * max_funding_rate // 10**6
    if market > index:
        return min(market - index, most)
    return -min(index - market, most)
