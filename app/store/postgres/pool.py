"""A bounded number of connections to read with.

SQLAlchemy's pool hands each of its connections over through several greenlets: half a millisecond of processor time
before a query has been sent, which is more than most queries here take. Where that counts there is this one.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from app.store.postgres.faults import DatabaseUnavailable
from app.store.postgres.session import Driver, make_idle

_OLDEST_SECONDS = 1800
"""A server's process grows with what it has planned: none is kept for longer."""


class ReadingPool:
    """Connections, the one used last handed out first. Belongs to one event loop."""

    def __init__(self, connect: Callable[[], Awaitable[Driver]], size: int, wait_seconds: float) -> None:
        """Nothing is connected before the first use.

        Args:
            connect: Makes a connection in autocommit.
            size: At most so many at a time.
            wait_seconds: How long to wait for one that is free.
        """
        self._connect = connect
        self._wait_seconds = wait_seconds
        self._free = asyncio.Semaphore(size)
        self._idle: list[tuple[Driver, float]] = []
        """Connections nobody uses, and when they were made."""
        self._is_closed = False

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Driver]:
        """A connection outside any transaction; whatever is begun in it is undone when the block ends.

        Raises:
            DatabaseUnavailable: none became free in time.
        """
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._free.acquire()
        except TimeoutError:
            raise DatabaseUnavailable("every database connection is busy") from None
        try:
            connection, made_at = await self._live()
            try:
                yield connection
            finally:
                if self._is_closed:
                    await connection.close()
                elif await make_idle(connection):
                    self._idle.append((connection, made_at))
        finally:
            self._free.release()

    async def aclose(self) -> None:
        """Close those nobody uses; the others when they are given back."""
        self._is_closed = True
        while self._idle:
            await self._idle.pop()[0].close()

    async def _live(self) -> tuple[Driver, float]:
        now = time.monotonic()
        while self._idle:
            connection, made_at = self._idle.pop()
            if now - made_at < _OLDEST_SECONDS and not _is_ended(connection):
                return connection, made_at
            await connection.close()
        return await self._connect(), now


def _is_ended(connection: Driver) -> bool:
    """Whether there is something to read on an idle connection: the server has ended it. Seen without a round trip."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))
