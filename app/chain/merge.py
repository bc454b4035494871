"""One stream of heads out of several endpoints': the highest that is consistent, and never back in time.

A chain's head does not go down for good; an endpoint's does, when another node behind its address answers or it is
replaced by one that lags. So a lower head is followed only if every endpoint that had been higher came down to it
and stays there. At one height the head that is followed already is kept as long as anybody still shows it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Final

from app.chain.endpoints import ChainEndpoint
from app.chain.heads import HeadStream, follow_heads
from app.chain.pool import ReaderPool
from app.chain.wire import Header
from app.domain.endpoint import EndpointHealth
from app.errors import Fatal, Retryable, WaterlineError

log = logging.getLogger(__name__)

_LAG_BLOCKS: Final = 3
"""An endpoint so many blocks behind the best is not read from until it has caught up."""
_CONFIRM_SECONDS: Final = 5.0
"""A head that does not follow on ours makes its endpoint say its chain again, at most this often."""
_PATIENCE_BLOCKS: Final = 20
_SHORTEST_PATIENCE_SECONDS: Final = 60.0
"""After so long with every endpoint below what is indexed, their head is followed all the same."""


class HeadMerge:
    """Which head to follow, by what the endpoints have shown. No clock of its own: times are arguments, in seconds."""

    def __init__(self, endpoints: int, floor: int, settle_seconds: float, patience_seconds: float) -> None:
        """
        Args:
            endpoints: How many there are. With a single one its word is followed whatever it is.
            floor: Newest block indexed before, -1 if none: no head below it is followed at first.
            settle_seconds: How long all must have come down before a lower head is followed.
            patience_seconds: How long none may have reached the floor before a lower head is followed.
        """
        self._single = endpoints == 1
        self._settle_seconds = settle_seconds
        self._patience_seconds = patience_seconds
        self._heads: dict[int, Header] = {}
        self._highest: dict[int, int] = {}
        self._below_since: float | None = None
        self.followed: Header | None = None
        self.floor = floor

    def show(self, endpoint: int, head: Header) -> None:
        """An endpoint's newest head."""
        self._heads[endpoint] = head
        self._highest[endpoint] = max(head.block.number, self._highest.get(endpoint, -1))

    def withdraw(self, endpoint: int) -> None:
        """What the endpoint showed does not count until it shows a head again."""
        self._heads.pop(endpoint, None)

    def best(self) -> tuple[int, Header] | None:
        """The endpoint to believe and its head: the highest; among equals the one followed, then the commonest."""
        if not self._heads:
            return None
        hashes = [head.block.hash for head in self._heads.values()]
        followed = self.followed.block.hash if self.followed is not None else None

        def rank(item: tuple[int, Header]) -> tuple[int, bool, int, int]:
            endpoint, head = item
            return head.block.number, head.block.hash == followed, hashes.count(head.block.hash), -endpoint

        return max(self._heads.items(), key=rank)

    def due(self, now: float) -> tuple[int, Header] | None:
        """The endpoint and the head to follow next; None while there is no other than the one followed."""
        best = self.best()
        if best is None:
            return None
        head = best[1].block
        if head.number >= self.floor:
            self._below_since = None
        elif self._below_since is None:
            self._below_since = now
        if self.followed is not None and head.hash == self.followed.block.hash:
            return None
        return best if self._single or head.number >= self.floor or self._came_down(now) else None

    def follow(self, head: Header) -> None:
        """`head` is followed from now on."""
        self.followed, self.floor, self._below_since = head, head.block.number, None

    def lagging(self, endpoint: int) -> int:
        """Blocks the endpoint is behind the floor or the best head; 0 if it has shown none."""
        shown, best = self._heads.get(endpoint), self.best()
        if shown is None or best is None or self._single:
            return 0
        return max(self.floor, best[1].block.number) - shown.block.number

    def _came_down(self, now: float) -> bool:
        """Whether lower heads are the chain's own: all who had been at the floor left it, a while ago."""
        below = now - self._below_since if self._below_since is not None else 0.0
        had_it = [endpoint for endpoint in self._heads if self._highest[endpoint] >= self.floor]
        return below >= self._patience_seconds or (len(had_it) == len(self._heads) and below >= self._settle_seconds)


async def follow_pool(
    pool: ReaderPool, poll_seconds: float, *, floor: int = -1, streams: dict[int, HeadStream] | None = None
) -> AsyncGenerator[Header, None]:
    """Heads of all endpoints merged; also looks after the endpoints: checks those that were down, marks who lags.

    Args:
        pool: The endpoints.
        poll_seconds: Between polls of each; see `follow_heads`.
        floor: Newest block indexed before, -1 if none.
        streams: Takes the sockets' place in tests, by endpoint number.

    Raises:
        EndpointsDown: every endpoint fails, and none has answered for a block's time (and a second).
        Fatal, Refused: as the endpoints or their URLs say, when all say so.
    """
    merger = _Merger(pool, poll_seconds, floor, streams or {})
    tasks = [asyncio.create_task(merger.watch(endpoint)) for endpoint in pool.endpoints]
    for task in tasks:
        task.add_done_callback(merger.ended)
    pool.is_followed = True
    try:
        while True:
            yield await merger.take()
    finally:
        pool.is_followed = False
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Merger:
    def __init__(self, pool: ReaderPool, poll_seconds: float, floor: int, streams: dict[int, HeadStream]) -> None:
        block_seconds = pool.spec.block_seconds
        self._pool = pool
        self._poll_seconds = poll_seconds
        self._streams = streams
        self._silence_seconds = max(1.0, block_seconds)
        patience = max(_SHORTEST_PATIENCE_SECONDS, _PATIENCE_BLOCKS * block_seconds)
        self._merge = HeadMerge(len(pool.endpoints), floor, 2 * max(poll_seconds, block_seconds), patience)
        self._changed = asyncio.Event()
        self._confirmed_at: dict[int, float] = {}
        self._started_at = _now()
        self._error: BaseException | None = None

    async def watch(self, endpoint: ChainEndpoint) -> None:
        """Follow one endpoint for ever; where it fails, leave it alone for as long as it should rest, then check it."""
        was_away = False
        while True:
            await asyncio.sleep(endpoint.rest_seconds())
            if was_away or not endpoint.is_worth_following():
                if await self._pool.check(endpoint) is not None:
                    await asyncio.sleep(self._poll_seconds)
                    continue
                was_away = False
            heads = follow_heads(
                endpoint.reader, endpoint.ws_url, self._poll_seconds, stream=self._streams.get(endpoint.number)
            )
            try:
                async with aclosing(heads):
                    async for head in heads:
                        if not endpoint.is_worth_following():
                            break  # a read found it to be down meanwhile
                        endpoint.showed(head)
                        self._merge.show(endpoint.number, head)
                        self._changed.set()
            except WaterlineError as fault:
                was_away = True
                endpoint.failed(fault)
                log.warning("chain=%s endpoint=%r heads: %s", self._pool.spec.name, endpoint.name, fault)
            self._merge.withdraw(endpoint.number)
            self._changed.set()
            if not endpoint.rest_seconds():
                await asyncio.sleep(self._poll_seconds)

    def ended(self, task: asyncio.Task[None]) -> None:
        """A watch ends by cancellation, or by a fault of this program: that is for whoever takes heads."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = error
            self._changed.set()

    async def take(self) -> Header:
        """The next head to follow.

        Raises:
            EndpointsDown: nobody answers.
        """
        while True:
            self._changed.clear()
            if self._error is not None:
                raise self._error
            self._mark_lagging()
            due = self._merge.due(_now())
            if due is not None and await self._is_plausible(*due):
                self._merge.follow(due[1])
                self._mark_lagging()
                return due[1]
            self._require_answers()
            with suppress(TimeoutError):  # not wait_for, which may swallow a cancellation
                async with asyncio.timeout(min(self._poll_seconds, self._silence_seconds / 4)):
                    await self._changed.wait()

    async def _is_plausible(self, number: int, head: Header) -> bool:
        """A head that does not follow on ours is taken only from an endpoint that serves our chain for certain."""
        followed = self._merge.followed
        if followed is not None and head.block.parent_hash == followed.block.hash:
            return True
        if _now() - self._confirmed_at.get(number, -_CONFIRM_SECONDS) < _CONFIRM_SECONDS:
            return True
        endpoint = self._pool.endpoints[number - 1]
        try:
            await endpoint.reader.verify_chain_id()
        except (Retryable, Fatal) as fault:
            endpoint.failed(fault)
            self._merge.withdraw(number)
            log.warning("chain=%s endpoint=%r head not taken: %s", self._pool.spec.name, endpoint.name, fault)
            return False
        self._confirmed_at[number] = _now()
        return True

    def _mark_lagging(self) -> None:
        """Take endpoints out of use that are behind, and back when they are not."""
        for endpoint in self._pool.endpoints:
            blocks = self._merge.lagging(endpoint.number)
            if blocks >= _LAG_BLOCKS and endpoint.is_in_use():
                endpoint.lags(f"{blocks} blocks behind")
                log.warning("chain=%s endpoint=%r lags %d blocks", self._pool.spec.name, endpoint.name, blocks)
            elif endpoint.health is EndpointHealth.LAGGING and blocks < _LAG_BLOCKS:
                endpoint.caught_up()
                log.info("chain=%s endpoint=%r caught up", self._pool.spec.name, endpoint.name)

    def _require_answers(self) -> None:
        endpoints = self._pool.endpoints
        heard_at = max([self._started_at, *(each.answered_at for each in endpoints if each.answered_at is not None)])
        if _now() - heard_at > self._silence_seconds and all(each.is_failing() for each in endpoints):
            raise self._pool.down()


def _now() -> float:
    return asyncio.get_running_loop().time()
