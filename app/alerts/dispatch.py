"""The loop that empties the outbox: claims what is due and sends it, channel by channel.

Bad news never waits for anything. The end of an episode waits until what it ends was told or given up.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence

from app.alerts.batch import Batch, Means
from app.alerts.kinds import SenderContext, sender_of
from app.alerts.metrics import AlertMetrics
from app.alerts.options import DispatchOptions
from app.alerts.outcome import Sender
from app.errors import Retryable
from app.store.postgres.engine import Database
from app.store.watch.channels import Channel
from app.store.watch.outbox import OUTBOX_CHANNEL
from app.store.watch.sending import Claimed, claim, load_waiting, release

log = logging.getLogger(__name__)

_SHORTEST_SLEEP_SECONDS = 0.05
"""Where something is due and cannot be claimed, because others hold it."""


class Dispatcher:
    """Sends what is in the outbox. Several may run, in one process or in many."""

    def __init__(
        self,
        database: Database,
        context: SenderContext,
        *,
        options: DispatchOptions | None = None,
        metrics: AlertMetrics | None = None,
        make_sender: Callable[[Channel, SenderContext], Sender] = sender_of,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Nothing is connected or read before it is told to send.

        Args:
            database: The store. Stays the caller's to dispose of.
            context: What senders are made with; its HTTP client stays the caller's to close.
            options: Bounds and rhythms.
            metrics: Registered families to count in; made and kept private when not given.
            make_sender: Gives a channel's sender.
            clock: Unix seconds now.
            chance: From 0 to 1, for the jitter of retries.
        """
        self._database = database
        self._options = options or DispatchOptions()
        self._families = metrics or AlertMetrics.private()
        self._clock = clock
        self._means = Means(
            database,
            lambda channel: make_sender(channel, context),
            self._options,
            self._families,
            clock,
            chance,
            asyncio.Semaphore(self._options.at_once_in_all),
        )
        self._news = asyncio.Event()
        self._under_way: dict[int, tuple[Batch, asyncio.Task[int]]] = {}
        """By channel."""
        self._failures = 0

    async def run(self) -> None:
        """Send until cancelled; what was claimed then and not tried is given back.

        Raises:
            Fatal, Refused: the database is not one to work with.
        """
        while True:
            try:
                async with self._database.listen(OUTBOX_CHANNEL) as payloads:
                    await self._follow(payloads)
            except Retryable as failure:
                self._families.failures.labels(type(failure).__name__).inc()
                pause = min(self._options.first_pause_seconds * 2**self._failures, self._options.longest_pause_seconds)
                self._failures = min(self._failures + 1, 16)
                log.warning("trouble=%r retry_seconds=%.2f", str(failure), pause)
                await asyncio.sleep(pause)

    async def deliver_due(self, now: int) -> int:
        """Try everything that is due at `now` once, and end; how many messages were taken.

        Raises:
            Retryable: the database failed.
        """
        taken = 0
        try:
            while await self._begin(now) or self._under_way:
                await asyncio.wait(self._tasks(), return_when=asyncio.FIRST_COMPLETED)
                taken += await self._leave()
        finally:
            await self._end()
        return taken

    async def deliver_one(self, message_id: str) -> None:
        """Try one message now, if it is due and nobody else is trying it.

        Raises:
            Retryable: the database failed.
        """
        try:
            await self._begin(int(self._clock()), only=message_id)
            if self._under_way:
                await asyncio.wait(self._tasks())
                await self._leave()
        finally:
            await self._end()

    async def _follow(self, payloads: AsyncIterator[str]) -> None:
        """Send until something fails."""
        self._news.set()  # for what came before anybody listened
        hearing = asyncio.create_task(self._hear(payloads), name="hear of messages")
        try:
            while True:
                self._news.clear()
                while await self._begin(int(self._clock())):
                    pass
                self._failures = 0
                await self._sleep(hearing)
                await self._leave()
                if hearing.done():
                    return hearing.result()
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
            await self._end()

    async def _hear(self, payloads: AsyncIterator[str]) -> None:
        async for _ in payloads:
            self._news.set()

    async def _sleep(self, hearing: asyncio.Task[None]) -> None:
        """Wait for a message, for the next to come due, or for a channel to be done."""
        async with self._database.read() as session:
            next_due, waiting = await load_waiting(session)
        self._families.waiting.set(waiting)
        seconds = self._options.longest_sleep_seconds
        if next_due is not None and not self._under_way:
            seconds = min(seconds, max(_SHORTEST_SLEEP_SECONDS, next_due - self._clock()))
        news = asyncio.create_task(self._news.wait())
        try:
            await asyncio.wait((news, hearing, *self._tasks()), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()

    async def _begin(self, now: int, only: str | None = None) -> bool:
        """Claim what is due, of channels that are not sent to already, and start to send it; whether there was any."""
        async with self._database.write() as session:
            claimed = await claim(
                session,
                now,
                lease_until=int(self._clock()) + self._options.lease_seconds,
                per_channel=self._options.per_channel,
                busy=tuple(self._under_way),
                only=only,
            )
        by_channel: dict[int, list[Claimed]] = {}
        for one in claimed:
            by_channel.setdefault(one.channel.id, []).append(one)
        for channel_id, messages in by_channel.items():
            batch = Batch(self._means, messages)
            self._under_way[channel_id] = (batch, asyncio.create_task(batch.send(), name=f"send to {channel_id}"))
        return bool(claimed)

    def _tasks(self) -> list[asyncio.Task[int]]:
        return [task for _, task in self._under_way.values()]

    async def _leave(self) -> int:
        """Take leave of channels that are done; how many messages were taken there."""
        taken = 0
        for channel_id, (batch, task) in list(self._under_way.items()):
            if task.done():
                taken += task.result()
                await self._give_back(list(batch.left.values()))
                del self._under_way[channel_id]
        return taken

    async def _end(self) -> None:
        """End whatever is under way, and give back what was not settled."""
        for task in self._tasks():
            task.cancel()
        await asyncio.gather(*self._tasks(), return_exceptions=True)
        left = [one for batch, _ in self._under_way.values() for one in batch.left.values()]
        self._under_way.clear()
        await self._give_back(left)

    async def _give_back(self, left: Sequence[Claimed]) -> None:
        if left:
            async with self._database.write() as session:
                await release(session, left)
