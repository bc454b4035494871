"""Waiting for the newest head with a limit, without losing it or ending the stream that brings it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from app.chain.reader import Header
from app.errors import Retryable

T = TypeVar("T")


class FeedEnded(Retryable):
    """The stream of heads is over: open another one."""


class HeadCame(Retryable):
    """A new head is there: work that can wait was given up for it."""


class HeadFeed:
    """A stream of heads that can be asked with a time limit. Close it by leaving its `async with` block."""

    def __init__(self, heads: AsyncGenerator[Header, None]) -> None:
        self._heads = heads
        self._next: asyncio.Future[Header] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
        await self._heads.aclose()

    async def take(self, timeout_seconds: float) -> Header | None:
        """The next head, or None if none came in time.

        Raises:
            FeedEnded: there will be no more heads from this stream.
            Fatal, Refused: what the stream raised.
        """
        done, _ = await asyncio.wait({self._arrival()}, timeout=timeout_seconds)
        if not done:
            return None
        finished, self._next = self._arrival(), None
        try:
            return finished.result()
        except StopAsyncIteration:
            raise FeedEnded("the stream of heads ended") from None
        except Retryable as failure:
            raise FeedEnded(str(failure)) from failure

    async def before_next(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives; it is cancelled, wherever it stands, when the next head or the stream's end comes first.

        Raises:
            HeadCame: it did. The head is there to be taken.
        """
        working = asyncio.ensure_future(work)
        try:
            either: set[asyncio.Future[Any]] = {working, self._arrival()}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise HeadCame("a new head came first")
        finally:
            if not working.done():
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)

    async def comes_before(self, work: asyncio.Future[Any]) -> bool:
        """Wait until `work` is done or the next head, or the stream's end, is there to be taken; whether `work` is
        not. It goes on."""
        either: set[asyncio.Future[Any]] = {work, self._arrival()}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return not work.done()

    def _arrival(self) -> asyncio.Future[Header]:
        if self._next is None:
            # an anext that is cancelled ends its generator: a late head is waited for by the next call instead
            self._next = asyncio.ensure_future(anext(self._heads))
        return self._next
