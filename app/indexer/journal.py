"""What the log and the metrics say of each block that was stored."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from app.domain.account import Unreadable
from app.domain.chain import BlockRef
from app.domain.specs import ChainSpec
from app.indexer.block.harvest import Harvest
from app.indexer.metrics import IndexerMetrics
from app.store.deployments import DeploymentTrouble

log = logging.getLogger(__name__)


class Journal:
    """Counts and logs one chain's committed blocks."""

    def __init__(self, spec: ChainSpec, families: IndexerMetrics) -> None:
        self._spec = spec
        self._families = families

    def note(
        self,
        harvest: Harvest,
        troubles: Mapping[str, DeploymentTrouble | None],
        head: BlockRef,
        seconds: float,
    ) -> None:
        """A block was stored, `seconds` after its reading began, while the node was at `head`."""
        block, families, chain = harvest.batch.block, self._families, str(self._spec.chain_id)
        behind = max(0, head.number - block.number)
        families.last_indexed_block.labels(chain).set(block.number)
        families.blocks_behind.labels(chain).set(behind)
        families.blocks_indexed.labels(chain).inc()
        families.block_index_seconds.labels(chain).observe(seconds)
        families.deployments_set_aside.labels(chain).set(sum(one.trouble is not None for one in harvest.followed))
        for name, trouble in troubles.items():
            log.warning("chain=%s block=%d deployment=%s %s", self._spec.name, block.number, name, _said(trouble))
        protocols = {one.deployment.id: one.deployment.protocol for one in harvest.followed}
        for account in harvest.batch.accounts:
            protocol = protocols[account.key.deployment_id]
            families.accounts_read.labels(chain, protocol).inc()
            if isinstance(account, Unreadable):
                families.accounts_unreadable.labels(chain, protocol).inc()
        log.info(
            "chain=%s block=%d behind=%d accounts=%d records=%d ms=%.0f",
            self._spec.name,
            block.number,
            behind,
            len(harvest.batch.accounts),
            len(harvest.batch.records),
            seconds * 1000,
        )


def _said(trouble: DeploymentTrouble | None) -> str:
    if trouble is None:
        return "read again"
    if not trouble.is_followed:
        return f"not followed since={trouble.since_block}"
    return f"set aside since={trouble.since_block} trouble={trouble.text!r}"
