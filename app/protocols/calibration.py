"""Which rounding rules a deployment follows is not assumed but found out: by comparing with its own view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.account import AccountSnapshot
from app.protocols.base import DeploymentState, Truth


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How the rules in use compare with the contract."""

    samples: int | None = None
    """Accounts compared; None when never."""
    matches: int = 0

    @property
    def failed(self) -> bool:
        """The rules are known not to fit."""
        return self.samples is not None and self.matches < self.samples


def choose_rules(
    state: DeploymentState, samples: Sequence[tuple[AccountSnapshot, Truth]], timestamp: int, block_number: int
) -> DeploymentState:
    """`state` under the first of its candidate rules that gives every sample's truth exactly.

    The samples are accounts with the contract's own numbers, read at the state's block; `timestamp` and
    `block_number` are that block's. Ties go to the likelier candidate. Without samples the suggested rules stay,
    said to be unchecked. When no candidate fits all samples the one that fits most is kept and marked as not
    confirmed, so that every assessment under it is UNKNOWN.
    """
    best: DeploymentState | None = None
    best_matches = -1
    for candidate in state.candidates():
        priced = candidate.at(timestamp, block_number)
        matches = sum(priced.truth(snapshot) == truth for snapshot, truth in samples)
        if matches > best_matches:
            best, best_matches = candidate, matches
        if matches == len(samples):
            break
    chosen = best if best is not None else state
    return chosen.confirmed(samples=len(samples), matches=max(best_matches, 0))
