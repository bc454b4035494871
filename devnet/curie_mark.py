"""Moves a market's mark price to where a test wants it, by real trades, real time and a real price of the feed.

The mark is the median of three: the pool's price over 15 seconds, the pool's price over half an hour, and the index
plus the premium. Pool prices over time are whole ticks (0.01 % apart), so they are made a bracket around the wanted
price, and the index, which the feed gives to 8 decimals, decides inside of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.chain import ContractCall
from app.errors import Fatal
from devnet import curie_calls
from devnet.assets import ADMIN, FEEDER, PRICE_DECIMALS, actor
from devnet.chain import MULTICALL3, DevChain
from devnet.codec import aggregate_data, call_data
from devnet.curie import HISTORY_SECONDS, MAX_TICKS_PER_BLOCK, TWAP_SECONDS, Curie, CurieMarket
from devnet.curie_truth import read_prices

MARKET_MOVER = actor("perp market mover")
"""Trades as much as it takes, and never needs to ask for the price."""
SECONDS_BETWEEN_PUSHES = 20
"""The contract lets a pool move on after 15."""
ANY_SPREAD, USUAL_SPREAD = 16_000_000, 0
"""How far pools may be from the index: parts per million, 0 for the contract's own limit."""
SWAP_GAS = 30_000_000
WAD_PER_FEED_UNIT = 10 ** (18 - PRICE_DECIMALS)


def move_mark(chain: DevChain, curie: Curie, market: CurieMarket, price: int, bracket_ticks: int = 50) -> int:
    """Bring a market's mark price to `price` (WAD) at the newest block; what it is then, within 10^-8 USD.

    Takes a few blocks and a good half hour of the chain's time, in which funding accrues. The pool is traded
    `bracket_ticks` below the price, left there until its history is nothing else, and traded as much above it. The
    feed, which everybody on the chain shares, moves by no more than the bracket: the rest is the premium.

    Raises:
        Fatal: the mark did not come that near, e.g. because the market is paused.
    """
    tick = curie_calls.tick_of(price / 10**18)
    _set_spread(chain, curie, market, ANY_SPREAD)
    push_to(chain, curie, market, tick - bracket_ticks)
    wait(chain, [market], HISTORY_SECONDS + SECONDS_BETWEEN_PUSHES)
    push_to(chain, curie, market, tick + bracket_ticks)
    _set_spread(chain, curie, market, USUAL_SPREAD)
    wait(chain, [market], SECONDS_BETWEEN_PUSHES)
    return nudge_mark(chain, curie, market, price)


def nudge_mark(chain: DevChain, curie: Curie, market: CurieMarket, price: int) -> int:
    """Set the mark to `price` (WAD) after `move_mark`, inside its bracket, in a block of the same second.

    No time passes, nobody trades: of all an account is made of, only the price of this market changes. May be repeated.
    The feed's round is not noted by the index (it could not be moved again in this second), which a trade or `wait`
    does; until then the index over time is bent the more the later it is read, as the contract has it.

    Raises:
        Fatal: the price is out of the bracket, or somebody made a block in between.
    """
    prices = read_prices(chain, curie, market)
    answer = (price - prices.premium) // WAD_PER_FEED_UNIT
    chain.execute(FEEDER, market.underlying.feed, "set(int256)", answer, gas=200_000)
    chain.mine(chain.timestamp)
    mark = read_prices(chain, curie, market).mark
    if abs(mark - price) > WAD_PER_FEED_UNIT:
        raise Fatal(f"the mark price of {market.name} is {mark}, not {price}: the bracket is {prices}")
    return mark


def push_to(chain: DevChain, curie: Curie, market: CurieMarket, tick: int) -> None:
    """Trade the pool to a tick, in as many blocks as the contract's limit makes it take."""
    while (now := pool_tick(chain, market)) != tick:
        step = max(-MAX_TICKS_PER_BLOCK + 1, min(MAX_TICKS_PER_BLOCK - 1, tick - now))
        queue_push(chain, curie, market, now + step, is_short=step < 0)
        chain.mine(chain.timestamp + SECONDS_BETWEEN_PUSHES)


def queue_push(
    chain: DevChain, curie: Curie, market: CurieMarket, tick: int, *, is_short: bool, must_succeed: bool = True
) -> None:
    """Queue the trade that brings the pool to a tick, if it is on that side."""
    call = curie_calls.push(curie, market, tick, is_short=is_short)
    label = f"perp push {market.name} to {tick}"
    chain.send(MARKET_MOVER, call.target, call.data, gas=SWAP_GAS, label=label, must_succeed=must_succeed)


def wait(chain: DevChain, markets: Iterable[CurieMarket], seconds: int) -> None:
    """One block later, with the feeds' newest rounds in the index."""
    queue_keeper(chain, markets)
    chain.mine(chain.timestamp + seconds)


def queue_keeper(chain: DevChain, markets: Iterable[CurieMarket]) -> None:
    """Queue, in one transaction, what keeps the history of the index complete: rounds nobody notes are lost to it."""
    note = call_data("cacheTwap(uint256)", TWAP_SECONDS)
    noted = [ContractCall(market.feed, note) for market in markets]
    if noted:
        chain.send(FEEDER, MULTICALL3, aggregate_data(noted, may_fail=False), gas=2_000_000, label="perp keeper")


def pool_tick(chain: DevChain, market: CurieMarket) -> int:
    return tick_in(chain.call(market.pool, "slot0()"))


def tick_in(data: bytes) -> int:
    """The tick an answer of a pool's slot0 holds."""
    return int.from_bytes(data[32:64], signed=True)


def _set_spread(chain: DevChain, curie: Curie, market: CurieMarket, ratio: int) -> None:
    chain.execute(ADMIN, curie.market_registry, "setMarketMaxPriceSpreadRatio(address,uint24)", market.base, ratio)
