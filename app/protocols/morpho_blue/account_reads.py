"""Read plans for one account: its position in its market."""

from __future__ import annotations

from app.domain.account import AccountKey, AccountSnapshot, AccountState, LendingPosition, Unreadable
from app.domain.chain import Address, CallResult, ContractCall, ReadPlan
from app.protocols.abi import address_word, decode_words
from app.protocols.morpho_blue import calls
from app.protocols.morpho_blue.raw import BlueMarket, Raw, market_id
from app.protocols.rounds import describe

_POSITION_WORDS = 3


def position_call(contract: Address, market: BlueMarket, wallet: Address) -> ContractCall:
    """The call that gives a wallet's position."""
    found = market_id(market.id)
    assert found is not None
    return ContractCall(contract, calls.POSITION + found + address_word(wallet))


def snapshot_of(market: BlueMarket, key: AccountKey, block_number: int, answer: CallResult) -> AccountSnapshot | None:
    """The account that `position_call` was answered about; None when the answer is not one."""
    words = decode_words(answer, _POSITION_WORDS)
    if words is None:
        return None
    supply_shares, borrow_shares, collateral = words
    positions = (
        LendingPosition(market.collateral_code, collateral, 0, is_collateral=collateral > 0),
        LendingPosition(market.loan_code, supply_shares, borrow_shares, is_collateral=False),
    )
    return AccountSnapshot(key, block_number, tuple(p for p in positions if not p.is_empty), ())


def read_account(contract: Address, raw: Raw, key: AccountKey, block_number: int) -> ReadPlan[AccountState]:
    """The wallet's position in the market that the account's unit names: one call.

    An account in a market that is not followed is Unreadable: nothing could be said about it.
    """
    market = raw.markets.get(key.unit)
    if market is None:
        reason = (
            f"market {key.unit[:66] or '(none)'} is not followed: unknown to the contract, too new or too little used"
        )
        return Unreadable(key, block_number, reason)
    (answer,) = yield (position_call(contract, market, key.wallet),)
    return snapshot_of(market, key, block_number, answer) or Unreadable(
        key, block_number, f"position {describe(answer)}"
    )
