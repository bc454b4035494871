"""What checking stored accounts against the chain brings: counts, and what differed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain.account import AccountKey


class FindingKind(StrEnum):
    """Which of the two things that have to hold did not."""

    STATE = "state"
    """The stored raw state is not what the contracts hold at the block: something was missed, or the store damaged."""
    TRUTH = "truth"
    """From raw state freshly read, the adapter's rule gives other numbers than the contract's own view."""


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One account in which something differed."""

    key: AccountKey
    kind: FindingKind
    what: tuple[str, ...]
    """Names of the numbers that differ, as long as the two that follow."""
    expected: tuple[int | None, ...]
    """What the chain says. None where it has nothing by that name."""
    got: tuple[int | None, ...]
    """What was stored, or computed."""


@dataclass(frozen=True, slots=True)
class AuditCount:
    """One deployment's share in one check."""

    deployment_id: str
    checked: int
    """Accounts compared; those that could not be read are not among them."""
    exact: int
    """Those of them for which nothing differed."""
    state_mismatches: int
    truth_mismatches: int
    unreadable: int
    """Accounts that could not be read at the block although they are stored as readable."""
    worst_error_wad: int | None
    """The largest relative error of a number that would have been answered, 18 decimals, rounded up; 0 when all were
    exact, None when no number could be compared."""
