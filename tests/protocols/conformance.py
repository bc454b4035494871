"""What a protocol's tests hand in to be put through the suite every adapter has to pass (`test_conformance.py`).

Each protocol has a module `tests/protocols/<folder>/conformance.py` with a `CASE`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.domain.account import AccountSnapshot
from app.domain.chain import CallResult, ContractCall, ReadPlan, Reverted, T
from app.domain.market import Deployment

Contracts = Callable[[ContractCall], CallResult]


@dataclass(frozen=True, slots=True)
class Case:
    """A made-up deployment of the protocol, and accounts in it that between them use everything it has."""

    deployment: Deployment
    contracts: Contracts
    """Answers every call of the deployment and its accounts."""
    accounts: tuple[AccountSnapshot, ...]
    """What the contracts say of each account; at least one healthy and one liquidatable."""
    timestamp: int
    """Of the block, not before any accrual in the contracts."""
    block_number: int = 1
    """Of the block; it matters where interest runs by blocks."""


def everything_reverts(call: ContractCall) -> CallResult:
    """A node whose every answer is a revert."""
    del call
    return Reverted(b"")


def drive(plan: ReadPlan[T], contracts: Contracts) -> T:
    """Run a read plan to its end."""
    try:
        asked = next(plan)
        while True:
            asked = plan.send([contracts(call) for call in asked])
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
