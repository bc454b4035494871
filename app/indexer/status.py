"""What a chain's status row says: how far the node is, and what hampers the indexer."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.chain.reader import ChainReader, Header
from app.domain.chain import BlockRef, ChainId
from app.indexer.options import IndexerOptions
from app.store.chains import ChainStatus, observe
from app.store.postgres.engine import Database


class StatusRow:
    """Keeps one chain's row fresh. A row nobody has touched for a while means the indexer is gone."""

    def __init__(
        self,
        reader: ChainReader,
        database: Database,
        options: IndexerOptions,
        clock: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            clock: Seconds since 1970 as this machine believes; may jump, and is only written down.
            elapsed: Seconds that pass one after the other: what is due is due by these.
        """
        self._reader = reader
        self._database = database
        self._options = options
        self._clock = clock
        self._elapsed = elapsed
        self._chain_id: ChainId = reader.chain_id
        self._head: BlockRef | None = None
        self._safe: int | None = None
        self._finalized: int | None = None
        self._asked_finality_at = float("-inf")
        self._asked_at: BlockRef | None = None
        """The head finality was asked at: it does not move without another."""
        self._wrote_at = float("-inf")
        self._written: tuple[BlockRef | None, str | None] = (None, None)

    async def note_head(self, head: Header) -> None:
        """The node's newest block; at first also its safe and finalized ones."""
        self._head = head.block
        if self._asked_finality_at == float("-inf"):
            await self.note_finality()

    async def note_finality(self) -> None:
        """The node's safe and finalized blocks, if it is time to ask again: where no block waits for the answers."""
        now = self._elapsed()
        if self._head != self._asked_at and now - self._asked_finality_at >= self._options.finality_seconds:
            safe = await self._reader.fetch_header("safe")
            finalized = await self._reader.fetch_header("finalized")
            self._safe = safe.block.number if safe is not None else None
            self._finalized = finalized.block.number if finalized is not None else None
            self._asked_finality_at, self._asked_at = now, self._head

    async def write(self, trouble: str | None = None) -> None:
        """Write the row if it says something new or is due as a sign of life. `trouble` is in words, without URLs."""
        now = self._elapsed()
        says = (self._head, trouble)
        if says == self._written and now - self._wrote_at < self._options.heartbeat_seconds:
            return
        async with self._database.write() as session:
            await observe(
                session,
                ChainStatus(
                    chain_id=self._chain_id,
                    head_number=self._head.number if self._head else None,
                    head_hash=self._head.hash if self._head else None,
                    head_timestamp=self._head.timestamp if self._head else None,
                    safe_number=self._safe,
                    finalized_number=self._finalized,
                    observed_at=int(self._clock()),
                    trouble=trouble,
                ),
            )
        self._written, self._wrote_at = says, now
