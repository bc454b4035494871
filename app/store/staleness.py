"""When what is stored of a chain is no ground for "now" any more: one judgement for answers, alerts and exit codes."""

from __future__ import annotations

from app.domain.chain import ChainId
from app.domain.specs import chain_spec
from app.store.blocks import StoredBlock
from app.store.chains import ChainStatus
from app.store.sightings import UNSEEN, Sighting

INDEXER_SILENT_SECONDS = 60
"""An indexer says it is alive at every block and every poll; silence past this (or past the chain's own limit,
whichever is longer) means nobody watches the chain any more."""


def stale_reason(
    chain_id: ChainId, status: ChainStatus | None, head: StoredBlock | None, now: int, seen: Sighting = UNSEEN
) -> str | None:
    """Why the newest stored block of a chain is no good ground for "now"; None when it is.

    Args:
        now: Unix seconds as this machine believes.
        seen: what this process knows by having looked before: a clock set back hides nothing that lasts.
    """
    if head is None:
        return "nothing of this chain is indexed yet"
    limit = chain_spec(chain_id).stale_after_seconds
    if status is None:
        return "nobody follows this chain"
    if status.trouble:
        return f"the indexer is in trouble: {status.trouble}"
    behind = clock_behind_seconds(status, now, seen)
    if behind:
        return (
            f"the clock here is {behind} seconds behind the indexer's last sign of life: nobody knows how old that is"
        )
    silence = silent_seconds(status, now, seen)
    if silence > max(limit, INDEXER_SILENT_SECONDS):
        return f"the indexer has been silent for {silence} seconds"
    age = age_seconds(head, now, seen)
    if age > limit:
        return f"the newest indexed block is {age} seconds old; this chain's limit is {limit}"
    return None


def clock_behind_seconds(status: ChainStatus, now: int, seen: Sighting = UNSEEN) -> int:
    """How far the clock here is behind that of the indexer, as long as nothing else says whether that one is alive; 0
    where it is not, or where that does not matter."""
    behind = status.observed_at - now
    return behind if behind > INDEXER_SILENT_SECONDS and not seen.is_written else 0


def silent_seconds(status: ChainStatus, now: int, seen: Sighting = UNSEEN) -> int:
    """How long ago the indexer last said that it is there, at least. Never below zero."""
    return max(0, now - status.observed_at, seen.status_seconds)


def age_seconds(head: StoredBlock, now: int, seen: Sighting = UNSEEN) -> int:
    """How long ago a block was made, at least. Never below zero."""
    return max(0, now - head.ref.timestamp, seen.head_seconds)
