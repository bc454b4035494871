"""Reading what moves by itself: prices, the age of their feeds, indices, and the sentinel's word."""

from __future__ import annotations

from dataclasses import replace

from app.domain.chain import ZERO_ADDRESS, ReadPlan
from app.protocols.aave_v3 import calls
from app.protocols.aave_v3.raw import FeedForm, Indices, Price, Raw, Reserve
from app.protocols.abi import address_array, address_word, decode_uint, decode_uint_array, decode_words
from app.protocols.rounds import Round

RESERVE_DATA_WORDS = 15


def decode_indices(words: tuple[int, ...] | None) -> Indices | None:
    """The interest part of a getReserveData answer; None when it could not be read."""
    return None if words is None else Indices(words[1], words[2], words[3], words[4], words[6])


def read_moving(raw: Raw) -> ReadPlan[Raw]:
    """`raw` with the block's prices and indices: one round, two when the oracle has no price for some asset."""
    ask = Round()
    data = {
        reserve.code: ask.ask(raw.roots.pool, calls.GET_RESERVE_DATA + address_word(reserve.asset))
        for reserve in raw.reserves
    }
    prices = yield from _read_prices(raw, ask, probe_feeds=False)
    indices = {code: decode_indices(decode_words(ask[ticket], RESERVE_DATA_WORDS)) for code, ticket in data.items()}
    return replace(prices, indices=indices)


def read_prices(raw: Raw) -> ReadPlan[Raw]:
    """`raw` with the block's prices, and with the form in which each feed tells its age found out."""
    return _read_prices(raw, Round(), probe_feeds=True)


def _read_prices(raw: Raw, ask: Round, *, probe_feeds: bool) -> ReadPlan[Raw]:
    """Adds its calls to `ask`, sends it, and asks asset by asset where the one call for all prices reverts."""
    roots = raw.roots
    assets = [reserve.asset for reserve in raw.reserves]
    all_prices = ask.ask(roots.oracle, calls.GET_ASSETS_PRICES + address_array(assets))
    emode_prices = {
        number: ask.ask(roots.oracle, calls.GET_ASSET_PRICE + address_word(emode.price_source))
        for number, emode in raw.emodes.items()
        if emode.price_source is not None and emode.price_source != ZERO_ADDRESS
    }
    has_sentinel = roots.sentinel != ZERO_ADDRESS
    allowed = ask.ask(roots.sentinel, calls.IS_LIQUIDATION_ALLOWED) if has_sentinel else None
    feeds = {reserve.code: _ask_feed(ask, reserve, probe=probe_feeds) for reserve in raw.reserves}
    ask.answer((yield ask.calls))

    values: tuple[int | None, ...] | None = decode_uint_array(ask[all_prices], len(assets))
    if values is None:
        one_by_one = Round()
        for asset in assets:
            one_by_one.ask(roots.oracle, calls.GET_ASSET_PRICE + address_word(asset))
        one_by_one.answer((yield one_by_one.calls))
        values = tuple(decode_uint(one_by_one[number]) for number in range(len(assets)))
    prices: dict[str, Price] = {}
    reserves: list[Reserve] = []
    for reserve, value in zip(raw.reserves, values, strict=True):
        form, updated_at = _decode_feed(ask, feeds[reserve.code])
        prices[reserve.code] = Price(value, updated_at)
        reserves.append(replace(reserve, feed_form=form) if probe_feeds else reserve)
    word = None if allowed is None else decode_uint(ask[allowed])
    return replace(
        raw,
        reserves=tuple(reserves),
        prices=prices,
        emode_prices={number: decode_uint(ask[ticket]) for number, ticket in emode_prices.items()},
        liquidation_allowed=None if word is None else bool(word),
    )


def _ask_feed(ask: Round, reserve: Reserve, *, probe: bool) -> dict[FeedForm, int]:
    """Ask the asset's price source for the time of its answer, in every form or in the one known to work."""
    if reserve.source is None or reserve.source == ZERO_ADDRESS:
        return {}
    forms = {FeedForm.LATEST_ROUND_DATA: calls.LATEST_ROUND_DATA, FeedForm.LATEST_TIMESTAMP: calls.LATEST_TIMESTAMP}
    return {form: ask.ask(reserve.source, call) for form, call in forms.items() if probe or form is reserve.feed_form}


def _decode_feed(ask: Round, tickets: dict[FeedForm, int]) -> tuple[FeedForm, int | None]:
    """The first form that answers with a time, and that time. A time of 0 is no time."""
    for form, ticket in tickets.items():
        if form is FeedForm.LATEST_ROUND_DATA:
            words = decode_words(ask[ticket], 5)
            time = words[3] if words else None
        else:
            time = decode_uint(ask[ticket])
        if time and time < 1 << 40:
            return form, time
    return FeedForm.SILENT, None
