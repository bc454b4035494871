"""Dropping history older than the retention, a little between blocks."""

from __future__ import annotations

import logging
import time

from app.domain.specs import ChainSpec
from app.errors import Retryable
from app.indexer.options import IndexerOptions
from app.store.blocks import StoredBlock
from app.store.postgres.engine import Database
from app.store.thin import Place, find_limit, note_limit, thin_once

log = logging.getLogger(__name__)


class Keeping:
    """One chain's thinning: a pass a while, in short transactions, each burst bounded in time."""

    def __init__(self, database: Database, spec: ChainSpec, options: IndexerOptions) -> None:
        self._database = database
        self._spec = spec
        self._options = options
        self._begun_at: int | None = None
        """Timestamp of the block at which the last pass was begun."""
        self._limit: StoredBlock | None = None
        """Of the pass under way."""
        self._place = Place()
        self._dropped = 0

    async def step(self, cursor: StoredBlock | None) -> None:
        """Go on with the pass under way, or begin one when it is time. A failure ends the pass and nothing else."""
        retention = self._options.retention_seconds
        if retention is None or cursor is None:
            return
        try:
            if self._limit is None:
                await self._begin(cursor, retention)
            elif cursor.id < self._limit.id:
                self._limit = None
            else:
                await self._go_on(self._limit)
        except Retryable as failure:
            self._limit = None
            log.warning("chain=%s thinning=%r", self._spec.name, str(failure))

    async def _begin(self, cursor: StoredBlock, retention_seconds: int) -> None:
        now = cursor.ref.timestamp
        if self._begun_at is not None and 0 <= now - self._begun_at < self._options.thin_every_seconds:
            return
        self._begun_at = now
        async with self._database.read() as session:
            limit = await find_limit(session, self._spec.chain_id, now - retention_seconds, self._spec.finality_depth)
        if limit is None:
            return
        async with self._database.write() as session:
            await note_limit(session, limit)
        self._limit, self._place, self._dropped = limit, Place(), 0

    async def _go_on(self, limit: StoredBlock) -> None:
        until = time.perf_counter() + self._options.thin_seconds
        while time.perf_counter() < until:
            async with self._database.write() as session:
                place, dropped = await thin_once(session, limit, self._place)
            self._dropped += dropped
            if place is None:
                self._limit = None
                log.info("chain=%s thinned to=%d rows=%d", self._spec.name, limit.ref.number, self._dropped)
                return
            self._place = place
