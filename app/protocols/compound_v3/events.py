"""Which logs matter, and whom they touch.

One kind of change makes no log: what `transfer` takes from or adds to a debt is written to the principal in silence,
because the Comet's `Transfer` tells only of what is supplied. Nothing here can see it; accounts with a debt have to be
read again on a rhythm. It does leave an accrual: `totalsBasic().lastAccrualTime` is its block's time. The totals give
it away only where the other side is a supplier: between two debts one grows by what the other shrinks, to a unit.

A repayment makes `Supply` without `Transfer`. Signatures: CometMainInterface; `Upgraded` is ERC-1967's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.account import AccountKey
from app.domain.chain import ZERO_ADDRESS, Address, Hash32, Log, LogFilter
from app.domain.market import Deployment
from app.protocols.abi import topic
from app.protocols.base import AccountTouched, ConfigurationTouched, RulesTouched, Touch
from app.protocols.compound_v3.raw import Raw

SUPPLY = topic("Supply(address,address,uint256)")
WITHDRAW = topic("Withdraw(address,address,uint256)")
TRANSFER = topic("Transfer(address,address,uint256)")
SUPPLY_COLLATERAL = topic("SupplyCollateral(address,address,address,uint256)")
WITHDRAW_COLLATERAL = topic("WithdrawCollateral(address,address,address,uint256)")
TRANSFER_COLLATERAL = topic("TransferCollateral(address,address,address,uint256)")
ABSORB_DEBT = topic("AbsorbDebt(address,address,uint256,uint256)")
ABSORB_COLLATERAL = topic("AbsorbCollateral(address,address,address,uint256,uint256)")
UPGRADED = topic("Upgraded(address)")


@dataclass(frozen=True, slots=True)
class _Shape:
    """One event: which topics are wallets it changed, which is a collateral asset, how many words of data."""

    wallets: tuple[int, ...]
    asset: int | None
    words: int = 1

    @property
    def topics(self) -> int:
        return 3 if self.asset is None else 4


SHAPES: Mapping[Hash32, _Shape] = {
    SUPPLY: _Shape((2,), None),
    WITHDRAW: _Shape((1,), None),
    TRANSFER: _Shape((1, 2), None),
    SUPPLY_COLLATERAL: _Shape((2,), 3),
    WITHDRAW_COLLATERAL: _Shape((1,), 3),
    TRANSFER_COLLATERAL: _Shape((1, 2), 3),
    ABSORB_DEBT: _Shape((2,), None, 2),
    ABSORB_COLLATERAL: _Shape((2,), 3, 2),
}
"""Payers (`from` of the supplies), receivers (`to` of the withdrawals) and absorbers change nothing of their own."""

ALL_TOPICS = frozenset((*SHAPES, UPGRADED))

_CONFIGURATION = (ConfigurationTouched(),)
_PADDING = bytes(12)


@dataclass(frozen=True, slots=True)
class Watched:
    """The one contract whose logs matter."""

    deployment_id: str
    comet: Address
    base: str
    """Market code of the base asset."""

    @classmethod
    def of(cls, deployment: Deployment, raw: Raw) -> Watched:
        """What the state names."""
        return cls(deployment.id, deployment.address, raw.base.code)

    @property
    def log_filter(self) -> LogFilter:
        """Every log that can touch an account, the configuration or the rules."""
        return LogFilter(frozenset((self.comet,)), ALL_TOPICS)

    def touched(self, log: Log) -> tuple[Touch, ...]:
        """Whom the log changed; () for logs nobody here asked for; everything when its shape is not its event's."""
        if log.address != self.comet or not log.topics:
            return ()
        kind = log.topics[0]
        if kind == UPGRADED:
            return (ConfigurationTouched(), RulesTouched())
        shape = SHAPES.get(kind)
        if shape is None:
            return ()
        if len(log.topics) != shape.topics or len(log.data) != 32 * shape.words:
            return _CONFIGURATION
        named = [_address(log.topics[place]) for place in shape.wallets]
        asset = None if shape.asset is None else _address(log.topics[shape.asset])
        if None in named or (shape.asset is not None and asset is None):
            return _CONFIGURATION
        market = self.base if asset is None else str(asset)
        wallets = dict.fromkeys(wallet for wallet in named if wallet is not None and wallet != ZERO_ADDRESS)
        return tuple(AccountTouched(AccountKey(self.deployment_id, wallet), market) for wallet in wallets)


def _address(word: Hash32) -> Address | None:
    """A topic as an address; None when it is none."""
    return Address(word[12:]) if word[:12] == _PADDING else None
