"""What the writer does between blocks besides searching old logs: bounded, and never in the way of a block."""

from __future__ import annotations

from app.domain.specs import ChainSpec
from app.indexer.between.audit import Audit
from app.indexer.between.keeping import Keeping
from app.indexer.between.tracked import WalletLookups
from app.indexer.block.harvest import Sources
from app.indexer.feed import HeadFeed
from app.indexer.stored import StoredChain
from app.store.postgres.locks import AdvisoryLock


class BetweenBlocks:
    """Looks wallets up that somebody asked about, audits, and drops old history."""

    def __init__(self, sources: Sources, spec: ChainSpec) -> None:
        self._lookups = WalletLookups(sources)
        self._audit = Audit(sources)
        self._keeping = Keeping(sources.database, spec, sources.options)

    async def work(self, stored: StoredChain, lock: AdvisoryLock, feed: HeadFeed) -> None:
        """One bounded piece of each; `feed` says when a block is there that comes first.

        Raises:
            Retryable: the database failed, or the lock is lost.
        """
        await self._lookups.look_up(stored.cursor, stored.followed, lock)
        if await self._audit.check(stored.cursor, stored.followed, lock, feed):
            await stored.restore()
        await self._keeping.step(stored.cursor)
