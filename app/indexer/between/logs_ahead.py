"""Logs asked for before their turn: the node gathers the next range while the last one is looked at and stored."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from app.domain.chain import BlockRef, Log, LogFilter
from app.indexer.feed import HeadFeed


@dataclass(frozen=True, slots=True)
class RangeAsked:
    """Blocks whose logs are asked for, both ends included."""

    log_filter: LogFilter
    from_block: int
    to_block: int


@dataclass(frozen=True, slots=True)
class RangeLogs:
    """Logs of a range, as the node gave them."""

    logs: list[Log]
    cursor: BlockRef
    """The newest stored block when they were asked for: if it is still canonical, so are the blocks below it."""
    seconds: float
    """How long the answer took, decoding included."""


class LogsAhead:
    """At most one request under way, whose answer is kept until it is taken or not wanted any more.

    That bounds the memory: logs of one range here besides those being looked at.
    """

    def __init__(self) -> None:
        self._asked: RangeAsked | None = None
        self._answer: asyncio.Future[RangeLogs] | None = None

    @property
    def blocks(self) -> int:
        """How many blocks' logs were asked for; 0 when none are."""
        return self._asked.to_block - self._asked.from_block + 1 if self._asked is not None else 0

    async def ask(self, asked: RangeAsked, work: Coroutine[Any, Any, RangeLogs]) -> None:
        """Have `work` done unless the very same was asked for already. Whatever else is under way is given up."""
        if asked == self._asked:
            work.close()
            return
        await self.drop()
        self._asked, self._answer = asked, _begun(work)

    async def take(self, feed: HeadFeed | None) -> RangeLogs | None:
        """The answer to what was asked last. None, and it can be taken later, if a new head comes before it does.

        Raises:
            Whatever the work did; then it is to be asked for again.
        """
        assert self._answer is not None
        if feed is not None and await feed.comes_before(self._answer):
            return None
        try:
            return await self._answer
        finally:
            self._asked = self._answer = None

    async def drop(self) -> None:
        """Forget the answer; a request under way is cancelled, and has ended when this returns."""
        answer, self._asked, self._answer = self._answer, None, None
        if answer is not None:
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)


def _begun(work: Coroutine[Any, Any, RangeLogs]) -> asyncio.Future[RangeLogs]:
    return asyncio.create_task(work)
