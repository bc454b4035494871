"""When what is stored of a chain is no ground for "now" any more: one judgement for answers, alerts and exit codes."""

from __future__ import annotations

from app.domain.chain import ChainId
from app.domain.specs import chain_spec
from app.store.blocks import StoredBlock
from app.store.chains import ChainStatus

INDEXER_SILENT_SECONDS = 60
"""An indexer says it is alive at every block and every poll; silence past this (or past the chain's own limit,
whichever is longer) means nobody watches the chain any more."""


def stale_reason(chain_id: ChainId, status: ChainStatus | None, head: StoredBlock | None, now: int) -> str | None:
    """Why the newest stored block of a chain is no good ground for "now"; None when it is."""
    if head is None:
        return "nothing of this chain is indexed yet"
    limit = chain_spec(chain_id).stale_after_seconds
    if status is None:
        return "nobody follows this chain"
    if status.trouble:
        return f"the indexer is in trouble: {status.trouble}"
    silence = now - status.observed_at
    if silence > max(limit, INDEXER_SILENT_SECONDS):
        return f"the indexer has been silent for {silence} seconds"
    age = now - head.ref.timestamp
    if age > limit:
        return f"the newest indexed block is {age} seconds old; this chain's limit is {limit}"
    return None
