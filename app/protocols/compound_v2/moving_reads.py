"""Reading what moves by itself: the markets' books, prices, and the stable coin's index. One round."""

from __future__ import annotations

from dataclasses import replace

from app.domain.chain import ZERO_ADDRESS, ReadPlan
from app.protocols.abi import address_word, decode_uint
from app.protocols.compound_v2 import calls
from app.protocols.compound_v2.raw import Listing, Numbers, Raw
from app.protocols.compound_v2.rules import Rules
from app.protocols.rounds import Round


def read_moving(raw: Raw, rules: Rules) -> ReadPlan[Raw]:
    """`raw` with the block's books and prices.

    Cash is read each block: a plain transfer of the underlying to a market moves its exchange rate without a log.
    """
    ask = Round()
    books = {listing.code: _ask_books(ask, listing, rules) for listing in raw.listings}
    prices = {
        listing.code: ask.ask(raw.roots.oracle, calls.GET_UNDERLYING_PRICE + address_word(listing.token))
        for listing in raw.listings
    }
    controller = raw.roots.vai_controller if rules.pools else None
    vai = None if controller is None else ask.ask(controller, calls.VAI_MINT_INDEX)
    ask.answer((yield ask.calls))
    return replace(
        raw,
        numbers={code: _decode_books(ask, tickets) for code, tickets in books.items()},
        prices={code: decode_uint(ask[ticket]) for code, ticket in prices.items()},
        vai_index=None if vai is None else decode_uint(ask[vai]),
    )


def _ask_books(ask: Round, listing: Listing, rules: Rules) -> list[int]:
    views = [
        calls.GET_CASH,
        calls.TOTAL_BORROWS,
        calls.TOTAL_RESERVES,
        calls.TOTAL_SUPPLY,
        calls.BORROW_INDEX,
        # isolated pools by seconds keep the block's getter and put a time into it
        calls.ACCRUAL_TIME if rules.by_seconds and not rules.bad_debt else calls.ACCRUAL_BLOCK,
        calls.RATE_PER_SECOND if rules.by_seconds and not rules.bad_debt else calls.RATE_PER_BLOCK,
        calls.EXCHANGE_RATE,
    ]
    if rules.bad_debt:
        views.append(calls.BAD_DEBT)
    elif rules.flash_loans and listing.asset != ZERO_ADDRESS:  # the native coin's market is older than flash loans
        views.append(calls.FLASH_LOAN_AMOUNT)
    return [ask.ask(listing.token, view) for view in views]


def _decode_books(ask: Round, tickets: list[int]) -> Numbers | None:
    values = [value for ticket in tickets if (value := decode_uint(ask[ticket])) is not None]
    if len(values) < len(tickets):
        return None
    cash, borrows, reserves, supply, index, accrued_at, rate, exchange_rate = values[:8]
    extra = values[8] if len(values) > 8 else 0
    return Numbers(cash, extra, borrows, reserves, supply, index, accrued_at, rate, exchange_rate)
