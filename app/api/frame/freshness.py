"""How old an answer is, and whether that is too old: said with every answer."""

from __future__ import annotations

from collections.abc import Sequence

from app.api.schemas.base import AsOf, Finality
from app.domain.specs import chain_spec
from app.store.blocks import StoredBlock
from app.store.chains import ChainStatus
from app.store.sightings import Sightings
from app.store.staleness import age_seconds, stale_reason


def as_of_head(
    chain_id: int, status: ChainStatus | None, head: StoredBlock | None, now: int, sightings: Sightings
) -> AsOf:
    """As-of of an answer at the newest stored block: stale when it may no longer be the truth. Takes note of what there
    is: a clock that is set back meanwhile makes it no younger."""
    seen = sightings.look(chain_id, status, head)
    age = None if head is None else age_seconds(head, now, seen)
    return _as_of(chain_id, status, head, age, stale_reason(chain_id, status, head, now, seen))


def as_of_past(chain_id: int, status: ChainStatus | None, block: StoredBlock, asked: int, now: int) -> AsOf:
    """As-of of an answer at a past block: the past does not age, but the stored block may not be the one asked for."""
    reason = None
    if asked - block.ref.number >= chain_spec(chain_id).sampling_step:
        reason = f"block {asked} itself is not stored: this is block {block.ref.number}, the newest stored before it"
    return _as_of(chain_id, status, block, age_seconds(block, now), reason)


def finality_of(status: ChainStatus | None, number: int) -> Finality:
    """What the chain last said of a height: finalized, safe, or neither."""
    if status is not None and status.finalized_number is not None and number <= status.finalized_number:
        return "finalized"
    if status is not None and status.safe_number is not None and number <= status.safe_number:
        return "safe"
    return "latest"


def least_fresh(chains: Sequence[AsOf]) -> AsOf:
    """The one an answer over several chains is only as good as: unindexed, then stale, then the longest lag.

    Raises:
        ValueError: there is none.
    """
    return max(chains, key=lambda a: (a.block_number is None, a.stale, a.lag_seconds or 0))


def cache_seconds(chains: Sequence[AsOf]) -> int:
    """How long an answer may be reused without asking again: half the shortest block time, whole seconds."""
    return min((int(chain_spec(a.chain_id).block_seconds / 2) for a in chains), default=0)


def _as_of(
    chain_id: int, status: ChainStatus | None, block: StoredBlock | None, age: int | None, reason: str | None
) -> AsOf:
    if block is None:
        return AsOf(
            chain_id=chain_id,
            chain=chain_spec(chain_id).name,
            block_number=None,
            block_hash=None,
            block_timestamp=None,
            finality=None,
            lag_seconds=None,
            stale=True,
            stale_reason=reason,
        )
    return AsOf(
        chain_id=chain_id,
        chain=chain_spec(chain_id).name,
        block_number=block.ref.number,
        block_hash=str(block.ref.hash),
        block_timestamp=block.ref.timestamp,
        finality=finality_of(status, block.ref.number),
        lag_seconds=age,
        stale=reason is not None,
        stale_reason=reason,
    )
