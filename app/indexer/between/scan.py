"""The search of old logs for accounts: bounded ranges between live blocks, resumed wherever it was left."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from app.chain.faults import BlockGone
from app.domain.batch import DueAccount, ScanRange
from app.domain.chain import BlockRef
from app.errors import Retryable
from app.indexer.between.logs_ahead import LogsAhead, RangeAsked, RangeLogs
from app.indexer.between.queued import QueuedAccounts
from app.indexer.block.harvest import Followed, Sources
from app.indexer.block.refusal import Refusal, asked
from app.indexer.block.touches import Touches, merged
from app.indexer.feed import HeadFeed
from app.protocols.base import DeploymentState
from app.store.blocks import load_block
from app.store.postgres.locks import AdvisoryLock
from app.store.scans import advance_scan, load_scans, queue_due

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """How far the search is, counted since this process began it."""

    blocks_done: int
    blocks_total: int
    accounts_found: int
    """Accounts in the logs searched, counted once a search."""
    blocks_per_second: float
    """Of the latest search."""


OnScan = Callable[[ScanProgress], None]

_STEEPEST = 4
"""No range grows by more at once: the first ones tell little."""
_MOST_SCANS = 1_000
"""Ranges looked at when choosing the next: far more than deployments and gaps there ever are at once."""


class LogScan:
    """Searches one bounded range at a time; what is left lives in the store, not here."""

    def __init__(self, sources: Sources, on_progress: OnScan | None = None) -> None:
        self._reader = sources.reader
        self._database = sources.database
        self._options = sources.options
        self._metrics = sources.metrics
        self._on_progress = on_progress
        self._size = sources.options.scan_first_blocks
        self._done = 0
        self._found = 0
        self._failing: set[str] = set()
        """Deployments whose adapter failed at an old log: their ranges stay as they are until the next start."""
        self._ahead = LogsAhead()
        self._queued = QueuedAccounts()

    async def search_once(
        self, followed: Sequence[Followed], cursor: BlockRef, lock: AdvisoryLock, feed: HeadFeed | None = None
    ) -> bool:
        """Search one range of old logs and queue the accounts found; whether there was anything to search.

        The accounts and the range's end are committed together: a process that dies in between has searched
        nothing. The block that was the cursor when the logs were asked for must still be canonical when they are
        there: then so are the logs below it. Meanwhile the logs of the next range are asked for.

        While the node gathers logs a head that `feed` has goes first: the search goes on with the next call.

        Raises:
            Retryable: nothing was searched; the next range will be shorter.
        """
        states = {one.deployment.id: one.state for one in followed if one.state is not None}
        async with self._database.read() as session:
            planned = await load_scans(session, self._reader.chain_id, _MOST_SCANS)
        pending = [scan for scan in planned if scan.deployment_id in states.keys() - self._failing]
        window = next_window(pending, self._ahead.blocks or self._size)
        if window is None:
            await self.forget()
            return False
        try:
            await self._ask(window, states, cursor)
            given = await self._ahead.take(feed)
            if given is None:
                return True
            started = time.perf_counter()
            if (following := next_window(after(pending, window), self._size)) is not None:
                await self._ask(following, states, cursor)
            found = await self._look(window, states, given)
        except Retryable:
            self._size = max(1, self._size // 2)
            raise
        await self._queue(window, found, lock)
        seconds = time.perf_counter() - started
        self._pace(window, max(seconds, given.seconds), len(given.logs))
        self._found += sum(map(len, found.values()))
        self._note(window, pending, max(seconds, given.seconds))
        return True

    async def forget(self) -> None:
        """Nothing remembered is to be trusted any more: stored blocks were dropped, something failed, or this ends."""
        self._queued.forget()
        await self._ahead.drop()

    async def _ask(self, window: Window, states: Mapping[str, DeploymentState], cursor: BlockRef) -> None:
        """Have the logs of the window's blocks fetched, unless they are already."""
        filters = [asked(name, state.log_filter) for name, state in searched_by(window, states).items()]
        log_filter = merged(each for each in filters if not isinstance(each, Refusal))
        wanted = RangeAsked(log_filter, window.from_block, window.to_block)
        await self._ahead.ask(wanted, self._fetch(wanted, cursor))

    async def _fetch(self, wanted: RangeAsked, cursor: BlockRef) -> RangeLogs:
        started = time.perf_counter()
        logs = await self._reader.fetch_logs(wanted.log_filter, wanted.from_block, wanted.to_block)
        return RangeLogs(logs, cursor, time.perf_counter() - started)

    async def _look(
        self, window: Window, states: Mapping[str, DeploymentState], given: RangeLogs
    ) -> dict[str, list[DueAccount]]:
        """Accounts that logs of the window's blocks touched, by deployment; without those whose adapter failed."""
        cursor = given.cursor
        header = await self._reader.fetch_header(cursor.number)
        if header is None or header.block.hash != cursor.hash:
            raise BlockGone(f"block {cursor.number} was replaced while logs below it were searched")
        found = {}
        for name, state in searched_by(window, states).items():
            log_filter = asked(name, state.log_filter)
            add = partial(Touches().add, state, given.logs)
            touches = log_filter if isinstance(log_filter, Refusal) else asked(name, add)
            if isinstance(touches, Refusal):
                where = (cursor.chain_id, name, window.from_block, window.to_block)
                log.error("chain_id=%d deployment=%s old logs from=%d to=%d", *where, exc_info=touches.reason)
                self._failing.add(name)
            else:
                found[name] = [DueAccount(key, frozenset(markets)) for key, markets in touches.accounts.items()]
        return found

    async def _queue(self, window: Window, found: Mapping[str, Sequence[DueAccount]], lock: AdvisoryLock) -> None:
        """Commit that the window was searched, with the accounts that are not queued already."""
        scans = [scan for scan in window.scans if scan.deployment_id in found]
        due = {scan: self._queued.unknown(scan, found[scan.deployment_id]) for scan in scans}
        async with lock.write() as session:
            # an account may have been read already, but below the last of these blocks: only then is it read again
            stood_below = await load_block(session, self._reader.chain_id, window.to_block - 1) is not None
            for scan in scans:
                await advance_scan(session, scan, window.to_block + 1, due[scan])
                if stood_below:
                    await queue_due(session, due[scan])
        for scan in scans:
            self._queued.note(scan, due[scan])

    def _pace(self, window: Window, seconds: float, logs: int) -> None:
        """Grow or shrink the next range towards the time a search may take and the logs it may hold.

        Only too many logs and failures make it shorter than the first: on a busy machine short ranges cost more than
        they spare.
        """
        most = self._options.scan_most_logs
        if logs > most:
            self._size = max(1, window.blocks * most // logs)
        elif seconds > self._options.scan_seconds:
            self._size = max(min(self._size, self._options.scan_first_blocks), self._size // 2)
        elif seconds < self._options.scan_seconds / 2 and window.blocks >= self._size:
            room = most // max(logs, 1)
            times = max(1, min(_STEEPEST, room, int(self._options.scan_seconds / max(seconds, 1e-6))))
            self._size = min(self._options.scan_most_blocks, self._size * times)

    def _note(self, window: Window, pending: Sequence[ScanRange], seconds: float) -> None:
        self._done += window.blocks
        left = blocks_left(pending) - window.blocks
        families, chain = self._metrics.families, self._metrics.chain
        families.scan_blocks_left.labels(chain).set(left)
        families.scan_accounts_found.labels(chain).set(self._found)
        if self._on_progress is not None:
            rate = window.blocks / max(seconds, 1e-6)
            self._on_progress(ScanProgress(self._done, self._done + left, self._found, rate))


@dataclass(frozen=True, slots=True)
class Window:
    """Blocks to search at once, for every scan that stands exactly at their start."""

    scans: tuple[ScanRange, ...]
    from_block: int
    to_block: int

    @property
    def blocks(self) -> int:
        """How many blocks it spans."""
        return self.to_block - self.from_block + 1


def next_window(pending: Sequence[ScanRange], most_blocks: int) -> Window | None:
    """The lowest blocks still to be searched, at most `most_blocks`, shared by all scans that stand there.

    It ends before the next scan begins, so that from there on they go together: no block is asked for twice.
    """
    if not pending:
        return None
    first = min(scan.from_block for scan in pending)
    here = [scan for scan in pending if scan.from_block == first]
    ends = [scan.to_block for scan in here] + [first + most_blocks - 1]
    ends += [scan.from_block - 1 for scan in pending if scan.from_block > first]
    return Window(tuple(here), first, min(ends))


def after(pending: Sequence[ScanRange], window: Window) -> list[ScanRange]:
    """What is left to search once `window` has been."""
    moved = [replace(scan, from_block=window.to_block + 1) if scan in window.scans else scan for scan in pending]
    return [scan for scan in moved if scan.from_block <= scan.to_block]


def searched_by(window: Window, states: Mapping[str, DeploymentState]) -> dict[str, DeploymentState]:
    """The states of the deployments for which the window is searched."""
    return {scan.deployment_id: states[scan.deployment_id] for scan in window.scans}


def blocks_left(pending: Sequence[ScanRange]) -> int:
    """Blocks in at least one of the ranges."""
    total = 0
    searched_to = -1
    for scan in sorted(pending, key=lambda scan: scan.from_block):
        begin = max(scan.from_block, searched_to + 1)
        if scan.to_block >= begin:
            total += scan.to_block - begin + 1
            searched_to = scan.to_block
    return total
