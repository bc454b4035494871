"""The read plan of a whole deployment, from its Comptroller. (What moves each block: `moving_reads`.)"""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.domain.chain import ZERO_ADDRESS, Address, CallResult, ReadPlan, Returned
from app.domain.market import Deployment
from app.errors import Refused
from app.protocols.abi import address_word, decode_address, decode_text, decode_uint, decode_words, uint_word
from app.protocols.compound_v2 import calls
from app.protocols.compound_v2.calls import decode_addresses
from app.protocols.compound_v2.moving_reads import read_moving
from app.protocols.compound_v2.raw import Listing, Pool, Raw, Roots
from app.protocols.compound_v2.rules import Rules, suggested_rules
from app.protocols.rounds import Round, describe

MAX_POOLS = 64
"""More pools than this are not asked for: their accounts stay UNKNOWN."""

MAX_DECIMALS = 36
"""An oracle price has 36 decimals less those of the token."""

NATIVE_COINS = {"cETH": "ETH", "vBNB": "BNB", "qiAVAX": "AVAX", "mGLMR": "GLMR", "mMOVR": "MOVR"}
"""Markets of a chain's own coin have no `underlying()`; all of these coins have 18 decimals."""


@dataclass(frozen=True, slots=True)
class Found:
    """A deployment's raw state, and the rules its shape suggests."""

    raw: Raw
    rules: Rules


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the Comptroller answered about itself."""

    roots: Roots
    tokens: tuple[Address, ...]
    isolated: bool
    pools: range


def read_raw(deployment: Deployment, previous: Found | None = None) -> ReadPlan[Found]:
    """The whole deployment.

    With `previous`, what does not answer keeps its address while its numbers become None.

    Raises:
        Refused: the Comptroller does not answer as one and there is no earlier state to keep its addresses from.
    """
    shape = yield from _read_shape(deployment, previous)
    ask = Round()
    tickets = [_ListingQuestions(ask, deployment.address, token) for token in shape.tokens]
    ask.answer((yield ask.calls))
    known = previous.raw.by_code if previous else {}
    listings = tuple(
        listing for ticket in tickets if (listing := ticket.listing(known.get(str(ticket.token)))) is not None
    )
    listings = yield from _described(listings)
    rules = _rules(deployment, shape, listings, any(ticket.by_seconds for ticket in tickets), previous)
    pools = yield from _read_pools(deployment.address, shape.pools, listings)
    raw = Raw(shape.roots, listings, {}, {}, pools, None)
    return Found((yield from read_moving(raw, rules)), rules)


def _read_shape(deployment: Deployment, previous: Found | None) -> ReadPlan[_Shape]:
    comptroller, where = deployment.address, f"deployment {deployment.id}: comptroller {deployment.address}"
    ask = Round()
    markets, oracle = ask.ask(comptroller, calls.GET_ALL_MARKETS), ask.ask(comptroller, calls.ORACLE)
    controller, pools = ask.ask(comptroller, calls.VAI_CONTROLLER), ask.ask(comptroller, calls.LAST_POOL_ID)
    isolated = ask.ask(comptroller, calls.MIN_LIQUIDATABLE_COLLATERAL)
    ask.answer((yield ask.calls))

    kept = previous.raw if previous else None
    tokens, oracle_address = decode_addresses(ask[markets]), decode_address(ask[oracle])
    if tokens is None:
        if kept is None:
            raise Refused(f"{where}, asked for its markets, {describe(ask[markets])}")
        tokens = tuple(listing.token for listing in kept.listings)
    if oracle_address is None:
        if kept is None:
            raise Refused(f"{where}, asked for its oracle, {describe(ask[oracle])}")
        oracle_address = kept.roots.oracle
    vai = decode_address(ask[controller])
    if vai is None and kept is not None:
        vai = kept.roots.vai_controller
    last_pool = decode_uint(ask[pools])
    highest = max(kept.pools, default=0) if last_pool is None and kept is not None else last_pool or 0
    return _Shape(
        Roots(oracle_address, None if vai == ZERO_ADDRESS else vai),
        tuple(dict.fromkeys(tokens)),
        decode_uint(ask[isolated]) is not None,
        range(1, min(highest, MAX_POOLS) + 1),
    )


def _rules(
    deployment: Deployment, shape: _Shape, listings: tuple[Listing, ...], by_seconds: bool, previous: Found | None
) -> Rules:
    """The rules kept, unless the contracts' answers have another shape now."""
    words = next((len(listing.words) for listing in listings if listing.words is not None), None)
    if previous is not None:
        kept = previous.rules
        if words is None or (words, by_seconds) == (kept.market_words, kept.by_seconds):
            return kept
    rules = suggested_rules(words or 0, by_seconds=by_seconds, isolated=shape.isolated)
    if rules is None:
        if previous is not None:
            return previous.rules
        fault = "none of its markets answers" if words is None else f"markets(address) answers {words} words"
        raise Refused(f"deployment {deployment.id}: comptroller {deployment.address} is none of the family: {fault}")
    return rules


class _ListingQuestions:
    """The questions about one market's configuration, and their answers."""

    def __init__(self, ask: Round, comptroller: Address, token: Address) -> None:
        self._ask = ask
        self.token = token
        self._words = ask.ask(comptroller, calls.MARKETS + address_word(token))
        self._underlying = ask.ask(token, calls.UNDERLYING)
        self._symbol = ask.ask(token, calls.SYMBOL)
        self._reserve_factor = ask.ask(token, calls.RESERVE_FACTOR)
        self._time = ask.ask(token, calls.ACCRUAL_TIME)
        self._time_based = ask.ask(token, calls.IS_TIME_BASED)

    @property
    def by_seconds(self) -> bool:
        """Whether the market says its interest runs by seconds."""
        return decode_uint(self._ask[self._time]) is not None or decode_uint(self._ask[self._time_based]) == 1

    def listing(self, old: Listing | None) -> Listing | None:
        """The market; its former self without numbers when unread; None when it never was read.

        The underlying's own symbol and decimals are asked for afterwards (`_described`).
        """
        ask, code = self._ask, str(self.token)
        words = _static_words(ask[self._words])
        factor = decode_uint(ask[self._reserve_factor])
        if old is not None:
            return Listing(self.token, code, old.asset, old.symbol, old.decimals, words, factor)
        symbol = (decode_text(ask[self._symbol]) or code[:10])[:32]
        asset = decode_address(ask[self._underlying])
        if asset is None:
            coin = NATIVE_COINS.get(symbol)
            return None if coin is None else Listing(self.token, code, ZERO_ADDRESS, coin, 18, words, factor)
        return Listing(self.token, code, asset, symbol, _UNKNOWN_DECIMALS, words, factor)


_UNKNOWN_DECIMALS = -1


def _described(listings: tuple[Listing, ...]) -> ReadPlan[tuple[Listing, ...]]:
    """`listings` with symbol and decimals of underlyings seen for the first time.

    Markets whose underlying does not say its decimals are left out: accounts in them are then Unreadable, never
    valued wrongly.
    """
    ask = Round()
    tickets = {
        listing.code: (ask.ask(listing.asset, calls.SYMBOL), ask.ask(listing.asset, calls.DECIMALS))
        for listing in listings
        if listing.decimals == _UNKNOWN_DECIMALS
    }
    if not tickets:
        return listings
    ask.answer((yield ask.calls))
    described = []
    for listing in listings:
        if listing.code not in tickets:
            described.append(listing)
            continue
        name, places = (ask[ticket] for ticket in tickets[listing.code])
        decimals = decode_uint(places)
        if decimals is not None and decimals <= MAX_DECIMALS:
            symbol = (decode_text(name) or listing.symbol)[:32]
            described.append(replace(listing, symbol=symbol, decimals=decimals))
    return tuple(described)


def _read_pools(comptroller: Address, ids: range, listings: tuple[Listing, ...]) -> ReadPlan[dict[int, Pool]]:
    if not ids:
        return {}
    ask = Round()
    heads = {number: ask.ask(comptroller, calls.POOLS + uint_word(number)) for number in ids}
    members = {
        (number, listing.code): ask.ask(
            comptroller, calls.POOL_MARKETS + uint_word(number) + address_word(listing.token)
        )
        for number in ids
        for listing in listings
    }
    ask.answer((yield ask.calls))
    pools = {}
    for number in ids:
        active, falls_back = _pool_flags(ask[heads[number]])
        markets = {listing.code: _static_words(ask[members[number, listing.code]]) for listing in listings}
        pools[number] = Pool(active, falls_back, markets)
    return pools


def _pool_flags(result: CallResult) -> tuple[bool | None, bool | None]:
    """The getter of PoolData leaves its array out: (string label, bool isActive, bool allowCorePoolFallback)."""
    if type(result) is not Returned or len(result.data) < 128 or int.from_bytes(result.data[:32], "big") != 96:
        return None, None
    return bool(result.data[63]), bool(result.data[95])


def _static_words(result: CallResult) -> tuple[int, ...] | None:
    """A `markets` answer; the family's have two to seven words."""
    if type(result) is not Returned or not 64 <= len(result.data) <= 224:
        return None
    return decode_words(result, len(result.data) // 32)
