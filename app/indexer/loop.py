"""The writer of one chain: follows its heads, block by block, and searches old logs in between."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import assert_never

from app.chain.faults import BlockGone, NotThereYet, Pruned
from app.chain.reader import ChainReader, Header
from app.chain.reorg import Behind, Forked, Gap, Next, Same, TooDeep, locate
from app.domain.chain import BlockRef
from app.domain.market import Deployment
from app.domain.specs import ChainSpec
from app.errors import Fatal, Refused, Retryable, WaterlineError
from app.indexer.between.scan import LogScan, OnScan
from app.indexer.between.turns import BetweenBlocks
from app.indexer.block.aside import cannot_be_read
from app.indexer.block.harvest import Sources
from app.indexer.block.work import index_block
from app.indexer.feed import FeedEnded, HeadFeed
from app.indexer.journal import Journal
from app.indexer.metrics import ChainMetrics, IndexerMetrics
from app.indexer.options import IndexerOptions
from app.indexer.pace import AccountPace
from app.indexer.rhythm import next_multiple
from app.indexer.status import StatusRow
from app.indexer.stored import StoredChain
from app.protocols.base import Adapter
from app.protocols.registry import adapter_for
from app.store.deployments import register_deployments
from app.store.postgres.engine import Database
from app.store.postgres.locks import AdvisoryLock, LockHeld, LockLost
from app.store.postgres.schema import verify_schema
from app.store.progress import load_missed

log = logging.getLogger(__name__)

ROLE = "indexer"
"""Name of the lock that makes this process the chain's only writer."""


class Indexer:
    """Follows one chain and keeps every deployment on it, in one task. Everything it does is bounded."""

    def __init__(
        self,
        reader: ChainReader,
        database: Database,
        spec: ChainSpec,
        deployments: Sequence[Deployment],
        heads: Callable[[], AsyncGenerator[Header, None]],
        *,
        options: IndexerOptions | None = None,
        metrics: IndexerMetrics | None = None,
        adapters: Callable[[str], Adapter] = adapter_for,
        on_scan: OnScan | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is connected or read before `run`.

        Args:
            reader: The chain's node. Stays the caller's to close.
            database: Where to store. Stays the caller's to dispose of.
            spec: The chain.
            deployments: What to follow; all on this chain.
            heads: Opens a stream of heads (`chain.heads.follow_heads`); called again after it failed.
            options: Bounds and rhythms.
            metrics: Registered families to count in; made and kept private when not given.
            adapters: The adapter of a protocol slug.
            on_scan: Told after every search of old logs.
            clock: Seconds since 1970, for the status row. Nothing else here asks what time it is.
        """
        self._reader = reader
        self._database = database
        self._spec = spec
        self._deployments = list(deployments)
        self._heads = heads
        self._options = options or IndexerOptions()
        self._families = metrics or IndexerMetrics.private()
        self._metrics = ChainMetrics(self._families, spec.chain_id)
        round_blocks = max(1, int(self._options.reread_seconds / spec.block_seconds))
        self._sources = Sources(
            reader,
            database,
            self._options,
            self._metrics,
            round_blocks,
            spec.sampling_step,
            AccountPace(self._options, spec.block_seconds * spec.sampling_step),
        )
        self._stored = StoredChain(
            database,
            spec,
            deployments,
            adapters,
            retry_unreadable_blocks=self._options.retry_unreadable_blocks,
            round_blocks=round_blocks,
        )
        self._journal = Journal(spec, self._families)
        self._scan = LogScan(self._sources, on_scan)
        self._between = BetweenBlocks(self._sources, spec)
        self._status = StatusRow(reader, database, self._options, clock)
        self._scanned = False
        self._missed = True
        """Whether accounts may be stored as they were before a gap: assumed until the store says otherwise."""
        self._failures = 0

    @property
    def cursor(self) -> BlockRef | None:
        """The newest block this process knows to be stored."""
        return self._stored.cursor.ref if self._stored.cursor is not None else None

    async def run(self) -> None:
        """Follow the chain until cancelled. Stands by while another process does, and takes over when it is gone.

        Raises:
            Fatal, Refused: going on would store something false, or nothing can work as configured (no deployment
                was ever found to be what it is configured as). The chain's status row says why.
        """
        await self._run(lambda: False)

    async def run_until(self, block_number: int, *, scanned: bool = False) -> None:
        """As `run`, but only until `block_number` is stored and, with `scanned`, no old log is left to search."""
        await self._run(
            lambda: self.cursor is not None and self.cursor.number >= block_number and (self._scanned or not scanned)
        )

    async def _run(self, is_done: Callable[[], bool]) -> None:
        while not is_done():
            try:
                async with self._database.lock(self._spec.chain_id, ROLE) as lock, HeadFeed(self._heads()) as feed:
                    try:
                        await self._lead(lock, feed, is_done)
                    finally:
                        await self._scan.forget()
            except LockHeld:
                self._families.leader.labels(self._metrics.chain).set(0)
                await asyncio.sleep(self._options.standby_seconds)
            except Retryable as failure:
                await self._give_up(failure)
            except (Fatal, Refused) as reason:
                await self._report(str(reason))
                raise

    async def _lead(self, lock: AdvisoryLock, feed: HeadFeed, is_done: Callable[[], bool]) -> None:
        """Be the writer: a new head first, and old logs while there is none."""
        await self._start()
        await self._stored.restore()
        head: Header | None = None
        while not is_done():
            try:
                head = await feed.take(0 if head or not self._scanned else self._options.heartbeat_seconds) or head
                if head is not None:
                    await self._follow(head, lock)
                    await self._stored.restore_again(self._options.refresh_blocks)
                    head = None
                await self._search_old_logs(lock, feed)
                await self._between.work(self._stored, lock, feed)
                await self._status.note_finality()
                await self._status.write(await self._doubt())
                self._failures = 0
            except (LockLost, FeedEnded):
                raise
            except Retryable as failure:
                await self._scan.forget()
                await self._give_up(failure)
                await self._stored.restore()

    async def _start(self) -> None:
        """Make sure of the node and the tables before anything is read or written."""
        async with self._database.read() as session:
            await verify_schema(session)
        await self._reader.verify()
        async with self._database.write() as session:
            await register_deployments(session, self._deployments)
        self._families.leader.labels(self._metrics.chain).set(1)
        names = ",".join(one.id for one in self._deployments)
        log.info("chain=%s leading deployments=%s", self._spec.name, names)

    async def _follow(self, head: Header, lock: AdvisoryLock) -> None:
        """Bring the store to `head`, whatever lies between."""
        await self._status.note_head(head)
        self._families.chain_head_block.labels(self._metrics.chain).set(head.block.number)
        while True:
            stored = await self._stored.near(head.block)
            placement = await locate(self._reader.fetch_header, head.block, stored, self._spec.finality_depth)
            match placement:
                case Same() | Behind():
                    return
                case Next() | Gap():
                    await self._catch_up(head, lock)
                    return
                case Forked(ancestor):
                    await self._follow_fork(ancestor, lock)
                case TooDeep(depth):
                    raise Fatal(
                        f"{self._spec.name}: {depth} or more stored blocks are not on the node's chain, the limit is "
                        f"{self._spec.finality_depth}: the node is wrong, or it is another chain's database"
                    )
                case _:
                    assert_never(placement)

    async def _catch_up(self, head: Header, lock: AdvisoryLock) -> None:
        """Index from the cursor, which is below `head` on its line, up to it: step by step where the node can."""
        cursor = self.cursor
        if cursor is None or head.block.number - cursor.number > self._spec.state_depth:
            await self._skip_to(head, lock)
            return
        step = self._spec.sampling_step
        number = next_multiple(cursor.number, step)
        while number <= head.block.number:
            target = head if number == head.block.number else await self._reader.fetch_header(number)
            if target is None:
                raise NotThereYet(f"block {number} is missing below block {head.block.number}")
            if number == cursor.number + 1 and target.block.parent_hash != cursor.hash:
                raise BlockGone(f"block {cursor.number} was replaced while blocks above it were read")
            try:
                await self._index(target, head, lock)
            except Pruned:
                if target is head:
                    raise
                log.warning("chain=%s block=%d state is gone, skipping to the head", self._spec.name, number)
                await self._skip_to(head, lock)
                return
            await self._status.write(await self._doubt())
            cursor = target.block
            number += step

    async def _skip_to(self, head: Header, lock: AdvisoryLock) -> None:
        """Index `head` alone. Logs of the gap are searched with it, or left to the search between blocks if many."""
        cursor = self.cursor
        far = cursor is None or head.block.number - cursor.number > self._options.search_at_once_blocks
        await self._index(head, head, lock, jump=far)

    async def _index(self, target: Header, head: Header, lock: AdvisoryLock, *, jump: bool = False) -> None:
        """Read one block, on the way to `head` or that itself, and store it."""
        started = time.perf_counter()
        stored = self._stored
        harvest = await index_block(self._sources, target, stored.cursor, stored.followed, stored.names, jump=jump)
        with self._metrics.phase("commit"):
            troubles = await self._stored.commit(harvest, lock)
        if harvest.scans:
            self._scanned, self._missed = False, True
        seconds = time.perf_counter() - started
        self._sources.pace.note_block(seconds)
        self._journal.note(harvest, troubles, head.block, seconds)

    async def _follow_fork(self, ancestor: BlockRef | None, lock: AdvisoryLock) -> None:
        """Forget the blocks the chain has replaced."""
        before = self.cursor
        await self._scan.forget()
        dropped = await self._stored.drop_above(ancestor, lock)
        to = ancestor.number if ancestor is not None else None
        log.warning("chain=%s reorg from=%s to=%s dropped=%d", self._spec.name, before and before.number, to, dropped)
        self._families.reorgs.labels(self._metrics.chain).inc()
        self._families.reorg_depth.labels(self._metrics.chain).observe(dropped)

    async def _search_old_logs(self, lock: AdvisoryLock, feed: HeadFeed) -> None:
        """One bounded search; nothing once all that is stored as unsearched has been."""
        if self._stored.cursor is not None and not self._scanned:
            followed, cursor = self._stored.followed, self._stored.cursor.ref
            self._scanned = not await self._scan.search_once(followed, cursor, lock, feed)
            if self._scanned:
                log.info("chain=%s every old log searched", self._spec.name)

    async def _doubt(self) -> str | None:
        """What makes stored accounts doubtful although the head is followed: a long gap not made up for yet, or no
        deployment that can be read. (Where others can, those that cannot be read say so themselves.)"""
        if reason := cannot_be_read(self._stored.followed):
            return reason
        if not self._missed:
            return None
        async with self._database.read() as session:
            missed = await load_missed(session, self._spec.chain_id)
        self._missed = bool(missed) or not self._scanned
        if not missed:
            return None
        return (
            f"blocks passed while nobody followed: the logs of {missed.blocks:,} are still to be searched, and "
            f"{missed.accounts:,} accounts they changed are still to be read"
        )

    async def _give_up(self, failure: Retryable) -> None:
        """Say what failed, and wait longer each time in a row it does."""
        self._families.failures.labels(self._metrics.chain, type(failure).__name__).inc()
        pause = min(self._options.first_pause_seconds * 2**self._failures, self._options.longest_pause_seconds)
        self._failures = min(self._failures + 1, 16)
        log.warning("chain=%s trouble=%r retry_seconds=%.2f", self._spec.name, str(failure), pause)
        await self._report(str(failure))
        await asyncio.sleep(pause)

    async def _report(self, trouble: str) -> None:
        """Put the trouble into the status row, if the database is not the trouble."""
        try:
            await self._status.write(trouble)
        except WaterlineError as failure:
            log.warning("chain=%s status_row=%r", self._spec.name, str(failure))
