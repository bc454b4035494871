"""What a seed is about besides the faults that all have: whom it reads through, and what it may find at its end."""

from __future__ import annotations

from enum import StrEnum
from random import Random


class Kind(StrEnum):
    """The shape of one seed's run."""

    PLAIN = "plain"
    """One node, read without a pool; the process begins with the chain."""
    ALONE = "alone"
    """The same through a pool of one endpoint, as products of one setting are."""
    POOL = "pool"
    """Two endpoints, both spoiled."""
    COLD = "cold"
    """Faults and deaths from the very first start on, with blocks to search that are older than that."""
    PRUNED = "pruned"
    """Two endpoints that throw states away so soon that blocks are skipped."""
    CHANGING = "changing"
    """Each process follows one of two deployments, or both."""

    @property
    def keeps_history(self) -> bool:
        """Whether every block is to be stored as a clean run stores it; otherwise only what is known at the end is."""
        return self in (Kind.PLAIN, Kind.ALONE, Kind.POOL)


_WEIGHTS = {Kind.PLAIN: 3, Kind.ALONE: 1, Kind.POOL: 3, Kind.COLD: 1, Kind.PRUNED: 1, Kind.CHANGING: 1}


def kind_of(seed: int) -> Kind:
    """The kind of a seed, the same for ever."""
    return Random(f"{seed} kind").choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
