"""The newest head, as soon as it is known: pushed over a WebSocket, polled where that is missing or falls silent.

There is room for one head: one that was not taken yet is replaced by a newer one, so a slow consumer always gets
the newest and nothing piles up. Missed heads are no loss: `reorg.locate` names the gap.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final, Literal, Protocol, TypeAlias

from app.chain.sockets import socket_heads
from app.chain.transport import describe_endpoint
from app.chain.wire import Header
from app.domain.chain import ChainId
from app.errors import Fatal, Retryable, WaterlineError

log = logging.getLogger(__name__)

HeadStream: TypeAlias = Callable[[], AsyncGenerator[Header, None]]
"""Opens one connection that yields heads until it raises a Retryable."""

_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 30.0
_SILENT_POLLS: Final = 2
"""Polls in a row that find a new head the socket said nothing of, until the socket is given up."""


class LatestReader(Protocol):
    """The part of ChainReader that following heads needs."""

    @property
    def chain_id(self) -> ChainId: ...

    async def fetch_header(self, at: Literal["latest"]) -> Header | None: ...


async def follow_heads(
    reader: LatestReader, ws_url: str | None, poll_seconds: float, *, stream: HeadStream | None = None
) -> AsyncGenerator[Header, None]:
    """Heads as they come, the present one first; each differs from the one before it in its hash.

    Heads may go down or sideways: a reorg, or a node that lags. Close the generator (`aclosing`) to end its
    tasks and its socket at once.

    Args:
        reader: For polling.
        ws_url: A ws:// or wss:// URL to subscribe at; None polls only.
        poll_seconds: Between polls; with a socket, the silence after which the node is asked anyway.
        stream: Takes the socket's place in tests.

    Raises:
        Retryable: the node could not be asked although tried for a while (see RetryPolicy), and no socket delivers.
        Fatal, Refused: as the reader or the URL says.
    """
    if stream is None and ws_url is not None:
        describe_endpoint(ws_url, ("ws", "wss"))
        url = ws_url
        stream = lambda: socket_heads(url, reader.chain_id)  # noqa: E731 - one expression, used once
    follower = _Follower(reader, stream, poll_seconds)
    try:
        follower.start()
        while True:
            yield await follower.take()
    finally:
        await follower.stop()


class _Follower:
    """The one place for a head, and the two tasks that fill it."""

    def __init__(self, reader: LatestReader, stream: HeadStream | None, poll_seconds: float) -> None:
        self._reader = reader
        self._stream = stream
        self._poll_seconds = poll_seconds
        self._pending: Header | None = None
        self._newest: Header | None = None
        self._fault: WaterlineError | None = None
        self._filled = asyncio.Event()
        self._pushed_at: float | None = None
        self._poller: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._poller = asyncio.create_task(self._poll())
        if self._stream is not None:
            self._listener = asyncio.create_task(self._listen(self._stream))

    async def stop(self) -> None:
        for task in (self._poller, self._listener):
            await _end(task)

    async def take(self) -> Header:
        """The newest head not taken yet."""
        while True:
            if self._pending is not None:
                header, self._pending = self._pending, None
                return header
            if self._fault is not None:
                raise self._fault
            self._filled.clear()
            await self._filled.wait()

    def _put(self, header: Header) -> bool:
        """Whether the head is another than the last one."""
        if self._newest is not None and self._newest.block.hash == header.block.hash:
            return False
        self._newest = self._pending = header
        self._filled.set()
        return True

    def _fail(self, fault: WaterlineError) -> None:
        self._fault = fault
        self._filled.set()

    async def _poll(self) -> None:
        """Ask for the newest block at the start, and whenever nothing was pushed for `poll_seconds`."""
        clock = asyncio.get_running_loop().time
        silent = 0
        while True:
            asked_at = clock()
            try:
                header = await self._reader.fetch_header("latest")
            except WaterlineError as fault:
                if isinstance(fault, Retryable) and self._pushed_since(asked_at):
                    header = None
                else:
                    self._fail(fault)
                    return
            changed = header is not None and not self._pushed_since(asked_at) and self._put(header)
            silent = silent + 1 if changed else silent
            if self._pushed_since(asked_at - self._poll_seconds):
                silent = 0
            if silent > _SILENT_POLLS and self._listener is not None and self._stream is not None:
                log.warning("chain %d: the socket is silent while blocks arrive; reconnecting", self._reader.chain_id)
                await _end(self._listener)
                self._listener = asyncio.create_task(self._listen(self._stream))
                silent = 0
            await asyncio.sleep(self._poll_seconds)
            while self._pushed_at is not None and (rest := self._pushed_at + self._poll_seconds - clock()) > 0:
                await asyncio.sleep(rest)
                silent = 0

    def _pushed_since(self, moment: float) -> bool:
        return self._pushed_at is not None and self._pushed_at >= moment

    async def _listen(self, stream: HeadStream) -> None:
        """Take what the socket pushes; reconnect for ever, with growing pauses."""
        clock = asyncio.get_running_loop().time
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                async with aclosing(stream()) as heads:
                    async for header in heads:
                        self._pushed_at = clock()
                        pause = _FIRST_PAUSE_SECONDS
                        self._put(header)
            except Retryable as fault:
                log.info("chain %d: %s; polling until it is back", self._reader.chain_id, fault)
            except Fatal as fault:
                self._fail(fault)
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


async def _end(task: asyncio.Task[None] | None) -> None:
    """Cancel a task and see it end; what it raised is of no interest any more."""
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
