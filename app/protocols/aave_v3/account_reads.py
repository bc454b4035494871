"""Read plans for one account: its raw state in two rounds, and the contract's own answer about it."""

from __future__ import annotations

from collections.abc import Set

from app.domain.account import AccountKey, AccountSnapshot, AccountState, LendingPosition, Unreadable
from app.domain.chain import ZERO_ADDRESS, ContractCall, ReadPlan, Returned
from app.protocols.aave_v3 import calls
from app.protocols.aave_v3.raw import Raw, Reserve
from app.protocols.aave_v3.rules import Rules
from app.protocols.abi import address_word, decode_uint, decode_words
from app.protocols.base import Truth
from app.protocols.rounds import describe

_BORROWED, _COLLATERAL, _KNOWN = 1, 2, 4


def read_account(
    raw: Raw, rules: Rules, key: AccountKey, block_number: int, markets: Set[str]
) -> ReadPlan[AccountState]:
    """The account's flags and eMode, then the scaled balances of what it flags and of `markets`.

    A debt counts for the contract only while its flag is set, so only flagged debts are read. Debt at a stable
    rate cannot be told from two raw numbers: an account that has any is Unreadable.
    """
    pool, word = raw.roots.pool, address_word(key.wallet)
    flags, mode = yield (
        ContractCall(pool, calls.GET_USER_CONFIGURATION + word),
        ContractCall(pool, calls.GET_USER_EMODE + word),
    )
    bitmap, emode = decode_uint(flags), decode_uint(mode)
    if bitmap is None:
        return Unreadable(key, block_number, f"getUserConfiguration {describe(flags)}")
    if emode is None:
        return Unreadable(key, block_number, f"getUserEMode {describe(mode)}")
    wanted = _wanted(raw, bitmap, markets)
    if wanted is None:
        return Unreadable(key, block_number, "the account's flags name a reserve that could not be read")
    if not wanted:
        return AccountSnapshot(key, block_number, (), (emode,))

    scaled = calls.SCALED_BALANCE_OF + word
    asked: list[ContractCall] = []
    for reserve, uses in wanted:
        if uses & (_COLLATERAL | _KNOWN):
            asked.append(ContractCall(reserve.a_token, scaled))
        if uses & _BORROWED:
            asked.append(ContractCall(reserve.variable_debt_token, scaled))
            if rules.stable_debt and reserve.stable_debt_token != ZERO_ADDRESS:
                asked.append(ContractCall(reserve.stable_debt_token, calls.BALANCE_OF + word))
    results = yield asked

    number, at = int.from_bytes, 0
    positions: list[LendingPosition] = []
    for result, call in zip(results, asked, strict=True):
        if type(result) is not Returned or len(result.data) != 32:
            return Unreadable(key, block_number, f"balance at token {call.target} {describe(result)}")
    for reserve, uses in wanted:
        supplied = borrowed = 0
        if uses & (_COLLATERAL | _KNOWN):
            supplied = number(results[at].data, "big")
            at += 1
        if uses & _BORROWED:
            borrowed = number(results[at].data, "big")
            at += 1
            if rules.stable_debt and reserve.stable_debt_token != ZERO_ADDRESS:
                if number(results[at].data, "big"):
                    return Unreadable(key, block_number, f"debt at a stable rate in {reserve.symbol} is not modelled")
                at += 1
        if supplied or borrowed or uses & _COLLATERAL:
            positions.append(LendingPosition(reserve.code, supplied, borrowed, bool(uses & _COLLATERAL)))
    return AccountSnapshot(key, block_number, tuple(positions), (emode,))


def read_truth(raw: Raw, key: AccountKey) -> ReadPlan[Truth | None]:
    """The six numbers of getUserAccountData; None where it reverts."""
    (result,) = yield (ContractCall(raw.roots.pool, calls.GET_USER_ACCOUNT_DATA + address_word(key.wallet)),)
    return decode_words(result, 6)


def _wanted(raw: Raw, bitmap: int, markets: Set[str]) -> list[tuple[Reserve, int]] | None:
    """Reserves to read with what for, by market code; None when a flag names a reserve that is not known.

    A flag on a dropped slot is passed over, as the contract does.
    """
    uses: dict[int, int] = {}
    while bitmap:
        bit = (bitmap & -bitmap).bit_length() - 1
        bitmap &= bitmap - 1
        uses[bit >> 1] = uses.get(bit >> 1, 0) | (_COLLATERAL if bit & 1 else _BORROWED)
    by_code = raw.by_code
    for code in markets:
        if code in by_code:
            uses[by_code[code].id] = uses.get(by_code[code].id, 0) | _KNOWN
    wanted: list[tuple[Reserve, int]] = []
    for reserve_id, use in uses.items():
        reserve = raw.by_id.get(reserve_id)
        if reserve is not None:
            wanted.append((reserve, use))
        elif reserve_id >= len(raw.listing) or raw.listing[reserve_id] != ZERO_ADDRESS:
            return None
    wanted.sort(key=_code)
    return wanted


def _code(wanted: tuple[Reserve, int]) -> str:
    return wanted[0].code
