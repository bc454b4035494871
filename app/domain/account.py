"""An account is the unit of solvency: whatever is liquidated together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from app.domain.chain import Address


@dataclass(frozen=True, slots=True, order=True)
class AccountKey:
    """Names one account. `unit` is empty for cross-collateral pools; a market id or position key elsewhere."""

    deployment_id: str
    wallet: Address
    unit: str = ""


@dataclass(frozen=True, slots=True)
class LendingPosition:
    """What an account holds in one lending market, raw: constant between the account's own events.

    The raw amounts are the contract's own interest-free numbers (Aave: scaled balances; elsewhere shares or
    principal); they become assets only together with the market's index at a block.
    """

    market: str
    supplied_raw: int
    borrowed_raw: int
    is_collateral: bool

    @property
    def is_empty(self) -> bool:
        """Nothing supplied, nothing borrowed, no flag: kept in history as the mark of a closed position."""
        return not (self.supplied_raw or self.borrowed_raw or self.is_collateral)

    @property
    def is_exposed(self) -> bool:
        """Whether this position owes anything: only then can its account be liquidated."""
        return self.borrowed_raw > 0


@dataclass(frozen=True, slots=True)
class PerpPosition:
    """What an account holds in one perp market, raw: constant between the account's own events.

    The margin behind it is not part of it: tokens posted are the account's `LendingPosition`s, supplied as collateral.
    """

    market: str
    size_raw: int
    """In the market's base asset, signed: above 0 is long, below 0 short."""
    entry_notional_raw: int
    """What was received for the size when it was taken on, signed, in the protocol's quote unit: below 0 for a long
    (paid), above 0 for a short. Value of the size at the mark price plus this is the unrealised profit."""
    params: tuple[int, ...] = ()
    """Further raw integers in the order the adapter documents (funding checkpoints, a maker's orders)."""

    @property
    def is_empty(self) -> bool:
        """Nothing held and nothing to remember."""
        return not (self.size_raw or self.entry_notional_raw or any(self.params))

    @property
    def is_exposed(self) -> bool:
        """Whether this position needs margin."""
        return self.size_raw != 0


Position: TypeAlias = LendingPosition | PerpPosition
"""One account has at most one position in a market, of the kind the market is for."""


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """The whole raw state of one account, as read at `block_number`."""

    key: AccountKey
    block_number: int
    positions: tuple[LendingPosition, ...]
    """What is lent, borrowed, or posted as margin. Sorted by market; empty positions left out."""
    params: tuple[int, ...]
    """Account-wide raw integers in the order of the adapter's `account_fields` (Aave: the eMode category)."""
    perps: tuple[PerpPosition, ...] = ()
    """Sorted by market; empty positions left out."""

    @property
    def is_exposed(self) -> bool:
        """Whether there is anything in it that could be liquidated."""
        return any(held.is_exposed for held in self.positions) or any(held.is_exposed for held in self.perps)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The account's state could not be read at `block_number`: its risk is UNKNOWN, whatever it was before."""

    key: AccountKey
    block_number: int
    reason: str
    """For people: which read failed and how."""


AccountState: TypeAlias = AccountSnapshot | Unreadable


@dataclass(frozen=True, slots=True)
class NotYetRead:
    """An account known from logs whose state nobody has read yet: its risk is UNKNOWN, not absent."""

    key: AccountKey
