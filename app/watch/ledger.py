"""What an evaluation needs of a store: the tables' own functions, bound to one transaction.

It is an interface because the simulation of ten thousand histories keeps its tables in memory; a contract test holds
both to the same answers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from app.domain.chain import ChainId
from app.domain.watch import Severity, Subject
from app.store.blocks import StoredBlock
from app.store.postgres.engine import Database
from app.store.postgres.session import ReadSession, WriteSession
from app.store.watch import episode_steps, episode_writes
from app.store.watch.channels import Route, load_routes
from app.store.watch.episode_steps import Dropped, Ground, Standing
from app.store.watch.episode_writes import Entry
from app.store.watch.outbox import NewMessage, store_messages
from app.store.watch.watchlists import WatchedList, load_watched


class LedgerReads(Protocol):
    """One consistent moment."""

    async def load_ground(self, chain_id: ChainId) -> Ground: ...

    async def load_watched(self, chain_id: ChainId) -> list[WatchedList]: ...

    async def load_open(self, chain_id: ChainId) -> list[Standing]: ...

    async def load_dropped(self, chain_id: ChainId, above: int) -> list[Dropped]: ...


class LedgerWrites(Protocol):
    """One transaction."""

    async def hold_ground(self, block: StoredBlock) -> Ground | None: ...

    async def load_last_told(
        self, asked: Iterable[tuple[int, Subject]]
    ) -> dict[tuple[int, Subject], tuple[int, Severity]]: ...

    async def load_told_channels(self, episode_ids: Sequence[int]) -> dict[int, frozenset[int]]: ...

    async def load_routes(self, watchlist_ids: Sequence[int]) -> list[Route]: ...

    async def mark_retracted(self, event_ids: Sequence[int], now: int) -> None: ...

    async def write_entries(self, entries: Sequence[Entry]) -> list[tuple[int, int]]: ...

    async def store_messages(self, messages: Sequence[NewMessage], now: int) -> int: ...

    async def note_evaluated(self, block: StoredBlock, version: int, trail: Sequence[int], now: int) -> None: ...


class Ledger(Protocol):
    """Where episodes are kept."""

    def read(self) -> AbstractAsyncContextManager[LedgerReads]: ...

    def write(self) -> AbstractAsyncContextManager[LedgerWrites]: ...


class StoredLedger:
    """Episodes in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def read(self) -> AsyncIterator[LedgerReads]:
        """A moment to read in."""
        async with self._database.read() as session:
            yield _Reads(session)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[LedgerWrites]:
        """A transaction: committed when the block ends, rolled back when it raises."""
        async with self._database.write() as session:
            yield _Writes(session)


@dataclass(frozen=True, slots=True)
class _Reads:
    session: ReadSession

    async def load_ground(self, chain_id: ChainId) -> Ground:
        return await episode_steps.load_ground(self.session, chain_id)

    async def load_watched(self, chain_id: ChainId) -> list[WatchedList]:
        return await load_watched(self.session, chain_id)

    async def load_open(self, chain_id: ChainId) -> list[Standing]:
        return await episode_steps.load_open(self.session, chain_id)

    async def load_dropped(self, chain_id: ChainId, above: int) -> list[Dropped]:
        return await episode_steps.load_dropped(self.session, chain_id, above)


@dataclass(frozen=True, slots=True)
class _Writes:
    session: WriteSession

    async def hold_ground(self, block: StoredBlock) -> Ground | None:
        return await episode_steps.hold_ground(self.session, block)

    async def load_last_told(
        self, asked: Iterable[tuple[int, Subject]]
    ) -> dict[tuple[int, Subject], tuple[int, Severity]]:
        return await episode_steps.load_last_told(self.session, asked)

    async def load_told_channels(self, episode_ids: Sequence[int]) -> dict[int, frozenset[int]]:
        return await episode_steps.load_told_channels(self.session, episode_ids)

    async def load_routes(self, watchlist_ids: Sequence[int]) -> list[Route]:
        return await load_routes(self.session, watchlist_ids)

    async def mark_retracted(self, event_ids: Sequence[int], now: int) -> None:
        await episode_writes.mark_retracted(self.session, event_ids, now)

    async def write_entries(self, entries: Sequence[Entry]) -> list[tuple[int, int]]:
        return await episode_writes.write_entries(self.session, entries)

    async def store_messages(self, messages: Sequence[NewMessage], now: int) -> int:
        return await store_messages(self.session, messages, now)

    async def note_evaluated(self, block: StoredBlock, version: int, trail: Sequence[int], now: int) -> None:
        await episode_steps.note_evaluated(self.session, block, version, trail, now)
