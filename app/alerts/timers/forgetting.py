"""Forgets what was told long ago, a little at a time, beside the sending."""

from __future__ import annotations

import asyncio
import logging
import time

from app.alerts.timers.options import TimerOptions
from app.store.postgres.engine import Database
from app.store.watch.forget import Limits, Place, find_limits, forget_once, take_turn

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.02
"""Between two transactions: whoever sends or evaluates has the database to himself meanwhile."""


class Forgetting:
    """One pass over what is stored a while, in short transactions, each burst bounded in time. Of several processes one
    takes a step at a time."""

    def __init__(self, database: Database, options: TimerOptions) -> None:
        self._database = database
        self._options = options
        self._begun_at: int | None = None
        """When the last pass was begun."""
        self._limits: Limits | None = None
        """Of the pass under way."""
        self._place = Place()
        self._dropped = 0

    async def run(self, now: int) -> int:
        """Go on with the pass under way, or begin one when it is time, for a fraction of a second; how many rows went.

        Raises:
            Retryable: the database failed; the pass goes on with the next call.
        """
        if self._limits is None and not await self._begin(now):
            return 0
        dropped, until = 0, time.monotonic() + self._options.forget_seconds
        while self._limits is not None:
            async with self._database.write() as session:
                if not await take_turn(session):
                    break
                place, rows = await forget_once(session, self._limits, self._place)
            dropped += rows
            self._advance(place, rows)
            if time.monotonic() >= until:
                break
            await asyncio.sleep(_PAUSE_SECONDS)
        return dropped

    async def _begin(self, now: int) -> bool:
        every = self._options.forget_every_seconds
        if self._begun_at is not None and 0 <= now - self._begun_at < every:
            return False
        async with self._database.read() as session:
            self._limits = await find_limits(session, now, self._options.told_seconds, self._options.changed_seconds)
        self._begun_at, self._place, self._dropped = now, Place(), 0
        return True

    def _advance(self, place: Place | None, rows: int) -> None:
        self._dropped += rows
        if place is not None:
            self._place = place
            return
        self._limits = None
        if self._dropped:
            log.info("forgotten rows=%d", self._dropped)
