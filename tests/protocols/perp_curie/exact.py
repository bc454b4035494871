"""A state in which everything is known, and accounts of all kinds in it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from app.domain.account import AccountSnapshot
from app.protocols.calibration import Confirmation
from app.protocols.perp_curie.margin import Book
from app.protocols.perp_curie.priced import CuriePrices
from app.protocols.perp_curie.raw import Growth, PerpMarket, Raw
from tests.protocols.perp_curie.builders import (
    BTC,
    ETH,
    FRAX,
    OLD,
    STILL,
    WAD,
    WETH,
    Perp,
    maker,
    snapshot,
    taker,
)
from tests.protocols.perp_curie.contracts import FakeContracts, read_state

USD = 10**6
EXACT_STATE = read_state(
    FakeContracts((snapshot(1, *(taker(one, WAD) for one in (ETH, BTC, OLD, STILL)), tokens={WETH: 1, FRAX: 1}),))
)
EXACT = replace(
    EXACT_STATE.raw,
    markets={
        one.code: replace(EXACT_STATE.raw.markets[one.code], growth=Growth(one.growth, one.growth))
        for one in (ETH, BTC, OLD, STILL)
    },
)


def priced(raw: Raw = EXACT, elapsed: int = 0) -> CuriePrices:
    return CuriePrices(Book(raw, elapsed), Confirmation(20, 20))


def with_market(raw: Raw, market: PerpMarket) -> Raw:
    return replace(raw, markets={**raw.markets, market.code: market})


amounts = st.integers(-(10**13), 10**13)
perp_sizes = st.one_of(st.integers(-12, 12), st.integers(-(10**22), 10**22))


@st.composite
def accounts(draw: st.DrawFn, markets: tuple[Perp, ...] = (ETH, BTC, OLD, STILL)) -> AccountSnapshot:
    perps = []
    for market in draw(st.lists(st.sampled_from(markets), unique=True, max_size=4)):
        size = draw(perp_sizes)
        notional = -size * market.price // WAD + draw(st.integers(-(10**22), 10**22))
        if draw(st.booleans()):
            funding, fee = draw(st.integers(-(10**20), 10**20)), draw(st.integers(0, 10**20))
            perps.append(maker(market, size, notional, fee=fee, funding=funding))
        else:
            perps.append(taker(market, size, notional, last=draw(st.integers(-(2**120), 2**120))))
    tokens = {
        token: draw(st.integers(1, 10 ** (token.decimals + 4)))
        for token in draw(st.lists(st.sampled_from((WETH, FRAX)), unique=True))
    }
    return snapshot(draw(amounts), *perps, owed=draw(st.integers(-(10**22), 10**22)), tokens=tokens)
