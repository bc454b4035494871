"""Reading what moves by itself: the Comet's books and all prices. One round."""

from __future__ import annotations

from dataclasses import replace

from app.domain.chain import Address, CallResult, ContractCall, ReadPlan
from app.protocols.abi import address_word, decode_uint, decode_words
from app.protocols.compound_v3 import calls
from app.protocols.compound_v3.raw import Raw, Totals


def read_moving(comet: Address, raw: Raw) -> ReadPlan[Raw]:
    """`raw` with the block's books and prices. Prices are read each block: many feeds wrap exchange rates that move
    without any log of a feed."""
    feeds = {one.code: one.terms.feed for one in raw.assets if one.terms is not None}
    questions = [ContractCall(comet, calls.TOTALS_BASIC)]
    questions += [ContractCall(comet, calls.GET_PRICE + address_word(feed)) for feed in feeds.values()]
    totals, *answers = yield questions
    prices: dict[str, int | None] = {asset.code: None for asset in raw.assets}
    prices |= {code: decode_uint(answer) or None for code, answer in zip(feeds, answers, strict=True)}
    return replace(raw, totals=_decode_totals(totals), prices=prices)


def _decode_totals(result: CallResult) -> Totals | None:
    words = decode_words(result, 8)
    if words is None:
        return None
    supply_index, borrow_index, _, _, total_supply, total_borrow, accrued_at, pause_flags = words
    if not supply_index or not borrow_index:
        return None
    return Totals(supply_index, borrow_index, total_supply, total_borrow, accrued_at, pause_flags)
