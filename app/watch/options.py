"""Bounds of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What can be set about it."""

    attempts: int = 4
    """How often a block is measured when somebody else evaluates, or changes the lists, meanwhile."""
    trail: int = 512
    """Evaluated blocks that are remembered, to find the newest that a reorg left: more than any chain's finality
    depth."""
