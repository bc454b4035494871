"""All that is done by the clock, in turns. Whatever is killed in between is taken up again by the next turn."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from app.alerts.http import HttpClient
from app.alerts.timers.blindness import Blindness
from app.alerts.timers.digests import Digests
from app.alerts.timers.forgetting import Forgetting
from app.alerts.timers.heartbeat import Heartbeat, heartbeat_policy
from app.alerts.timers.looking import Looking
from app.alerts.timers.options import TimerOptions
from app.alerts.timers.reminders import Reminders
from app.alerts.timers.sight import is_current
from app.errors import Retryable
from app.store.postgres.engine import Database

log = logging.getLogger(__name__)


class Timers:
    """Blindness, reminders, digests, the heartbeat, and forgetting. Several may run, in one process or in many: what
    one has done no other does again. Use as a context."""

    def __init__(
        self,
        database: Database,
        options: TimerOptions | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            database: stays the caller's to dispose of.
            clock: Unix seconds now.
        """
        self._options = options or TimerOptions()
        self._database = database
        self._clock = clock
        self._looking = Looking(self._options)
        self._duties: tuple[Callable[[int], Awaitable[int]], ...] = (
            Blindness(database, self._options, self._looking).run,
            Reminders(database, self._options).run,
            Digests(database, self._options, self._looking).run,
        )
        self._forgetting = Forgetting(database, self._options)
        self._vigil = Looking(self._options)
        self._client = HttpClient(heartbeat_policy(self._options.heartbeat_urls))
        self._heartbeat = Heartbeat(self._client, self._options.heartbeat_urls)
        self._next_beat = 0
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def run(self) -> None:
        """Do what is due, again and again, until cancelled. A slow heartbeat keeps nothing else waiting, and neither
        does forgetting.

        Raises:
            Fatal, Refused: the database is not one to work with.
        """
        await together(self._repeat(self._take_turn), self._repeat(self.beat_if_due), self._repeat(self.forget))

    async def run_due(self, now: int) -> None:
        """Do all that is due, once.

        Raises:
            Retryable: the database failed.
        """
        await self._take_turn(now)
        await self.beat_if_due(now)
        await self.forget(now)

    async def forget(self, now: int) -> None:
        """Drop some of what was told too long ago.

        Raises:
            Retryable: the database failed.
        """
        await self._forgetting.run(now)

    async def beat_if_due(self, now: int) -> None:
        """Fetch the heartbeat's URLs if it is time and everything is as it should be: every chain that must be is read,
        and rules are evaluated at its newest blocks.

        Raises:
            Retryable: the database failed.
        """
        # One that is further away than a period was set before the clock was set back.
        if not self._options.heartbeat_urls or 0 < self._next_beat - now <= self._options.heartbeat_seconds:
            return
        async with self._database.read() as session:
            required = await self._vigil.required(session)
            sights = await self._vigil.sights(session, now)
        blind = [one for one in required if one not in sights or not is_current(sights[one], self._options, now)]
        self._next_beat = now + self._options.heartbeat_seconds
        if blind or not required:
            log.warning("heartbeat withheld: not current=%s", ",".join(map(str, sorted(blind))) or "no chain")
            self._next_beat = now + self._options.check_seconds
            return
        await self._heartbeat.beat(now)

    async def _take_turn(self, now: int) -> None:
        for duty in self._duties:
            await duty(now)

    async def _repeat(self, turn: Callable[[int], Awaitable[None]]) -> None:
        failures = 0
        while True:
            pause = float(self._options.check_seconds)
            try:
                await turn(int(self._clock()))
                failures = 0
            except Retryable as failure:
                pause = min(self._options.first_pause_seconds * 2**failures, self._options.longest_pause_seconds)
                failures = min(failures + 1, 16)
                log.warning("trouble=%r retry_seconds=%.2f", str(failure), pause)
            await asyncio.sleep(pause)


async def together(*works: Coroutine[None, None, None]) -> None:
    """Do all of it until one fails, with that failure, or until cancelled; then none goes on."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        # Not gather: being cancelled it cancels them, and they are to be told once, or their endings are cut short.
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end
