"""The tables an evaluation needs, in memory: the same answers as `app.watch.ledger.StoredLedger` (a contract test
compares them), and a pause wherever a database would be waited for.

Writes are kept apart until the transaction commits. What Postgres would wait for (the chain's row, the count of
changes, the block) is waited for here; what it would refuse raises `Refusal`.
"""

from __future__ import annotations

import types
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from app.domain.chain import BlockRef, ChainId, Hash32
from app.domain.watch import EpisodeState, Severity, Subject
from app.store.blocks import StoredBlock
from app.store.watch.channels import Route
from app.store.watch.episode_steps import Dropped, Ground, Progress, Standing
from app.store.watch.episode_writes import Entry
from app.store.watch.episodes import StoredEvent
from app.store.watch.outbox import NewMessage
from app.store.watch.watchlists import WatchedList
from app.watch.ledger import LedgerReads, LedgerWrites
from tests.simulation_watch.setting import Setting, routes


class Refusal(AssertionError):
    """Postgres would have refused this."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event with the id of its block."""

    stored: StoredEvent
    block_id: int | None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One committed evaluation: what a model is told of it."""

    block: StoredBlock
    version: int
    at: int
    last_event: int
    """Id of the newest event there was when it committed."""


@dataclass
class Sent:
    """A message in the outbox."""

    message: NewMessage
    state: str = "pending"
    leased_until: int = 0
    send_after: int = 0


@dataclass
class Tables:
    """What is committed."""

    settings: list[Setting] = field(default_factory=lambda: [Setting()])
    """By version."""
    blocks: list[StoredBlock] = field(default_factory=list)
    """The branch that is stored."""
    block_ids: int = 0
    episodes: dict[int, Standing] = field(default_factory=dict)
    events: dict[int, EventRow] = field(default_factory=dict)
    ids: list[int] = field(default_factory=lambda: [0, 0])
    """Of episodes and events, drawn so far. Never taken back."""
    progress: Progress | None = None
    outbox: dict[str, Sent] = field(default_factory=dict)
    """By dedup key."""
    log: list[Evaluated] = field(default_factory=list)
    row_holder: object = None
    version_holders: set[int] = field(default_factory=set)
    block_holders: set[int] = field(default_factory=set)

    def add_block(self, ref: BlockRef) -> StoredBlock:
        """Store the next block."""
        self.block_ids += 1
        self.blocks.append(StoredBlock(self.block_ids, ref))
        return self.blocks[-1]

    async def drop_above(self, number: int) -> None:
        """A reorg, as soon as nobody holds a block."""
        while self.block_holders:
            await pause()
        self.blocks = [one for one in self.blocks if one.ref.number <= number]

    async def configure(self, setting: Setting) -> None:
        """Change what is watched, as soon as nobody holds it."""
        while self.version_holders:
            await pause()
        self.settings.append(setting)


@types.coroutine
def pause() -> Generator[None, None, None]:
    """Where a database is waited for: others go on, and a process may die."""
    yield


class MemoryLedger:
    """Transactions on the tables."""

    def __init__(self, tables: Tables, trouble: Callable[[], None] = lambda: None) -> None:
        """
        Args:
            trouble: called at each wait; raises when the database is to fail there.
        """
        self.tables = tables
        self.trouble = trouble

    @asynccontextmanager
    async def read(self) -> AsyncIterator[LedgerReads]:
        """All of one moment: nothing is waited for in between."""
        await self.wait()
        yield _Reads(self.tables)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[LedgerWrites]:
        """A transaction."""
        await self.wait()
        session = Writes(self)
        try:
            yield session
            await self.wait()
            session.commit()
        finally:
            session.release()
        await self.wait()

    async def wait(self) -> None:
        """A round trip."""
        await pause()
        self.trouble()


class _Reads:
    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    async def load_ground(self, chain_id: ChainId) -> Ground:
        tables = self.tables
        version = len(tables.settings) - 1
        if tables.progress is None:
            return Ground(version, True, None, None)
        ids = {tables.progress.block_id, *tables.progress.trail}
        before = max((one for one in tables.blocks if one.id in ids), key=lambda one: one.id, default=None)
        return Ground(version, True, tables.progress, before)

    async def load_watched(self, chain_id: ChainId) -> list[WatchedList]:
        return self.tables.settings[-1].watched()

    async def load_open(self, chain_id: ChainId) -> list[Standing]:
        paused = self.tables.settings[-1].paused
        return [
            replace(one, is_paused=one.watchlist_id in paused)
            for one in self.tables.episodes.values()
            if one.state is EpisodeState.OPEN
        ]

    async def load_dropped(self, chain_id: ChainId, above: int) -> list[Dropped]:
        tables = self.tables
        stored, paused = {one.id for one in tables.blocks}, tables.settings[-1].paused
        gone: dict[int, set[int]] = {}
        for row in tables.events.values():
            block = row.stored.event.block
            if row.stored.retracted_at is None and row.block_id is not None and row.block_id not in stored:
                assert block is not None
                if block.number > above:
                    gone.setdefault(row.stored.episode_id, set()).add(row.stored.id)
        found = []
        for episode_id, ids in sorted(gone.items()):
            one = tables.episodes[episode_id]
            events = [row.stored for row in tables.events.values() if row.stored.episode_id == episode_id]
            stand = tuple(sorted((e for e in events if e.retracted_at is None), key=lambda e: e.id))
            found.append(Dropped(replace(one, is_paused=one.watchlist_id in paused), stand, frozenset(ids)))
        return found


class Writes(_Reads):
    """One transaction: its own writes over what is committed."""

    def __init__(self, ledger: MemoryLedger) -> None:
        super().__init__(ledger.tables)
        self._ledger = ledger
        self._episodes: dict[int, Standing] = {}
        self._events: dict[int, EventRow] = {}
        self._messages: list[NewMessage] = []
        self._progress: tuple[Progress, StoredBlock, int] | None = None

    async def hold_ground(self, block: StoredBlock) -> Ground | None:
        await self._ledger.wait()
        await self.hold_row()
        await self._ledger.wait()
        self.tables.version_holders.add(id(self))
        await self._ledger.wait()
        if block not in self.tables.blocks:
            return None
        self.tables.block_holders.add(id(self))
        await self._ledger.wait()
        return await self.load_ground(block.ref.chain_id)

    async def hold_row(self) -> None:
        """Wait for whoever has the chain's row."""
        while self.tables.row_holder not in (None, self):
            await pause()
        self.tables.row_holder = self

    async def load_last_told(
        self, asked: Iterable[tuple[int, Subject]]
    ) -> dict[tuple[int, Subject], tuple[int, Severity]]:
        await self._ledger.wait()
        found = {}
        pairs = set(asked)
        for _, one in sorted({**self.tables.episodes, **self._episodes}.items()):
            pair = (one.rule_id or 0, one.subject)
            if pair in pairs and one.announced_at is not None and one.state is not EpisodeState.RETRACTED:
                found[pair] = (one.announced_at, one.severity)
        return found

    async def load_told_channels(self, episode_ids: Sequence[int]) -> dict[int, frozenset[int]]:
        await self._ledger.wait()
        found: dict[int, set[int]] = {}
        for sent in self.tables.outbox.values():
            assert sent.message.event_id is not None
            episode_id = self.tables.events[sent.message.event_id].stored.episode_id
            if episode_id in episode_ids:
                found.setdefault(episode_id, set()).add(sent.message.channel_id)
        return {episode_id: frozenset(channels) for episode_id, channels in found.items()}

    async def load_routes(self, watchlist_ids: Sequence[int]) -> list[Route]:
        await self._ledger.wait()
        return [route for route in routes() if route.watchlist_id in watchlist_ids]

    async def mark_retracted(self, event_ids: Sequence[int], now: int) -> None:
        for event_id in event_ids:
            row = self._events.get(event_id) or self.tables.events[event_id]
            self._events[event_id] = replace(row, stored=replace(row.stored, retracted_at=now))

    async def write_entries(self, entries: Sequence[Entry]) -> list[tuple[int, int]]:
        if not entries:
            return []
        await self._ledger.wait()
        ids, drawn = [], self.tables.ids
        for entry in entries:
            new = entry.episode
            if isinstance(new, int):
                before = self._episodes.get(new) or self.tables.episodes[new]
                after = replace(before, state=entry.state, severity=entry.severity, announced_at=entry.announced_at)
            else:
                drawn[0] += 1
                after = Standing(
                    drawn[0], new.watchlist_id, f"list {new.watchlist_id}", False, new.rule_id, new.rule_name,
                    new.metric, entry.chain_id, new.subject, entry.state, entry.severity, entry.event.at,
                    entry.announced_at,
                )  # fmt: skip
            self._episodes[after.id] = after
            drawn[1] += 1
            block = entry.event.block
            stored = None if block is None else replace(block, parent_hash=Hash32(bytes(32)))  # parents are not kept
            event = replace(entry.event, inputs=dict(entry.event.inputs), block=stored)
            self._events[drawn[1]] = EventRow(StoredEvent(drawn[1], after.id, event, None), entry.block_id)
            ids.append((after.id, drawn[1]))
        return ids

    async def store_messages(self, messages: Sequence[NewMessage], now: int) -> int:
        await self._ledger.wait()
        self._messages += messages
        return len(messages)

    async def note_evaluated(self, block: StoredBlock, version: int, trail: Sequence[int], now: int) -> None:
        await self._ledger.wait()
        self._progress = (Progress(block.id, block.ref.number, version, tuple(trail)), block, now)

    def commit(self) -> None:
        """All of it, or what Postgres would refuse."""
        tables = self.tables
        tables.episodes.update(self._episodes)
        opened = [(one.rule_id, one.subject) for one in tables.episodes.values() if one.state is EpisodeState.OPEN]
        if len(opened) != len(set(opened)):
            raise Refusal("two episodes of one rule and subject are open")
        tables.events.update(self._events)
        for message in self._messages:
            tables.outbox.setdefault(message.dedup_key, Sent(message, send_after=message.send_after))
        if self._progress is not None:
            progress, block, now = self._progress
            tables.progress = progress
            tables.log.append(Evaluated(block, progress.version, now, max(tables.events, default=0)))
        self._episodes, self._events, self._messages, self._progress = {}, {}, [], None

    def release(self) -> None:
        """The end of the transaction, or of its connection."""
        if self.tables.row_holder is self:
            self.tables.row_holder = None
        self.tables.version_holders.discard(id(self))
        self.tables.block_holders.discard(id(self))


def drive(running: Any) -> Any:
    """Run a coroutine that waits for nothing but pauses, to its end."""
    try:
        while True:
            running.send(None)
    except StopIteration as end:
        return end.value
