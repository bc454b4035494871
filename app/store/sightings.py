"""How long ago a process first saw what it sees of a chain, by a clock that nobody sets.

The ages of blocks and of signs of life are differences of two machines' clocks, and a clock that was set back makes
what is old look fresh. What a process saw unchanged for a minute is a minute old whatever the clocks say: so the longer
of the two is what counts. It cannot say how old a thing was when it was first seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from app.domain.chain import ChainId
from app.store.blocks import StoredBlock
from app.store.chains import ChainStatus


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one process knows of a chain by having looked before."""

    status_seconds: int = 0
    """How long its status has been as it is now, at least: nobody has written it since."""
    head_seconds: int = 0
    """How long its newest block has been there, at least."""
    is_written: bool = False
    """Whether its status was seen to change: somebody follows the chain, or did."""


UNSEEN = Sighting()
"""Of a chain nobody looked at before."""


@dataclass(slots=True)
class _Seen:
    status: ChainStatus | None
    status_at: float
    block_id: int | None
    block_at: float
    is_written: bool = False


class Sightings:
    """Of every chain, in one process."""

    def __init__(self, elapsed: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            elapsed: Seconds that pass one after the other, from wherever they are counted.
        """
        self.elapsed = elapsed
        self._seen: dict[ChainId, _Seen] = {}

    def look(self, chain_id: ChainId, status: ChainStatus | None, block: StoredBlock | None) -> Sighting:
        """Take note of what is there now, and say how long it has been; of a block below the newest one that was seen,
        how long that one has been."""
        now, block_id = self.elapsed(), None if block is None else block.id
        seen = self._seen.get(chain_id)
        if seen is None:
            self._seen[chain_id] = _Seen(status, now, block_id, now)
            return UNSEEN
        if status != seen.status:
            seen.status, seen.status_at, seen.is_written = status, now, True
        if block_id is not None and (seen.block_id is None or block_id > seen.block_id):
            seen.block_id, seen.block_at = block_id, now
        return Sighting(int(now - seen.status_at), int(now - seen.block_at), seen.is_written)
