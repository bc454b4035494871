"""Some messages of one channel, from their claim to what became of each."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.alerts.metrics import AlertMetrics
from app.alerts.options import DispatchOptions
from app.alerts.outcome import Outcome, Outgoing, Sender
from app.alerts.retry import next_gap_seconds
from app.errors import Refused, Retryable
from app.store.postgres.engine import Database
from app.store.watch.channels import Channel, disable_channel
from app.store.watch.outbox import Attempt
from app.store.watch.sending import Claimed, Settled, settle

log = logging.getLogger(__name__)

_WAITS = Outcome(None, "it waits for an earlier message of its episode")
_NEWS = ("episode.opened", "episode.escalated")


@dataclass(frozen=True, slots=True)
class Means:
    """What batches are sent with."""

    database: Database
    make_sender: Callable[[Channel], Sender]
    options: DispatchOptions
    metrics: AlertMetrics
    clock: Callable[[], float]
    chance: Callable[[], float]
    slots: asyncio.Semaphore
    """One for each message that may be under way, over all channels."""


class Batch:
    """Messages of one channel. Those of one episode go one after the other, the others a few at a time."""

    def __init__(self, means: Means, claimed: Sequence[Claimed]) -> None:
        """
        Args:
            claimed: at least one, in the order they are to be sent in.
        """
        self._means = means
        self._channel = claimed[0].channel
        self._claimed = claimed
        self.left = {one.id: one for one in claimed}
        """What was not settled yet: to be given back, where this is ended."""
        self._is_gone = False

    async def send(self) -> int:
        """Try each; how many were taken.

        Raises:
            Retryable: the database failed. What was sent and not settled will be sent again.
        """
        sender = self._sender()
        at_once = asyncio.Semaphore(self._means.options.at_once)
        groups: dict[object, list[Claimed]] = {}
        for one in self._claimed:
            groups.setdefault(one.id if one.episode_id is None else one.episode_id, []).append(one)
        sending = [asyncio.create_task(self._send_group(group, sender, at_once)) for group in groups.values()]
        try:
            return sum(await asyncio.gather(*sending))
        finally:
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

    def _sender(self) -> Sender | Outcome:
        """The channel's sender, or why there is none."""
        if not self._channel.is_enabled:
            return Outcome(None, f"the channel is disabled: {self._channel.disabled_reason or 'no reason given'}")
        try:
            return self._means.make_sender(self._channel)
        except Refused as refusal:
            return Outcome(None, str(refusal))

    async def _send_group(self, group: Sequence[Claimed], sender: Sender | Outcome, at_once: asyncio.Semaphore) -> int:
        taken = 0
        is_order_broken = False
        for one in group:
            async with at_once, self._means.slots:
                time_left = one.leased_until - self._means.clock()
                if self._is_gone or time_left < self._means.options.send_seconds:
                    is_order_broken = True  # given back with all that is left
                    continue
                if one.is_end and is_order_broken:
                    outcome, took_ms = _WAITS, 0
                else:
                    outcome, took_ms = await self._try(one, sender)
                state = await self._settle(one, outcome, took_ms)
            taken += outcome.is_taken
            is_order_broken |= state == "pending"
        return taken

    async def _try(self, one: Claimed, sender: Sender | Outcome) -> tuple[Outcome, int]:
        """What came of one try, and its milliseconds."""
        if isinstance(sender, Outcome):
            return sender, 0
        began = time.monotonic()
        outcome = await sender.send(Outgoing(one.id, one.body, int(self._means.clock())))
        took = time.monotonic() - began
        block_at = _block_timestamp(one.body)
        if outcome.is_taken and one.attempts == 0 and block_at is not None and one.body.get("type") in _NEWS:
            self._means.metrics.latency.labels(self._channel.kind).observe(max(0.0, self._means.clock() - block_at))
        return outcome, round(took * 1000)

    async def _settle(self, one: Claimed, outcome: Outcome, took_ms: int) -> str:
        """Write down what came of a try; the state the message is in then."""
        now = int(self._means.clock())
        settled = self._judge(one, outcome, now)
        attempt = Attempt(one.id, now, took_ms, outcome.status, outcome.error)
        options = self._means.options
        for tries_left in reversed(range(options.settle_tries)):
            try:
                async with self._means.database.write() as session:
                    await settle(session, settled, attempt)
                    if outcome.is_gone and await disable_channel(session, self._channel.id, str(outcome.error)):
                        log.warning("channel=%d disabled reason=%r", self._channel.id, outcome.error)
                break
            except Retryable:
                if not tries_left:
                    raise
                await asyncio.sleep(options.first_pause_seconds)
        del self.left[one.id]
        self._is_gone |= outcome.is_gone
        self._note(one, outcome, settled.state)
        return settled.state

    def _judge(self, one: Claimed, outcome: Outcome, now: int) -> Settled:
        """The state an outcome leads to, and when the next try is."""
        if outcome.is_taken:
            return Settled(one.id, one.leased_until, "delivered", counts=True, send_after=None)
        if outcome.is_gone or not self._channel.is_enabled:
            return Settled(one.id, one.leased_until, "dead", counts=True, send_after=None)
        if not one.is_due:
            return Settled(one.id, one.leased_until, "pending", counts=False, send_after=None)
        gap = next_gap_seconds(one.attempts + 1, outcome.retry_after_seconds, self._means.chance)
        if gap is None:
            return Settled(one.id, one.leased_until, "dead", counts=True, send_after=None)
        return Settled(one.id, one.leased_until, "pending", counts=True, send_after=now + gap)

    def _note(self, one: Claimed, outcome: Outcome, state: str) -> None:
        said = {"pending": "retried"}.get(state, state)
        self._means.metrics.deliveries.labels(self._channel.kind, said).inc()
        level = logging.INFO if outcome.is_taken else logging.WARNING
        log.log(level, "channel=%d message=%s outcome=%s status=%s", self._channel.id, one.id, said, outcome.status)


def _block_timestamp(body: Mapping[str, object]) -> int | None:
    """Of the block a message's numbers are of."""
    data = body.get("data")
    as_of = data.get("as_of") if isinstance(data, Mapping) else None
    found = as_of.get("block_timestamp") if isinstance(as_of, Mapping) else None
    return found if isinstance(found, int) else None
