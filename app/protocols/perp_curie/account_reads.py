"""Read plans for one account: its stored state, what its orders hold, and the contracts' own answers about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from app.domain.account import (
    AccountKey,
    AccountSnapshot,
    AccountState,
    LendingPosition,
    PerpPosition,
    Unreadable,
)
from app.domain.chain import Address, CallResult, ContractCall, ReadPlan
from app.protocols.abi import address_word, decode_uint, decode_words, uint_word
from app.protocols.base import Truth
from app.protocols.perp_curie import calls
from app.protocols.perp_curie.decoding import decode_addresses, decode_array, decode_int, signed
from app.protocols.perp_curie.raw import Raw
from app.protocols.rounds import describe

ACCOUNT_FIELDS = ("owed_realized_pnl", "has_order")
"""Realised result not yet booked to the balance, 18 decimals, signed; and whether any orders are open."""

_OF_ORDERS = 5
_BASE, _QUOTE = uint_word(1), uint_word(0)


class PerpParams(NamedTuple):
    """`PerpPosition.params`. The last two are of an account with orders, as they were at the snapshot's block."""

    last_growth: int
    """The market's funding growth at which the account's funding was last settled, times 2^96."""
    orders: int
    """How many orders are open."""
    pending_fee: int
    """18 decimals."""
    pending_funding: int
    """18 decimals; 0 without orders, where the growth tells it at any block."""


class _Taker(NamedTuple):
    """One market of an account before its orders are asked about."""

    base: Address
    size: int
    open_notional: int
    last_growth: int
    orders: int


def read_account(raw: Raw, key: AccountKey, block_number: int) -> ReadPlan[AccountState]:
    """Two rounds, and a third for accounts with orders.

    A market or collateral that is not known yet makes the account Unreadable: the state learns of it with the next
    read of the account, which `expecting` tells it of.
    """
    roots, wallet = raw.roots, address_word(key.wallet)
    balance, tokens, bases, results = yield (
        ContractCall(roots.vault, calls.GET_BALANCE + wallet),
        ContractCall(roots.vault, calls.GET_COLLATERAL_TOKENS + wallet),
        ContractCall(roots.account_balance, calls.GET_BASE_TOKENS + wallet),
        ContractCall(roots.account_balance, calls.GET_PNL_AND_PENDING_FEE + wallet),
    )
    settled, posted, entered = decode_int(balance), decode_addresses(tokens), decode_addresses(bases)
    words = decode_words(results, 3)
    if settled is None or posted is None or entered is None or words is None:
        asked: tuple[tuple[str, CallResult, object], ...] = (
            ("getBalance", balance, settled),
            ("getCollateralTokens", tokens, posted),
            ("getBaseTokens", bases, entered),
            ("getPnlAndPendingFee", results, words),
        )
        view, failed = next((view, answer) for view, answer, value in asked if value is None)
        return Unreadable(key, block_number, f"{view} {describe(failed)}")
    unknown = [str(one) for one in (*posted, *entered) if str(one) not in raw.codes]
    if unknown:
        return Unreadable(key, block_number, f"market {unknown[0]} is not known yet")
    read = yield from _read_positions(raw, key.wallet, posted, entered)
    if isinstance(read, str):
        return Unreadable(key, block_number, read)
    margins, perps = read
    if settled:
        code = raw.settlement.code
        margins.append(LendingPosition(code, max(settled, 0), max(-settled, 0), is_collateral=True))
    has_order = any(PerpParams(*perp.params).orders for perp in perps)
    return AccountSnapshot(
        key,
        block_number,
        tuple(sorted(margins, key=lambda one: one.market)),
        (signed(words[0]), int(has_order)),
        tuple(sorted((perp for perp in perps if not perp.is_empty), key=lambda one: one.market)),
    )


def read_truth(house: Address, raw: Raw, key: AccountKey) -> ReadPlan[Truth | None]:
    """Account value, maintenance requirement, notional, owed realised result, unrealised result and pending fee;
    None if any view reverts."""
    balance, wallet = raw.roots.account_balance, address_word(key.wallet)
    value, requirement, notional, results = yield (
        ContractCall(house, calls.GET_ACCOUNT_VALUE + wallet),
        ContractCall(balance, calls.GET_MARGIN_REQUIREMENT + wallet),
        ContractCall(balance, calls.GET_TOTAL_ABS_POSITION_VALUE + wallet),
        ContractCall(balance, calls.GET_PNL_AND_PENDING_FEE + wallet),
    )
    numbers, words = [decode_int(answer) for answer in (value, requirement, notional)], decode_words(results, 3)
    found = tuple(number for number in numbers if number is not None)
    return None if words is None or len(found) < len(numbers) else (*found, *map(signed, words))


def _read_positions(
    raw: Raw, wallet: Address, posted: Sequence[Address], entered: Sequence[Address]
) -> ReadPlan[tuple[list[LendingPosition], list[PerpPosition]] | str]:
    """Tokens posted and markets entered; what failed, for people, when something did."""
    roots, word = raw.roots, address_word(wallet)
    questions = [ContractCall(roots.vault, calls.GET_BALANCE_BY_TOKEN + word + address_word(token)) for token in posted]
    for base in entered:
        arguments = word + address_word(base)
        questions.append(ContractCall(roots.account_balance, calls.GET_ACCOUNT_INFO + arguments))
        questions.append(ContractCall(roots.order_book, calls.GET_OPEN_ORDER_IDS + arguments))
    if not questions:
        return [], []
    answers = yield questions
    margins, takers = [], []
    for token, answer in zip(posted, answers, strict=False):
        amount = decode_int(answer)
        if amount is None or amount < 0:
            return f"getBalanceByToken of {token} {describe(answer)}"
        margins.append(LendingPosition(str(token), amount, 0, is_collateral=True))
    for number, base in enumerate(entered):
        at = len(posted) + 2 * number
        words, ids = decode_words(answers[at], 3), decode_array(answers[at + 1])
        if words is None or ids is None:
            failed = ("getAccountInfo", answers[at]) if words is None else ("getOpenOrderIds", answers[at + 1])
            return f"{failed[0]} of {base} {describe(failed[1])}"
        takers.append(_Taker(base, *[*map(signed, words), len(ids)]))
    perps = yield from _read_orders(raw, word, takers)
    return perps if isinstance(perps, str) else (margins, perps)


def _read_orders(raw: Raw, word: bytes, takers: Sequence[_Taker]) -> ReadPlan[list[PerpPosition] | str]:
    """The markets with what the orders in them hold, less what was borrowed for them."""
    makers = [taker for taker in takers if taker.orders]
    questions = []
    for maker in makers:
        arguments = word + address_word(maker.base)
        book = raw.roots.order_book
        questions += [ContractCall(book, calls.GET_TOTAL_TOKEN_AMOUNT + arguments + side) for side in (_BASE, _QUOTE)]
        questions += [ContractCall(book, calls.GET_TOTAL_ORDER_DEBT + arguments + side) for side in (_BASE, _QUOTE)]
        questions.append(ContractCall(raw.roots.exchange, calls.GET_PENDING_FUNDING + arguments))
    answers = (yield questions) if questions else ()
    perps = [
        PerpPosition(str(one.base), one.size, one.open_notional, PerpParams(one.last_growth, 0, 0, 0))
        for one in takers
        if not one.orders
    ]
    for number, maker in enumerate(makers):
        found = _with_orders(maker, answers[_OF_ORDERS * number : _OF_ORDERS * (number + 1)])
        if found is None:
            return f"the orders in {maker.base} could not be read"
        perps.append(found)
    return perps


def _with_orders(maker: _Taker, answers: Sequence[CallResult]) -> PerpPosition | None:
    base, quote = (decode_words(answer, 2) for answer in answers[:2])
    base_debt, quote_debt = (decode_uint(answer) for answer in answers[2:4])
    funding = decode_int(answers[4])
    if base is None or quote is None or base_debt is None or quote_debt is None or funding is None:
        return None
    return PerpPosition(
        str(maker.base),
        maker.size + base[0] - base_debt,
        maker.open_notional + quote[0] - quote_debt,
        PerpParams(maker.last_growth, maker.orders, quote[1], funding),
    )
