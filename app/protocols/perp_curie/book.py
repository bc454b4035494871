"""A margin account as sums that are linear in a few numbers a block: its legs, and those numbers.

A market has two factors: its price, which the size is worth and margin is asked for, and the growth of its funding.
Another token posted as margin has its price. All else is constant between the account's own events; of who has orders
what was read at this very block, as `moves_by_itself` has him read at each. What the contracts cut off on the way is
left out: the book screens, `CuriePrices.health` decides.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.account import AccountSnapshot, PerpPosition
from app.domain.legs import CONSTANT, Factor, Leg
from app.protocols.perp_curie.account_reads import PerpParams
from app.protocols.perp_curie.funding import PERIOD_SECONDS, Q96
from app.protocols.perp_curie.margin import ONE, Book
from app.protocols.perp_curie.raw import DUST, RATIO, PerpMarket


def make_legs(book: Book, snapshot: AccountSnapshot) -> tuple[Leg, ...] | None:
    """The account's legs; None when something it needs could not be read, and it is UNKNOWN."""
    raw = book.raw
    if raw.terms is None or raw.timestamp is None:
        return None
    legs: list[Leg] = []
    constant = snapshot.params[0]
    for posted in snapshot.positions:
        if posted.market == raw.settlement.code:
            constant += (posted.supplied_raw - posted.borrowed_raw) * raw.settlement.scale
            continue
        token = raw.collaterals.get(posted.market)
        if token is None or token.decimals is None or token.ratio is None:
            return None
        counted = posted.supplied_raw / 10**token.decimals * token.ratio / RATIO
        legs.append(_equity(_token(posted.market), counted))
    for perp in snapshot.perps:
        market = raw.markets.get(perp.market)
        if market is None or market.status is None:
            return None
        legs += _perp_legs(perp, raw.terms.mm_ratio)
        params = PerpParams(*perp.params)
        constant += perp.entry_notional_raw + params.pending_fee - (params.pending_funding if params.orders else 0)
    if constant:
        legs.append(_equity(CONSTANT, constant / ONE))
    return tuple(legs)


def make_factors(book: Book) -> tuple[Factor, ...]:
    """Every factor at the time of the book."""
    raw = book.raw
    tokens = [
        Factor(_token(one.code), None if one.price is None else one.price / ONE, rises_with=one.code)
        for one in raw.collaterals.values()
    ]
    return (*tokens, *(factor for market in raw.markets.values() for factor in _pair(book, market)))


def basis(book: Book) -> object:
    """What legs depend on besides the account: equal values mean that legs made before still hold."""
    raw = book.raw
    markets = {code: market.status for code, market in raw.markets.items()}
    tokens = {code: (token.decimals, token.ratio) for code, token in raw.collaterals.items()}
    return raw.terms, raw.timestamp is None, raw.settlement, markets, tokens


def _perp_legs(perp: PerpPosition, mm_ratio: int) -> Iterator[Leg]:
    size = perp.size_raw
    if abs(size) >= DUST:
        whole = size / ONE
        yield Leg(f"m:{perp.market}", whole, whole, abs(whole) * mm_ratio / RATIO)
    params = PerpParams(*perp.params)
    if size and not params.orders:
        yield _equity(_funding(perp.market), -size / ONE)
        yield _equity(CONSTANT, size / ONE * _dollars(params.last_growth))


def _pair(book: Book, market: PerpMarket) -> Iterator[Factor]:
    growth = market.growth_after(book.elapsed_seconds)
    yield Factor(f"m:{market.code}", None if market.price is None else market.price / ONE, rises_with=market.code)
    yield Factor(_funding(market.code), None if growth is None else _dollars(growth))


def _equity(factor: str, coefficient: float) -> Leg:
    return Leg(factor, coefficient, coefficient, 0.0)


def _dollars(growth: int) -> float:
    """What a position of size 1 has paid since ever."""
    return growth / (Q96 * PERIOD_SECONDS)


def _token(code: str) -> str:
    return f"t:{code}"


def _funding(code: str) -> str:
    return f"f:{code}"
