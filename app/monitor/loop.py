"""The writer of one chain's board: at each committed block the book moves, is read, and what came of it is stored; then
the watchlists are evaluated.

Everything of one block is one transaction, and what it is compared with is what the transaction before it stored. So
whatever ends this process, the next one goes on from the newest block that left something behind; and after a failure
this one does the same, because nothing may be assumed about what was stored.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress

from app.book import BlockReplaced, Keeper, Moved, Reading, ledger_sums
from app.domain.account import AccountKey
from app.domain.chain import ChainId
from app.domain.risk import RiskStatus
from app.errors import Retryable
from app.monitor.derived import (
    as_changes,
    as_totals,
    board_lines,
    snapshots_of,
    snapshots_of_all,
    status_changes,
    turned,
)
from app.monitor.ledgers import StoredTotals
from app.monitor.metrics import MonitorMetrics
from app.monitor.options import MonitorOptions
from app.store.blocks import BLOCKS_CHANNEL, StoredBlock, load_head
from app.store.postgres.engine import Database
from app.store.postgres.locks import AdvisoryLock, LockHeld
from app.store.postgres.schema import verify_schema
from app.store.postgres.session import WriteSession
from app.store.risk import (
    RiskSnapshot,
    StatusChange,
    Totals,
    forget_snapshots,
    hold_block,
    load_account_ids,
    load_board_block,
    load_newest_derived,
    store_board,
    store_changes,
    store_snapshots,
    store_totals,
)
from app.watch.evaluate import Evaluator
from app.watch.ledger import StoredLedger
from app.watch.measures import Measures

log = logging.getLogger(__name__)

ROLE = "monitor"
"""Name of the lock that makes this process the only one that writes the chain's board."""


class Monitor:
    """Follows the store's blocks of one chain, in one task. It reads no node."""

    def __init__(
        self,
        database: Database,
        chain_id: ChainId,
        *,
        options: MonitorOptions | None = None,
        metrics: MonitorMetrics | None = None,
        keeper: Callable[[], Keeper] | None = None,
        evaluator: Callable[[], Evaluator] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is connected or read before `run`.

        Args:
            database: The store. Stays the caller's to dispose of.
            chain_id: Whose board is written.
            options: Bounds and rhythms.
            metrics: Registered families to count in; made and kept private when not given.
            keeper: Makes the keeper of the book, anew after a failure.
            evaluator: Makes what evaluates the watchlists, with each keeper.
            clock: Unix seconds now, for what Prometheus is told.
        """
        self._database = database
        self._chain_id = chain_id
        self._options = options or MonitorOptions()
        self._families = metrics or MonitorMetrics.private()
        self._chain = str(chain_id)
        self._make_keeper = keeper or (lambda: Keeper(database, chain_id))
        self._make_evaluator = evaluator or (lambda: Evaluator(StoredLedger(database), Measures(database)))
        self._clock = clock
        self._keeper: Keeper | None = None
        self._evaluator = self._make_evaluator()
        self._reading: Reading | None = None
        """At the keeper's block; what the next one is compared with."""
        self._totals = StoredTotals(database, self._options)
        self._account_ids: dict[AccountKey, int] = {}
        self._forgotten = -1
        """Number of the block up to which there are no snapshots left."""
        self._is_forgetting = True
        self._news = asyncio.Event()
        self._heard_at: float | None = None
        self._failures = 0
        self.written: StoredBlock | None = None
        """The block whose board this process knows to be stored."""

    async def run(self) -> None:
        """Keep the chain's board until cancelled. Stands by while another process does, and takes over when it is gone.

        Raises:
            Fatal, Refused: going on would store something false, or nothing can work as it is set up.
        """
        await self._run(lambda: False)

    async def run_until(self, block_number: int) -> None:
        """As `run`, but only until a board of this block or a later one is stored."""
        await self._run(lambda: self.written is not None and self.written.ref.number >= block_number)

    async def _run(self, is_done: Callable[[], bool]) -> None:
        while not is_done():
            try:
                async with (
                    self._database.lock(self._chain_id, ROLE) as lock,
                    self._database.listen(BLOCKS_CHANNEL) as payloads,
                ):
                    await self._lead(lock, payloads, is_done)
            except LockHeld:
                self._families.leader.labels(self._chain).set(0)
                await asyncio.sleep(self._options.standby_seconds)
            except Retryable as failure:
                await self._give_up(failure)

    async def _lead(self, lock: AdvisoryLock, payloads: AsyncIterator[str], is_done: Callable[[], bool]) -> None:
        """Be the writer, until a failure: then everything that is held in memory is to be made again."""
        async with self._database.read() as session:
            await verify_schema(session)
        self._families.leader.labels(self._chain).set(1)
        log.info("chain=%s keeping the board", self._chain)
        self._keeper = self._reading = self.written = None
        hearing = asyncio.create_task(self._hear(payloads), name=f"hear of blocks of {self._chain}")
        try:
            while not is_done():
                self._news.clear()
                if await self._step(lock):
                    self._failures = 0
                    continue
                with suppress(TimeoutError):  # not wait_for, which may swallow a cancellation
                    async with asyncio.timeout(self._options.poll_seconds):
                        await self._news.wait()
                if hearing.done():
                    await hearing
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    async def _hear(self, payloads: AsyncIterator[str]) -> None:
        try:
            async for payload in payloads:
                if payload.partition(":")[0] == self._chain:
                    if not self._news.is_set():
                        self._heard_at = time.perf_counter()
                    self._news.set()
        finally:
            self._news.set()

    async def _step(self, lock: AdvisoryLock) -> bool:
        """Bring the board to the newest stored block; False when it is there already or nothing is stored."""
        async with self._database.read() as session:
            head = await load_head(session, self._chain_id)
        if head is None or head == self.written:
            return False
        started = self._heard_at or time.perf_counter()
        behind = head.ref.number - self.written.ref.number if self.written is not None else head.ref.number
        self._families.blocks_behind.labels(self._chain).set(max(0, behind))
        try:
            if self._keeper is None or self._reading is None:
                await self._begin(head)
            await self._follow(head, lock)
            self._families.board_seconds.labels(self._chain).observe(time.perf_counter() - started)
            await self._evaluate()
        except BlockReplaced as reason:
            log.info("chain=%s %s", self._chain, reason)
            await self._go_back()
        self._heard_at = None
        return True

    async def _begin(self, head: StoredBlock) -> None:
        """Load the book where the board was left, so that what changed since can be told; at the head if nowhere."""
        async with self._database.read() as session:
            start = await load_newest_derived(session, self._chain_id)
            board = await load_board_block(session, self._chain_id)
        keeper = self._make_keeper()
        await keeper.load(start or head)
        self._families.rebuilds.labels(self._chain).inc()
        self._account_ids.clear()
        await self._totals.load(keeper.kept, start)
        self._reading = await keeper.read(self._options.board_lines)
        self._keeper, self.written = keeper, board
        self._evaluator = self._make_evaluator()

    async def _go_back(self) -> None:
        """The block the book is of was replaced: go back to one that was not, or load everything again."""
        self.written = None
        self._account_ids.clear()  # what a dropped block brought has another id when it comes again
        keeper, self._reading = self._keeper, None
        if keeper is None or keeper.at is None:
            self._keeper = None
            return
        back = await keeper.rewind()
        if back is None:
            self._keeper = None
            return
        await self._totals.load(keeper.kept, back)
        with suppress(BlockReplaced):
            self._reading = await keeper.read(self._options.board_lines)

    async def _follow(self, head: StoredBlock, lock: AdvisoryLock) -> None:
        """Move the book to `head` and store what that comes to."""
        keeper, before = self._keeper, self._reading
        assert keeper is not None
        assert before is not None
        moved = None if head == before.block else await keeper.advance(head)
        after = before if moved is None else await keeper.read(self._options.board_lines)
        changes = [] if moved is None else await self._changes(keeper, before, after, moved)
        is_new_hour = self._totals.is_empty or self._hour(before.block) != self._hour(head)
        totals = as_totals(ledger_sums(after))
        changed = {one.key.deployment_id for one in changes}
        rows = self._totals.due(totals, head.ref.timestamp, changed, everything=is_new_hour)
        of_changed = [] if is_new_hour else snapshots_of(after, [one.key for one in changes])
        snapshots = snapshots_of_all(after) if is_new_hour else of_changed
        async with lock.write() as session:
            if not await hold_block(session, head):
                raise BlockReplaced(f"block {head.ref.number} of chain {self._chain} was replaced")
            await self._store(session, after, rows, changes, snapshots)
        self._reading, self.written = after, head
        self._totals.stored(rows, head.ref.timestamp)
        self._note(after, totals, changes, 0 if moved is None else moved.blocks)
        await self._forget_old(head, is_due=is_new_hour)

    async def _evaluate(self) -> None:
        """Hold the watchlists' rules against the book where it stands."""
        started = time.perf_counter()
        assert self._keeper is not None
        assert self._reading is not None
        done = await self._evaluator.evaluate(self._keeper, self._reading)
        self._families.note_watch(self._chain, time.perf_counter() - started, done.events)

    async def _store(
        self,
        session: WriteSession,
        reading: Reading,
        totals: list[Totals],
        changes: list[StatusChange],
        snapshots: list[RiskSnapshot],
    ) -> None:
        lines = board_lines(reading, self._options.board_lines, self._options.unknown_lines)
        keys = [*(one.key for one in lines), *(one.key for one in changes), *(one.key for one in snapshots)]
        ids = await self._ids(session, keys)
        await store_board(session, reading.block, lines, ids)
        await store_totals(session, reading.block, totals)
        await store_changes(session, reading.block, changes, ids)
        await store_snapshots(session, reading.block, snapshots, ids)

    async def _changes(self, keeper: Keeper, before: Reading, after: Reading, moved: Moved) -> list[StatusChange]:
        names = turned(before, after)
        changes = status_changes(before, after, moved, {name: keeper.keys_of(name) for name in names})
        healths = dict(after.confirmed)
        unexplained = [key for key, (_, now) in changes.items() if key not in healths and now is RiskStatus.HEALTHY]
        if unexplained:
            healths |= await keeper.confirm(sorted(unexplained)[: self._options.explained_changes])
        return as_changes(changes, healths)

    def _hour(self, block: StoredBlock) -> int:
        return block.ref.timestamp // self._options.snapshot_seconds

    async def _ids(self, session: WriteSession, keys: Iterable[AccountKey]) -> dict[AccountKey, int]:
        missing = [key for key in dict.fromkeys(keys) if key not in self._account_ids]
        self._account_ids |= await load_account_ids(session, missing)
        return self._account_ids

    async def _forget_old(self, head: StoredBlock, *, is_due: bool) -> None:
        """Delete a few of the snapshots that are older than they are kept: from the hour on, until none is left."""
        if not (is_due or self._is_forgetting):
            return
        cutoff = head.ref.timestamp - self._options.retention_seconds
        most, rows = self._options.forget_blocks, self._options.forget_rows
        async with self._database.write() as session:
            reached, deleted = await forget_snapshots(
                session, self._chain_id, self._forgotten, cutoff, blocks=most, rows=rows
            )
        self._is_forgetting = bool(deleted) or reached != self._forgotten
        self._forgotten = reached

    async def _give_up(self, failure: Retryable) -> None:
        """Say what failed, and wait longer each time in a row it does."""
        self._families.failures.labels(self._chain, type(failure).__name__).inc()
        pause = min(self._options.first_pause_seconds * 2**self._failures, self._options.longest_pause_seconds)
        self._failures = min(self._failures + 1, 16)
        log.warning("chain=%s trouble=%r retry_seconds=%.2f", self._chain, str(failure), pause)
        await asyncio.sleep(pause)

    def _note(
        self, reading: Reading, totals: dict[tuple[str, str], Totals], changes: list[StatusChange], blocks: int
    ) -> None:
        """Tell Prometheus and the log of one board."""
        chain, number, folded = self._chain, reading.block.ref.number, max(0, blocks - 1)
        self._families.note_board(chain, number, len(reading.confirmed), folded)
        self._families.board_age.labels(chain).set(max(0.0, self._clock() - reading.block.ref.timestamp))
        for change in changes:
            self._families.status_changes.labels(chain, change.after.value).inc()
        for one in totals.values():
            self._families.note_totals(chain, one)
        log.info(
            "chain=%s block=%d folded=%d accounts=%d confirmed=%d changes=%d",
            chain,
            number,
            folded,
            reading.accounts,
            len(reading.confirmed),
            len(changes),
        )
