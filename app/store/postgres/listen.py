"""NOTIFY as an async iterator: bounded, and gone without trace when it is cancelled."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Self

import psycopg
from psycopg import sql

from app.store.postgres.faults import DatabaseUnavailable, translate, translated


class Listener:
    """Iterates over the payloads of one channel. Use it in one task only."""

    def __init__(
        self, connect: Callable[[], Awaitable[psycopg.AsyncConnection[Any]]], channel: str, capacity: int
    ) -> None:
        self._connect = connect
        self._channel = channel
        self._payloads: deque[str] = deque(maxlen=capacity)
        self._arrived = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        if self._reader is None:
            await self._start()
        while not self._payloads:
            self._arrived.clear()
            if self._reader is None:
                raise StopAsyncIteration
            if self._reader.done():
                await self._end_of_reader()
            try:
                await self._arrived.wait()
            except asyncio.CancelledError:
                await self.aclose()
                raise
        return self._payloads.popleft()

    async def aclose(self) -> None:
        """Stop listening and close the connection."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
        self._arrived.set()

    async def _start(self) -> None:
        with translated():
            connection = await self._connect()
            try:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
            except BaseException:
                await connection.close()
                raise
        self._reader = asyncio.create_task(self._read(connection), name=f"listen {self._channel}")
        self._reader.add_done_callback(lambda _: self._arrived.set())

    async def _read(self, connection: psycopg.AsyncConnection[Any]) -> None:
        try:
            async for notification in connection.notifies():
                self._payloads.append(notification.payload)
                self._arrived.set()
        finally:
            await connection.close()

    async def _end_of_reader(self) -> None:
        reader = self._reader
        assert reader is not None
        try:
            await reader
        except psycopg.Error as error:
            raise translate(error) from error
        raise DatabaseUnavailable(f"stopped listening on {self._channel}")
