"""Read plans for one account: its raw state in two rounds, and the contract's own answer about it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from app.domain.account import AccountKey, AccountSnapshot, AccountState, LendingPosition, Unreadable
from app.domain.chain import Address, ContractCall, ReadPlan
from app.domain.market import Deployment
from app.protocols.abi import address_word, decode_uint, decode_words
from app.protocols.base import Truth
from app.protocols.compound_v2 import calls
from app.protocols.compound_v2.calls import decode_addresses
from app.protocols.compound_v2.raw import Raw, pack_debt, unpack_debt
from app.protocols.compound_v2.rules import Rules
from app.protocols.rounds import Round, describe


def read_account(
    deployment: Deployment,
    raw: Raw,
    rules: Rules,
    key: AccountKey,
    block_number: int,
    markets: Set[str],
) -> ReadPlan[AccountState]:
    """The markets the account has entered, then its balance and debt in them and in `markets`.

    A debt is stored as principal and index, which no view shows. `borrowBalanceStored` with the market's borrow
    index is that very pair at the block of the debt's own last event, and elsewhere one that gives the same debt
    now and at most a unit or two less later on (`continued` puts that right).
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
    positions = yield from _read_positions(raw, key, block_number, codes, markets)
    if isinstance(positions, Unreadable):
        return positions
    return AccountSnapshot(key, block_number, positions, tuple(read))


def continued(before: AccountSnapshot, read: AccountSnapshot) -> AccountSnapshot:
    """`read` with each debt's principal and index as `before` knows them, where these still give its balance.

    A debt that was repaid and taken out again to the same unit in one block keeps its old pair: at most a unit off.
    """
    pairs = {position.market: position.borrowed_raw for position in before.positions if position.borrowed_raw}
    positions = []
    for position in read.positions:
        pair = pairs.get(position.market)
        if pair is not None and position.borrowed_raw:
            (principal, since), (balance, index) = unpack_debt(pair), unpack_debt(position.borrowed_raw)
            if principal * index // since == balance:
                position = replace(position, borrowed_raw=pair)
        positions.append(position)
    return replace(read, positions=tuple(positions))


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
    markets: Set[str],
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
            debt = pack_debt(words[2], index)
        except ValueError as error:
            return Unreadable(key, block_number, f"the debt in {symbol}: {error}")
        position = LendingPosition(code, words[1], debt, code in entered)
        if not position.is_empty:
            positions.append(position)
    return tuple(positions)
