"""What accounts do in Perpetual Protocol v2, as calls. Sizes and notionals have 18 decimals."""

from __future__ import annotations

import math

from app.domain.chain import Address, ContractCall
from devnet.codec import call_data
from devnet.curie import TICK_SPACING, Curie, CurieMarket

WAD = 10**18
FOREVER = 2**64
NO_REFERRAL = bytes(32)
UNLIMITED = 10**30
"""More base or quote than a swap that ends at a price can take."""
_OPEN = "openPosition((address,bool,bool,uint256,uint256,uint256,uint160,bytes32))"


def long(curie: Curie, market: CurieMarket, notional: int) -> ContractCall:
    """Buy base for this much quote, fee included."""
    return _open(curie, market, is_short=False, amount=notional)


def short(curie: Curie, market: CurieMarket, size: int) -> ContractCall:
    """Sell this much base."""
    return _open(curie, market, is_short=True, amount=size)


def push(curie: Curie, market: CurieMarket, tick: int, *, is_short: bool) -> ContractCall:
    """Trade until the pool's price is in the middle of `tick`."""
    return _open(curie, market, is_short=is_short, amount=UNLIMITED, limit=sqrt_price_inside(tick))


def close(curie: Curie, market: CurieMarket) -> ContractCall:
    """Close the taker's position, or as much of it as the block's price limit allows."""
    signature = "closePosition((address,uint160,uint256,uint256,bytes32))"
    return ContractCall(curie.clearing_house, call_data(signature, (market.base, 0, 0, FOREVER, NO_REFERRAL)))


def deposit_for(curie: Curie, owner: Address, token: Address, amount: int) -> ContractCall:
    """Deposit somebody else's margin out of the sender's tokens."""
    return ContractCall(curie.vault, call_data("depositFor(address,address,uint256)", owner, token, amount))


def withdraw(curie: Curie, token: Address, amount: int) -> ContractCall:
    return ContractCall(curie.vault, call_data("withdraw(address,uint256)", token, amount))


def add_liquidity(
    curie: Curie, market: CurieMarket, base: int, quote: int, lower_tick: int, upper_tick: int
) -> ContractCall:
    """At most this much base and quote between two ticks, multiples of the pool's spacing."""
    signature = "addLiquidity((address,uint256,uint256,int24,int24,uint256,uint256,bool,uint256))"
    order = (market.base, base, quote, lower_tick, upper_tick, 0, 0, False, FOREVER)
    return ContractCall(curie.clearing_house, call_data(signature, order))


def remove_liquidity(
    curie: Curie, market: CurieMarket, lower_tick: int, upper_tick: int, liquidity: int
) -> ContractCall:
    """None at all collects the order's fees."""
    signature = "removeLiquidity((address,int24,int24,uint128,uint256,uint256,uint256))"
    order = (market.base, lower_tick, upper_tick, liquidity, 0, 0, FOREVER)
    return ContractCall(curie.clearing_house, call_data(signature, order))


def cancel_orders(curie: Curie, maker: Address, market: CurieMarket) -> ContractCall:
    """Anybody may, while the maker's margin is short."""
    return ContractCall(curie.clearing_house, call_data("cancelAllExcessOrders(address,address)", maker, market.base))


def liquidate(curie: Curie, trader: Address, market: CurieMarket) -> ContractCall:
    """Take over as much of one position as may be."""
    return ContractCall(curie.clearing_house, call_data("liquidate(address,address)", trader, market.base))


def pause_market(market: CurieMarket) -> ContractCall:
    """By the admin, for good: no more trades, and positions count at the index price of the last quarter of an hour."""
    return ContractCall(market.base, call_data("pause()"))


def close_market(market: CurieMarket, price: int) -> ContractCall:
    """By the admin, once paused: positions count at this price (WAD) for ever."""
    return ContractCall(market.base, call_data("close(uint256)", price))


def quit_market(curie: Curie, trader: Address, market: CurieMarket) -> ContractCall:
    """By anybody, once closed: settle a position at the closed price."""
    return ContractCall(curie.clearing_house, call_data("quitMarket(address,address)", trader, market.base))


def tick_of(price: float) -> int:
    """The tick a price (quote per base) lies in."""
    return math.floor(math.log(price) / math.log(1.0001))


def sqrt_price_inside(tick: int) -> int:
    """The square root price x 2^96 in the middle of a tick: safely inside, for all the rounding there is."""
    return int(1.0001 ** ((tick + 0.5) / 2) * 2**96)


def ticks_around(tick: int, width: int) -> tuple[int, int]:
    """The ends of a range of liquidity about `width` ticks to both sides."""
    return (tick - width) // TICK_SPACING * TICK_SPACING, (tick + width) // TICK_SPACING * TICK_SPACING


def _open(curie: Curie, market: CurieMarket, *, is_short: bool, amount: int, limit: int = 0) -> ContractCall:
    order = (market.base, is_short, True, amount, 0, FOREVER, limit, NO_REFERRAL)
    return ContractCall(curie.clearing_house, call_data(_OPEN, order))
