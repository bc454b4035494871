"""Read plans for one account: its raw state in two rounds, and the contract's own answers about it."""

from __future__ import annotations

from app.domain.account import AccountKey, AccountSnapshot, AccountState, LendingPosition, Unreadable
from app.domain.chain import Address, ContractCall, ReadPlan
from app.protocols.abi import address_word, decode_uint, decode_words
from app.protocols.base import Truth
from app.protocols.compound_v3 import calls
from app.protocols.compound_v3.raw import Raw
from app.protocols.rounds import describe

_FIRST_FLAGS = 16
"""Flags of the first sixteen collaterals have a field of their own; the rest came later and sit in another."""
_SIGN = 1 << 255
_PRINCIPAL_LIMIT = 1 << 103


def read_account(comet: Address, raw: Raw, key: AccountKey, block_number: int) -> ReadPlan[AccountState]:
    """The signed principal and the flags, then the balance of every collateral flagged.

    The contract flags exactly the collaterals an account has a balance in, so the flags say what to read.
    """
    wallet = address_word(key.wallet)
    (basic,) = yield (ContractCall(comet, calls.USER_BASIC + wallet),)
    words = decode_words(basic, 5)
    if words is None:
        return Unreadable(key, block_number, f"userBasic {describe(basic)}")
    principal = words[0] - (words[0] & _SIGN) * 2
    if abs(principal) > _PRINCIPAL_LIMIT:
        return Unreadable(key, block_number, "userBasic answered a principal of more than 104 bits")
    held = words[3] | words[4] << _FIRST_FLAGS
    if held >> len(raw.collaterals):
        return Unreadable(
            key, block_number, f"the account holds collateral number {held.bit_length() - 1}, which could not be read"
        )
    positions = []
    if principal:
        positions.append(LendingPosition(raw.base.code, max(principal, 0), max(-principal, 0), False))
    flagged = [collateral for number, collateral in enumerate(raw.collaterals) if held >> number & 1]
    if flagged:
        answers = yield [
            ContractCall(comet, calls.USER_COLLATERAL + wallet + address_word(collateral.asset))
            for collateral in flagged
        ]
        for collateral, answer in zip(flagged, answers, strict=True):
            balance = decode_words(answer, 2)
            if balance is None:
                return Unreadable(key, block_number, f"userCollateral of {collateral.symbol} {describe(answer)}")
            positions.append(LendingPosition(collateral.code, balance[0], 0, True))
    ordered = tuple(sorted(positions, key=lambda position: position.market))
    return AccountSnapshot(key, block_number, ordered, (held,))


def read_truth(comet: Address, key: AccountKey) -> ReadPlan[Truth | None]:
    """isLiquidatable, isBorrowCollateralized (1 is true), borrowBalanceOf and balanceOf; None if any reverts."""
    views = (calls.IS_LIQUIDATABLE, calls.IS_BORROW_COLLATERALIZED, calls.BORROW_BALANCE_OF, calls.BALANCE_OF)
    answers = yield [ContractCall(comet, view + address_word(key.wallet)) for view in views]
    values = tuple(value for answer in answers if (value := decode_uint(answer)) is not None)
    return values if len(values) == len(views) else None
