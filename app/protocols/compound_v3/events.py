"""Which logs matter, and whom they touch.

One kind of change makes no log: what `transfer` takes from or adds to a debt is written to the principal in silence,
because the Comet's `Transfer` tells only of what is supplied. Nothing here can see it. It leaves an accrual:
`totalsBasic().lastAccrualTime` is its block's time, and where no log explains that, `CometState` says so. (The totals
would give it away only where the other side is a supplier: between two debts one grows by what the other shrinks, to a
unit.) Where only one side of a transfer has a supply, only that side is named: `names_one_side` tells.

A repayment makes `Supply` without `Transfer`. Signatures: CometMainInterface; `Upgraded` is ERC-1967's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
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

_ACCRUING = frozenset((SUPPLY, WITHDRAW, TRANSFER, ABSORB_DEBT))
_TOLD_BY = {SUPPLY: (SUPPLY, 2), ABSORB_DEBT: (SUPPLY, 2), WITHDRAW: (WITHDRAW, 1)}
"""What a `Transfer` of the same wallet in the same transaction is a part of: which way it goes, the wallet's topic."""
_NOBODY = Hash32(bytes(32))

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


def explain_accrual(logs: Iterable[Log]) -> bool:
    """Whether a log tells of something that accrues interest. What moves collateral alone does not say so."""
    return any(log.topics[0] in _ACCRUING for log in logs)


def names_one_side(logs: Iterable[Log]) -> bool:
    """Whether a `Transfer` belongs to a transfer of base of which the other side is named by no log.

    A `Transfer` from or to nobody is a part of whatever else its transaction tells of the same wallet: a supply, a
    withdrawal, an absorption. The others come from transfers, and a transfer between two supplies gives a pair over one
    amount, to a unit. What is left over in neither way is half of a transfer from or to a debt.
    """
    told: Counter[tuple[Hash32, Hash32, Hash32]] = Counter()
    halves: dict[Hash32, tuple[list[int], list[int]]] = {}
    transfers = []
    for log in logs:
        if log.topics[0] == TRANSFER and len(log.topics) == 3:
            transfers.append(log)
        elif log.topics[0] in _TOLD_BY and len(log.topics) == 3:
            kind, place = _TOLD_BY[log.topics[0]]
            told[log.transaction_hash, kind, log.topics[place]] += 1
    for log in transfers:
        _, source, target = log.topics
        gives = source != _NOBODY
        name = (log.transaction_hash, WITHDRAW if gives else SUPPLY, source if gives else target)
        if told[name]:
            told[name] -= 1
        else:
            taken, given = halves.setdefault(log.transaction_hash, ([], []))
            (taken if gives else given).append(int.from_bytes(log.data))
    return any(
        len(taken) != len(given) or any(abs(one - other) > 1 for one, other in zip(taken, given, strict=True))
        for taken, given in halves.values()
    )


def _address(word: Hash32) -> Address | None:
    """A topic as an address; None when it is none."""
    return Address(word[12:]) if word[:12] == _PADDING else None
