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


Position: TypeAlias = LendingPosition


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """The whole raw state of one account, as read at `block_number`."""

    key: AccountKey
    block_number: int
    positions: tuple[Position, ...]
    """Sorted by market; empty positions left out."""
    params: tuple[int, ...]
    """Account-wide raw integers in the order of the adapter's `account_fields` (Aave: the eMode category)."""


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
