"""Read plans for one account: its raw state in two rounds, and the contract's own answer about it."""

from __future__ import annotations

from app.domain.account import AccountKey, AccountSnapshot, AccountState, LendingPosition, Unreadable
from app.domain.chain import Address, ContractCall, ReadPlan
from app.domain.market import Deployment
from app.protocols.abi import address_word, decode_uint, decode_words
from app.protocols.base import Truth
from app.protocols.compound_v2 import calls
from app.protocols.compound_v2.calls import Round, decode_addresses, describe
from app.protocols.compound_v2.raw import Raw, pack_debt, unpack_debt
from app.protocols.compound_v2.rules import Rules


def read_account(
    deployment: Deployment,
    raw: Raw,
    rules: Rules,
    key: AccountKey,
    block_number: int,
    markets: frozenset[str],
    known: AccountSnapshot | None,
) -> ReadPlan[AccountState]:
    """The markets the account has entered, then its balance and debt in them and in `markets`.

    A debt is stored as principal and index, which no view shows. `borrowBalanceStored` with the market's borrow
    index is that very pair at the block of the debt's own last event, and elsewhere one that gives the same debt
    now and at most a unit or two less later on. So a pair of `known` that still gives the debt of this block is kept.
    """
    comptroller, word = deployment.address, address_word(key.wallet)
    first = Round()
    entered_ticket = first.ask(comptroller, calls.GET_ASSETS_IN + word)
    special: list[int] = []
    if rules.pools:
        special += (first.ask(comptroller, calls.USER_POOL_ID + word), first.ask(comptroller, calls.MINTED_VAIS + word))
        if raw.roots.vai_controller is not None:
            views = (calls.PAST_VAI_INTEREST, calls.VAI_MINTER_INDEX)
            special += (first.ask(raw.roots.vai_controller, view + word) for view in views)
    first.answer((yield first.calls))
    entered = decode_addresses(first[entered_ticket])
    if entered is None:
        return Unreadable(key, block_number, f"getAssetsIn {describe(first[entered_ticket])}")
    params = [decode_uint(first[ticket]) for ticket in special]
    read = [value for value in params if value is not None]
    if len(read) < len(special):
        failed = first[special[params.index(None)]]
        return Unreadable(key, block_number, f"the account's pool or VAI debt {describe(failed)}")
    read += [0] * (4 - len(read))
    codes = {str(token) for token in entered}
    strangers = codes - raw.by_code.keys()
    if strangers:
        return Unreadable(key, block_number, f"the account is in market {min(strangers)}, which could not be read")
    positions = yield from _read_positions(raw, key, block_number, codes, markets, known)
    if isinstance(positions, Unreadable):
        return positions
    return AccountSnapshot(key, block_number, positions, tuple(read))


def read_truth(comptroller: Address, key: AccountKey) -> ReadPlan[Truth | None]:
    """Liquidity and shortfall by getAccountLiquidity; None where it reverts or answers with an error code."""
    (result,) = yield (ContractCall(comptroller, calls.GET_ACCOUNT_LIQUIDITY + address_word(key.wallet)),)
    words = decode_words(result, 3)
    return None if words is None or words[0] else words[1:]


def _read_positions(
    raw: Raw,
    key: AccountKey,
    block_number: int,
    entered: set[str],
    markets: frozenset[str],
    known: AccountSnapshot | None,
) -> ReadPlan[tuple[LendingPosition, ...] | Unreadable]:
    wanted = sorted(entered | (markets & raw.by_code.keys()))
    if not wanted:
        return ()
    word = address_word(key.wallet)
    second = Round()
    tickets = [
        (
            second.ask(raw.by_code[code].token, calls.GET_ACCOUNT_SNAPSHOT + word),
            second.ask(raw.by_code[code].token, calls.BORROW_INDEX),
        )
        for code in wanted
    ]
    second.answer((yield second.calls))
    before = {position.market: position.borrowed_raw for position in known.positions} if known is not None else {}
    positions: list[LendingPosition] = []
    for code, (snapshot, index_ticket) in zip(wanted, tickets, strict=True):
        words, index = decode_words(second[snapshot], 4), decode_uint(second[index_ticket])
        symbol = raw.by_code[code].symbol
        if words is None:
            return Unreadable(key, block_number, f"getAccountSnapshot in {symbol} {describe(second[snapshot])}")
        if words[0] or index is None:
            fault = (
                f"answered with error {words[0]}" if words[0] else f"is without index: {describe(second[index_ticket])}"
            )
            return Unreadable(key, block_number, f"getAccountSnapshot in {symbol} {fault}")
        try:
            debt = _debt(words[2], index, before.get(code, 0))
        except ValueError as error:
            return Unreadable(key, block_number, f"the debt in {symbol}: {error}")
        position = LendingPosition(code, words[1], debt, code in entered)
        if not position.is_empty:
            positions.append(position)
    return tuple(positions)


def _debt(balance: int, index: int, before: int) -> int:
    """The debt as raw state: the pair known before where it still gives this balance."""
    if before and balance:
        principal, since = unpack_debt(before)
        if principal * index // since == balance:
            return before
    return pack_debt(balance, index)
