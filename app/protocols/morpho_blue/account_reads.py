"""Read plans for one account: its position, and the contract's own word about it."""

from __future__ import annotations

from app.domain.account import AccountKey, AccountSnapshot, AccountState, LendingPosition, Unreadable
from app.domain.chain import Address, ContractCall, ReadPlan
from app.protocols.abi import address_word, decode_uint, decode_words
from app.protocols.base import Truth
from app.protocols.morpho_blue import calls
from app.protocols.morpho_blue.raw import Raw, market_id
from app.protocols.rounds import describe

_POSITION_WORDS = 3


def read_account(contract: Address, raw: Raw, key: AccountKey, block_number: int) -> ReadPlan[AccountState]:
    """The wallet's position in the market that the account's unit names: one call.

    An account in a market that is not followed is Unreadable: nothing could be said about it.
    """
    market, found = raw.markets.get(key.unit), market_id(key.unit)
    if market is None or found is None:
        return Unreadable(key, block_number, f"market {key.unit[:66] or '(none)'} is not followed")
    (result,) = yield (ContractCall(contract, calls.POSITION + found + address_word(key.wallet)),)
    words = decode_words(result, _POSITION_WORDS)
    if words is None:
        return Unreadable(key, block_number, f"position {describe(result)}")
    supply_shares, borrow_shares, collateral = words
    positions = (
        LendingPosition(market.collateral_code, collateral, 0, is_collateral=collateral > 0),
        LendingPosition(market.loan_code, supply_shares, borrow_shares, is_collateral=False),
    )
    return AccountSnapshot(key, block_number, tuple(p for p in positions if not p.is_empty), ())


def read_truth(contract: Address, raw: Raw, key: AccountKey) -> ReadPlan[Truth | None]:
    """Supply shares, borrow shares, collateral, and 1 if the contract calls the position healthy, else 0.

    The contract has no view of health, so it is asked by a liquidation that cannot go through. None where that
    does not come to a verdict: the oracle or the rate model reverts. Without debt there is nothing to ask.
    """
    market, found = raw.markets.get(key.unit), market_id(key.unit)
    if market is None or found is None:
        return None
    position, price, attempt = yield (
        ContractCall(contract, calls.POSITION + found + address_word(key.wallet)),
        ContractCall(market.params.oracle, calls.PRICE),
        ContractCall(contract, calls.probing_liquidation(market.params.words(), key.wallet)),
    )
    words = decode_words(position, _POSITION_WORDS)
    if words is None:
        return None
    healthy = calls.liquidation_verdict(attempt) if words[1] else True
    if healthy is None or (words[1] and decode_uint(price) is None):
        return None
    return (*words, int(healthy))
