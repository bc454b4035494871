"""Which logs matter, and whom they touch. All come from the one contract and name the market in their first topic.

The account is `onBehalf` (the borrower of a liquidation), whose place among the topics differs; callers and
receivers have no part in it. `CreateMarket` is not asked for: a market nobody has a position in concerns nobody, and
markets can be created by anybody. Event signatures: the protocol's `EventsLib`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from app.domain.account import AccountKey
from app.domain.chain import ZERO_ADDRESS, Address, Hash32, Log, LogFilter
from app.protocols.abi import topic
from app.protocols.base import AccountTouched, ConfigurationTouched, Touch

WITHDRAW = topic("Withdraw(bytes32,address,address,address,uint256,uint256)")
BORROW = topic("Borrow(bytes32,address,address,address,uint256,uint256)")
WITHDRAW_COLLATERAL = topic("WithdrawCollateral(bytes32,address,address,address,uint256)")
SUPPLY = topic("Supply(bytes32,address,address,uint256,uint256)")
REPAY = topic("Repay(bytes32,address,address,uint256,uint256)")
SUPPLY_COLLATERAL = topic("SupplyCollateral(bytes32,address,address,uint256)")
LIQUIDATE = topic("Liquidate(bytes32,address,address,uint256,uint256,uint256,uint256,uint256)")
ACCRUE_INTEREST = topic("AccrueInterest(bytes32,uint256,uint256,uint256)")
SET_FEE_RECIPIENT = topic("SetFeeRecipient(address)")

WALLET_TOPIC_AND_WORDS = {
    WITHDRAW: (2, 3),
    BORROW: (2, 3),
    WITHDRAW_COLLATERAL: (2, 2),
    SUPPLY: (3, 2),
    REPAY: (3, 2),
    SUPPLY_COLLATERAL: (3, 1),
    LIQUIDATE: (3, 5),
}
"""Which topic the account's wallet is, and how many words of data there are. Each has four topics."""

ALL_TOPICS = frozenset({*WALLET_TOPIC_AND_WORDS, ACCRUE_INTEREST, SET_FEE_RECIPIENT})

_PADDING = bytes(12)
_CONFIGURATION = (ConfigurationTouched(),)
_REMEMBERED = 16_384
"""Accounts, some 0.5 kB each."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The contract of one deployment, and who gets its fees."""

    deployment_id: str
    morpho: Address
    fee_recipient: Address

    @property
    def log_filter(self) -> LogFilter:
        """Every log that can touch an account or the fee recipient."""
        return LogFilter(frozenset({self.morpho}), ALL_TOPICS)

    def touched(self, log: Log) -> tuple[Touch, ...]:
        """Whom the log changed; () for logs nobody here asked for; everything when its shape is not its event's."""
        if log.address != self.morpho or not log.topics or log.topics[0] not in ALL_TOPICS:
            return ()
        kind = log.topics[0]
        if kind == ACCRUE_INTEREST:
            return self._accrual(log)
        if kind == SET_FEE_RECIPIENT:
            return _CONFIGURATION
        place, words = WALLET_TOPIC_AND_WORDS[kind]
        if len(log.topics) != 4 or len(log.data) != 32 * words:
            return _CONFIGURATION
        return _touched_account(self.deployment_id, log.topics[1], log.topics[place])

    def _accrual(self, log: Log) -> tuple[Touch, ...]:
        """Fee shares go to the fee recipient's account in the market; without a recipient, to nobody's."""
        if len(log.topics) != 2 or len(log.data) != 96:
            return _CONFIGURATION
        if not any(log.data[64:]) or self.fee_recipient == ZERO_ADDRESS:
            return ()
        return _touched_account(self.deployment_id, log.topics[1], Hash32(_PADDING + self.fee_recipient))


@lru_cache(maxsize=_REMEMBERED)
def _touched_account(deployment_id: str, market: Hash32, wallet: Hash32) -> tuple[Touch, ...]:
    """The account of two topics; everything when the second is no address. One object for each account: most logs are
    about accounts seen before."""
    if wallet[:12] != _PADDING:
        return _CONFIGURATION
    return (AccountTouched(AccountKey(deployment_id, Address(wallet[12:]), _unit(market))),)


@lru_cache(maxsize=_REMEMBERED)
def _unit(market: Hash32) -> str:
    return str(market)
