"""News of committed blocks, from the database's notifications to every open event stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import TypeAlias

from app.errors import Retryable

logger = logging.getLogger(__name__)

Listen: TypeAlias = Callable[[str], AbstractAsyncContextManager[AsyncIterator[str]]]
"""Opens the payloads of a notification channel; inside the context every notification will be given."""

CHANNEL = "waterline_blocks"
_QUEUE_LENGTH = 64
_RECONNECT_SECONDS = 1.0
_END = None


@dataclass(frozen=True, slots=True)
class BlockCommitted:
    """One block of one chain is in the database."""

    chain_id: int
    block_number: int


class BlockStream:
    """Passes each committed block to every subscriber.

    Nobody can hold it up: a subscriber that reads too slowly loses its oldest news, never the newest.
    """

    def __init__(self, listen: Listen, max_subscribers: int, heartbeat_seconds: float) -> None:
        self._listen = listen
        self._max_subscribers = max_subscribers
        self._heartbeat_seconds = heartbeat_seconds
        self._queues: set[asyncio.Queue[BlockCommitted | None]] = set()
        self._closed = False
        self._listening = False
        self._generation = 0

    @property
    def generation(self) -> int | None:
        """Another number after each notification and each reconnection; None while none could be heard.

        What was read from the database under one generation is, but for the moments a notification travels, still
        what it would answer.
        """
        return self._generation if self._listening else None

    @property
    def subscribers(self) -> int:
        """How many streams are open."""
        return len(self._queues)

    @property
    def is_full(self) -> bool:
        """No place for another subscriber (or none any more, because the service is stopping)."""
        return self._closed or len(self._queues) >= self._max_subscribers

    async def run(self) -> None:
        """Listen until cancelled or closed; a lost connection is made again."""
        while not self._closed:
            try:
                async with self._listen(CHANNEL) as payloads:
                    self._listening = True
                    async for payload in payloads:
                        self._generation += 1
                        news = _parse(payload)
                        if news is not None:
                            self.publish(news)
            except Retryable as error:
                logger.warning("block notifications interrupted: %s", error)
            finally:
                self._listening = False
                self._generation += 1
            await asyncio.sleep(_RECONNECT_SECONDS)

    def publish(self, news: BlockCommitted) -> None:
        """Hand a block to every subscriber now."""
        for queue in self._queues:
            _put_newest(queue, news)

    def close(self) -> None:
        """End every stream and admit no more. Call it before the server waits for open connections to end."""
        self._closed = True
        for queue in self._queues:
            _put_newest(queue, _END)

    async def events(self) -> AsyncIterator[BlockCommitted | None]:
        """News as it comes; None after each heartbeat interval without any. Ends when the stream is closed."""
        queue: asyncio.Queue[BlockCommitted | None] = asyncio.Queue(_QUEUE_LENGTH)
        self._queues.add(queue)
        try:
            while not self._closed:
                news: BlockCommitted | None = None
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._heartbeat_seconds):
                        news = await queue.get()
                        if news is _END:
                            return
                yield news
        finally:
            self._queues.discard(queue)


def _put_newest(queue: asyncio.Queue[BlockCommitted | None], news: BlockCommitted | None) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(news)


def _parse(payload: str) -> BlockCommitted | None:
    """`<chain_id>:<number>`; anything else on the channel is not ours."""
    chain_id, _, number = payload.partition(":")
    if not (chain_id.isdecimal() and number.isdecimal()):
        return None
    return BlockCommitted(int(chain_id), int(number))
