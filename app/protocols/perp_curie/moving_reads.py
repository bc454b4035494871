"""Reading what moves by itself: prices, the premium, and the growth of funding. One round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from app.domain.chain import Address, ReadPlan
from app.domain.specs import MULTICALL3
from app.protocols.abi import address_word, decode_uint, decode_words, uint_word
from app.protocols.perp_curie import calls
from app.protocols.perp_curie.decoding import decode_array, decode_int, signed
from app.protocols.perp_curie.funding import Bounds, bounds, find_growth, premium_x96
from app.protocols.perp_curie.raw import VALUE_DECIMALS, Collateral, Growth, PerpMarket, Raw, Status
from app.protocols.rounds import Round

MOST_WITNESSES = 4
"""Traders whose payments are asked about for each market and block."""
COLLATERAL_TWAP_SECONDS = 900
"""What collateral is priced by (`Vault._COLLATERAL_TWAP_INTERVAL`)."""
_INFO_WORDS = 3


@dataclass(frozen=True, slots=True)
class _Testimony:
    """What one trader's stored state and pending payment say of a market."""

    wallet: Address
    size: int
    last_growth: int
    told: Bounds | None
    """None for who has nothing here, and for who has orders: his payment is not by his size alone."""


def read_moving(raw: Raw, holders: Mapping[str, Sequence[Address]]) -> ReadPlan[Raw]:
    """`raw` at the driven block. `holders`: traders by market, besides the witnesses there are, that may be ones."""
    one = Round()
    clock = one.ask(MULTICALL3, calls.GET_BLOCK_TIMESTAMP)
    markets = [_MarketQuestions(one, raw, market, holders.get(code, ())) for code, market in raw.markets.items()]
    interval = uint_word(COLLATERAL_TWAP_SECONDS)
    prices = {
        code: one.ask(raw.roots.collateral_manager, calls.GET_PRICE + address_word(found.asset) + interval)
        for code, found in raw.collaterals.items()
    }
    one.answer((yield one.calls))
    return replace(
        raw,
        timestamp=decode_uint(one[clock]),
        markets={asked.market.code: asked.decode() for asked in markets},
        collaterals={
            code: replace(found, price=_scaled(found, decode_uint(one[prices[code]])))
            for code, found in raw.collaterals.items()
        },
    )


class _MarketQuestions:
    """What is asked about one market in a round that others share."""

    def __init__(self, one: Round, raw: Raw, market: PerpMarket, holders: Sequence[Address]) -> None:
        self.market = market
        self._round = one
        self._terms = raw.terms
        roots, base = raw.roots, address_word(market.base)
        self._averages: tuple[int, int, int] | None = None
        if market.status is Status.OPEN:
            interval = uint_word(0 if raw.terms is None else raw.terms.twap_interval_seconds)
            self._averages = (
                one.ask(roots.account_balance, calls.GET_MARK_PRICE + base),
                one.ask(roots.exchange, calls.GET_SQRT_MARKET_TWAP + base + interval),
                one.ask(market.base, calls.GET_INDEX_PRICE + interval),
            )
        self._asked = {
            wallet: (
                one.ask(roots.account_balance, calls.GET_ACCOUNT_INFO + address_word(wallet) + base),
                one.ask(roots.order_book, calls.GET_OPEN_ORDER_IDS + address_word(wallet) + base),
                one.ask(roots.exchange, calls.GET_PENDING_FUNDING + address_word(wallet) + base),
            )
            for wallet in dict.fromkeys((*market.witnesses, *holders))
        }

    def decode(self) -> PerpMarket:
        mark, premium = self._moved()
        answers = {wallet: self._testimony(wallet) for wallet in self._asked}
        found = [testimony for testimony in answers.values() if testimony is not None]
        telling = sorted((t for t in found if t.told is not None), key=lambda t: (-abs(t.size), t.wallet))
        silent = (wallet for wallet in self.market.witnesses if answers[wallet] is None)
        witnesses = (*(testimony.wallet for testimony in telling), *silent)
        anchors = (*_earlier(self.market.growth), *(testimony.last_growth for testimony in found))
        return replace(
            self.market,
            mark_price=mark,
            premium_x96=premium,
            growth=find_growth([t.told for t in telling if t.told is not None], premium, anchors),
            witnesses=witnesses[:MOST_WITNESSES],
        )

    def _moved(self) -> tuple[int | None, int | None]:
        """Mark price and premium; neither of a market that is not open."""
        if self._averages is None:
            return None, None
        mark, market, index = (decode_uint(self._round[ticket]) for ticket in self._averages)
        if market is None or index is None or self._terms is None:
            return mark, None
        return mark, premium_x96(market, index, self._terms.max_funding_rate)

    def _testimony(self, wallet: Address) -> _Testimony | None:
        """None of who could not be asked about: he stays a witness, and is asked again."""
        info, orders, pending = (self._round[ticket] for ticket in self._asked[wallet])
        words, ids, paid = decode_words(info, _INFO_WORDS), decode_array(orders), decode_int(pending)
        if words is None or ids is None or paid is None:
            return None
        size, _, last = map(signed, words)
        return _Testimony(wallet, size, last, bounds(size, last, paid) if size and not ids else None)


def _earlier(growth: Growth | None) -> tuple[int, ...]:
    """Settled growths known before: the one the last growth followed from, and that growth itself, which is one if
    somebody settled in its block."""
    return () if growth is None or growth.anchor is None else (growth.anchor, growth.value)


def _scaled(collateral: Collateral, price: int | None) -> int | None:
    """A feed's price with 18 decimals."""
    if price is None or collateral.feed_decimals is None:
        return None
    return int(price * 10 ** (VALUE_DECIMALS - collateral.feed_decimals))
