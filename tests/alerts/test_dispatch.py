"""The loop that empties the outbox, on a real database, with receivers that fail in every way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import text, update

from app.alerts.destination import Policy
from app.alerts.dispatch import Dispatcher
from app.alerts.http import HttpClient
from app.alerts.kinds import SenderContext
from app.alerts.metrics import AlertMetrics
from app.alerts.options import DispatchOptions
from app.alerts.outcome import Outcome, Outgoing
from app.alerts.retry import GAPS_SECONDS
from app.alerts.vault import Vault
from app.errors import Refused
from app.store.postgres.engine import Database
from app.store.postgres.session import WriteSession
from app.store.tables.watch import episodes
from app.store.watch.channels import enable_channel, load_channel
from app.store.watch.outbox import Delivery, NewMessage, load_attempts, load_deliveries, replay, store_messages
from app.store.watch.sending import Claimed, claim, release
from tests.store.watch_rows import NOW, add_channel, add_episode, add_event, add_list, message

pytestmark = pytest.mark.database

TAKEN = Outcome(200)
DOWN = Outcome(500, "the receiver answered 500")


@dataclass
class Receiver:
    """Answers as told, and keeps the ids in the order they came in."""

    answers: dict[str, list[Outcome]] = field(default_factory=dict)
    always: Outcome = TAKEN
    got: list[str] = field(default_factory=list)
    wait: Callable[[], Awaitable[None]] | None = None
    under_way: int = 0
    most_under_way: int = 0

    async def send(self, outgoing: Outgoing) -> Outcome:
        self.got.append(outgoing.id)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.wait is not None:
                await self.wait()
        finally:
            self.under_way -= 1
        answers = self.answers.get(outgoing.id)
        return answers.pop(0) if answers else self.always


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


def dispatcher(database: Database, receiver: Receiver, clock: Clock | None = None, **options: Any) -> Dispatcher:
    context = SenderContext(HttpClient(Policy()), Vault())
    return Dispatcher(
        database,
        context,
        options=DispatchOptions(**options),
        make_sender=lambda _, __: receiver,
        clock=clock or Clock(),
        chance=lambda: 0.0,
    )


async def put(database: Database, *messages: NewMessage, now: int = NOW) -> list[str]:
    async with database.write() as session:
        await store_messages(session, messages, now)
    return [one.id for one in messages]


async def channel_of(database: Database, name: str = "log") -> int:
    async with database.write() as session:
        return await add_channel(session, name)


async def deliveries(database: Database) -> dict[str, Delivery]:
    async with database.read() as session:
        return {one.id: one for one in await load_deliveries(session, limit=1000)}


@dataclass
class Story:
    """An episode on one channel, told step by step."""

    database: Database
    channel: int
    episode: int

    async def tell(self, kind: str, at: int = NOW, send_after: int | None = None) -> str:
        async with self.database.write() as session:
            event = await add_event(session, self.episode, kind)
            new = message(self.channel, event, send_after=at if send_after is None else send_after)
            await store_messages(session, [new], at)
        return new.id

    async def end(self, state: str = "cleared") -> None:
        async with self.database.write() as session:
            await session.connection.execute(update(episodes).where(episodes.c.id == self.episode).values(state=state))


async def story(database: Database) -> Story:
    async with database.write() as session:
        watchlist, channel = await add_list(session), await add_channel(session, "story")
        return Story(database, channel, await add_episode(session, watchlist))


@asynccontextmanager
async def running(*dispatchers: Dispatcher) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one.run()) for one in dispatchers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for found in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(found, asyncio.CancelledError)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(120):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_what_is_due_is_sent_once_and_noted(database: Database) -> None:
    channel = await channel_of(database)
    sent, later = await put(database, message(channel), message(channel, send_after=NOW + 60))
    receiver = Receiver()
    sender = dispatcher(database, receiver)
    assert await sender.deliver_due(NOW) == 1
    assert await sender.deliver_due(NOW) == 0
    assert receiver.got == [sent]
    found = await deliveries(database)
    assert (found[sent].state, found[sent].attempts, found[sent].delivered_at) == ("delivered", 1, NOW)
    assert (found[later].state, found[later].attempts) == ("pending", 0)
    async with database.read() as session:
        (attempt,) = await load_attempts(session, [sent, later])
    assert (attempt.status, attempt.error, attempt.at) == (200, None, NOW)


async def test_a_running_dispatcher_hears_of_messages_and_of_what_comes_due(database: Database) -> None:
    channel = await channel_of(database)
    receiver, clock = Receiver(), Clock()
    (before,) = await put(database, message(channel))

    async def all_sent() -> bool:
        return all(one.state == "delivered" for one in (await deliveries(database)).values())

    async with running(dispatcher(database, receiver, clock, longest_sleep_seconds=60.0)):
        await until(all_sent)
        (heard,) = await put(database, message(channel))
        await until(all_sent)
    async with running(dispatcher(database, receiver, clock, longest_sleep_seconds=0.05)):
        (due,) = await put(database, message(channel, send_after=NOW + 5))
        clock.now += 5
        await until(all_sent)
    assert receiver.got == [before, heard, due]


async def test_retries_come_ever_more_seldom_and_end_after_a_day(database: Database) -> None:
    channel = await channel_of(database)
    (id,) = await put(database, message(channel))
    receiver, clock = Receiver(always=DOWN), Clock()
    sender = dispatcher(database, receiver, clock)
    gaps = []
    for _ in range(len(GAPS_SECONDS)):
        await sender.deliver_due(int(clock.now))
        found = (await deliveries(database))[id]
        assert (found.state, found.last_error) == ("pending", "the receiver answered 500")
        gaps.append(found.send_after - int(clock.now))
        clock.now = found.send_after - 1
        assert await sender.deliver_due(int(clock.now)) == 0, "not before its time"
        clock.now += 1
    assert gaps == list(GAPS_SECONDS)
    assert clock.now - NOW == pytest.approx(86_400, rel=0.02)
    await sender.deliver_due(int(clock.now))
    found = (await deliveries(database))[id]
    assert (found.state, found.attempts) == ("dead", len(GAPS_SECONDS) + 1)
    async with database.read() as session:
        assert len(await load_attempts(session, [id])) == len(GAPS_SECONDS) + 1
    async with database.write() as session:
        assert await replay(session, id, int(clock.now))
    receiver.always = TAKEN
    assert await sender.deliver_due(int(clock.now)) == 1
    assert set(receiver.got) == {id}, "the same id at each try"


async def test_the_receiver_may_ask_for_a_longer_pause_but_not_for_a_shorter_one(database: Database) -> None:
    channel = await channel_of(database)
    long, short = await put(database, message(channel), message(channel))
    answers = {long: [replace(DOWN, retry_after_seconds=900)], short: [replace(DOWN, retry_after_seconds=1)]}
    await dispatcher(database, Receiver(answers)).deliver_due(NOW)
    found = await deliveries(database)
    assert (found[long].send_after, found[short].send_after) == (NOW + 900, NOW + GAPS_SECONDS[0])


async def test_a_receiver_that_is_gone_disables_its_channel_only(database: Database) -> None:
    gone, other = await channel_of(database, "gone"), await channel_of(database, "other")
    first, second = await put(database, message(gone), message(gone))
    (third,) = await put(database, message(other))
    receiver = Receiver({first: [Outcome(410, "it answered 410", is_gone=True)]})
    sender = dispatcher(database, receiver, at_once=1)
    assert await sender.deliver_due(NOW) == 1
    found = await deliveries(database)
    assert [found[id].state for id in (first, second, third)] == ["dead", "dead", "delivered"]
    assert sorted(receiver.got) == sorted([first, third])
    async with database.write() as session:
        channel = await load_channel(session, gone)
        assert channel is not None
        assert (channel.is_enabled, channel.disabled_reason) == (False, "it answered 410")
        await store_messages(session, [message(gone, key="late")], NOW)
    await sender.deliver_due(NOW)
    (late,) = (one for one in (await deliveries(database)).values() if one.id not in (first, second, third))
    assert (late.state, late.last_error) == ("dead", "the channel is disabled: it answered 410")
    async with database.write() as session:
        await enable_channel(session, gone)
        for id in (first, second):
            assert await replay(session, id, NOW)
    assert await sender.deliver_due(NOW) == 2


async def test_several_dispatchers_send_each_message_once(database: Database) -> None:
    channels = [await channel_of(database, f"c{number}") for number in range(4)]
    ids = await put(database, *(message(channel) for channel in channels for _ in range(25)))
    receiver = Receiver(wait=lambda: asyncio.sleep(0))
    taken = await asyncio.gather(*(dispatcher(database, receiver).deliver_due(NOW) for _ in range(3)))
    assert sum(taken) == 100
    assert sorted(receiver.got) == sorted(ids)


async def test_a_channel_is_sent_to_a_few_at_a_time_and_does_not_hold_up_others(database: Database) -> None:
    stuck, other = await channel_of(database, "stuck"), await channel_of(database, "other")
    await put(database, *(message(stuck) for _ in range(20)))
    hanging, free = asyncio.Event(), Receiver()
    slow = Receiver(wait=lambda: hanging.wait())  # type: ignore[arg-type,return-value]
    sender = dispatcher(database, free)
    sender._means = replace(sender._means, make_sender=lambda one: slow if one.id == stuck else free)

    async def is_sent() -> bool:
        return len(free.got) == 30

    async with running(sender):
        await put(database, *(message(other) for _ in range(30)))
        await until(is_sent)
        assert (len(slow.got), slow.most_under_way) == (4, 4)
        hanging.set()


async def test_what_a_killed_dispatcher_held_is_sent_by_another_when_its_lease_ends(database: Database) -> None:
    channel = await channel_of(database)
    (id,) = await put(database, message(channel))
    async with database.write() as session:
        (held,) = await claim(session, NOW, lease_until=NOW + 60, per_channel=8)
    assert held.id == id
    receiver = Receiver()
    for now, taken in ((NOW, 0), (NOW + 59, 0), (NOW + 60, 1)):
        assert await dispatcher(database, receiver, Clock(now)).deliver_due(now) == taken


async def test_a_dispatcher_that_is_ended_gives_back_what_it_did_not_send(database: Database) -> None:
    channel = await channel_of(database)
    ids = await put(database, *(message(channel) for _ in range(3)))
    hanging = asyncio.Event()
    receiver = Receiver(wait=lambda: hanging.wait())  # type: ignore[arg-type,return-value]

    async def all_under_way() -> bool:
        return len(receiver.got) == 3

    async with running(dispatcher(database, receiver)):
        await until(all_under_way)
    again = Receiver()
    assert await dispatcher(database, again).deliver_due(NOW) == 3
    assert sorted(again.got) == sorted(ids)


async def test_a_try_is_not_begun_on_the_last_of_a_lease(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    channel, clock = await channel_of(database), Clock()
    first, second = await put(database, message(channel), message(channel))
    given_back: list[list[str]] = []

    async def pass_time() -> None:
        clock.now += 50

    async def noted(session: WriteSession, claimed: Sequence[Claimed]) -> None:
        given_back.append([one.id for one in claimed])
        await release(session, claimed)

    monkeypatch.setattr("app.alerts.dispatch.release", noted)
    receiver = Receiver(wait=pass_time)
    assert await dispatcher(database, receiver, clock, at_once=1).deliver_due(NOW) == 2
    assert receiver.got == [first, second]
    assert given_back == [[second]], "claimed anew, with a whole lease"


async def test_a_dispatcher_goes_on_when_the_database_drops_its_connections(
    database: Database, database_url: str
) -> None:
    channel = await channel_of(database)
    receiver, own = Receiver(), Database(database_url, role="dropped")

    async def all_sent() -> bool:
        return all(one.state == "delivered" for one in (await deliveries(database)).values())

    async with running(dispatcher(own, receiver, first_pause_seconds=0.01)):
        await put(database, message(channel))
        await until(all_sent)
        async with database.write() as session:
            await session.connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dropped'")
            )
        await put(database, message(channel))
        await until(all_sent)
    await own.dispose()
    assert len(receiver.got) == 2


async def test_messages_of_an_episode_go_one_after_the_other(database: Database) -> None:
    told = await story(database)
    ids = [await told.tell(kind) for kind in ("opened", "escalated", "cleared")]
    receiver = Receiver(wait=lambda: asyncio.sleep(0))
    assert await dispatcher(database, receiver).deliver_due(NOW) == 3
    assert receiver.got == ids
    assert receiver.most_under_way == 1


async def test_bad_news_does_not_wait_and_the_end_does(database: Database) -> None:
    told = await story(database)
    opened, escalated, cleared = [await told.tell(kind) for kind in ("opened", "escalated", "cleared")]
    receiver, clock = Receiver({opened: [DOWN]}), Clock()
    sender = dispatcher(database, receiver, clock)
    assert await sender.deliver_due(NOW) == 1
    assert receiver.got == [opened, escalated]
    found = await deliveries(database)
    assert (found[cleared].state, found[cleared].attempts) == ("pending", 1)
    assert "earlier message" in str(found[cleared].last_error)
    clock.now += 5
    assert await sender.deliver_due(int(clock.now)) == 2
    assert receiver.got == [opened, escalated, opened, cleared]


async def test_an_end_that_is_due_brings_what_waits_before_it_along(database: Database) -> None:
    told = await story(database)
    opened = await told.tell("opened")
    receiver, clock = Receiver({opened: [DOWN, DOWN, DOWN]}), Clock()
    sender = dispatcher(database, receiver, clock)
    for _ in range(2):
        await sender.deliver_due(int(clock.now))
        clock.now = (await deliveries(database))[opened].send_after
    clock.now -= 10
    cleared = await told.tell("cleared", int(clock.now))
    await sender.deliver_due(int(clock.now))
    found = await deliveries(database)
    assert receiver.got == [opened] * 3
    assert (found[opened].attempts, found[opened].send_after) == (2, clock.now + 10), "an early try is not counted"
    clock.now = found[cleared].send_after
    assert await sender.deliver_due(int(clock.now)) == 2
    assert receiver.got == [*[opened] * 4, cleared]


async def test_an_end_waits_while_another_dispatcher_tells_what_it_ends(database: Database) -> None:
    told = await story(database)
    await told.tell("opened")
    async with database.write() as session:
        assert len(await claim(session, NOW, lease_until=NOW + 60, per_channel=8)) == 1
    cleared = await told.tell("cleared")
    receiver = Receiver()
    assert await dispatcher(database, receiver).deliver_due(NOW) == 0
    assert await dispatcher(database, receiver, Clock(NOW + 60)).deliver_due(NOW + 60) == 2
    assert receiver.got[-1] == cleared


async def test_what_quiet_hours_held_back_is_not_told_once_its_episode_is_over(database: Database) -> None:
    told = await story(database)
    late = NOW + 3600
    ids = [await told.tell("opened", send_after=late), await told.tell("cleared", send_after=late)]
    await told.end()
    receiver, clock = Receiver(), Clock(late)
    assert await dispatcher(database, receiver, clock).deliver_due(late) == 0
    found = await deliveries(database)
    assert {found[id].state for id in ids} == {"cancelled"}
    assert "ended before" in str(found[ids[0]].last_error)


async def test_an_end_that_is_due_before_what_it_ends_takes_it_along(database: Database) -> None:
    told = await story(database)
    opened = await told.tell("opened", send_after=NOW + 3600)
    cleared = await told.tell("cleared")
    await told.end("retracted")
    receiver = Receiver()
    assert await dispatcher(database, receiver).deliver_due(NOW) == 0
    found = await deliveries(database)
    assert (found[opened].state, found[cleared].state) == ("cancelled", "cancelled")


async def test_what_was_told_in_quiet_hours_is_ended_too(database: Database) -> None:
    told = await story(database)
    late = NOW + 3600
    opened = await told.tell("opened", send_after=late)
    escalated = await told.tell("escalated")
    receiver, clock = Receiver(), Clock()
    assert await dispatcher(database, receiver, clock).deliver_due(NOW) == 1
    cleared = await told.tell("cleared", send_after=late)
    await told.end()
    clock.now = late
    assert await dispatcher(database, receiver, clock).deliver_due(late) == 1
    assert receiver.got == [escalated, cleared]
    assert (await deliveries(database))[opened].state == "cancelled"


async def test_what_is_still_open_when_quiet_hours_end_is_told(database: Database) -> None:
    told = await story(database)
    opened = await told.tell("opened", send_after=NOW + 3600)
    receiver = Receiver()
    assert await dispatcher(database, receiver, Clock(NOW + 3600)).deliver_due(NOW + 3600) == 1
    assert receiver.got == [opened]


async def test_what_waited_for_a_dispatcher_only_is_told_from_beginning_to_end(database: Database) -> None:
    told = await story(database)
    ids = [await told.tell("opened"), await told.tell("cleared")]
    await told.end()
    receiver = Receiver()
    assert await dispatcher(database, receiver, Clock(NOW + 60)).deliver_due(NOW + 60) == 2
    assert receiver.got == ids


async def test_a_channel_whose_secret_cannot_be_opened_is_tried_again_with_the_reason(database: Database) -> None:
    channel = await channel_of(database)
    (id,) = await put(database, message(channel))
    sender = dispatcher(database, Receiver())

    def refuse(_: object) -> Any:
        raise Refused("SECRETS_KEY is not set")

    sender._means = replace(sender._means, make_sender=refuse)
    assert await sender.deliver_due(NOW) == 0
    found = (await deliveries(database))[id]
    assert (found.state, found.last_error) == ("pending", "SECRETS_KEY is not set")


async def test_one_message_can_be_sent_alone(database: Database) -> None:
    channel = await channel_of(database)
    first, second = await put(database, message(channel), message(channel))
    receiver = Receiver()
    await dispatcher(database, receiver).deliver_one(second)
    assert receiver.got == [second]
    assert (await deliveries(database))[first].state == "pending"


async def test_what_prometheus_is_told_names_kinds_and_outcomes_only(database: Database) -> None:
    channel = await channel_of(database)
    body = {"type": "episode.opened", "data": {"as_of": {"block_timestamp": NOW - 3}}}
    first = replace(message(channel), body=body)
    (second,) = await put(database, message(channel))
    await put(database, first)
    metrics = AlertMetrics.private()
    sender = dispatcher(database, Receiver({second: [DOWN]}))
    sender._means = replace(sender._means, metrics=metrics)
    await sender.deliver_due(NOW)
    samples = {
        (one.name, *one.labels.values()): one.value
        for family in (*metrics.deliveries.collect(), *metrics.latency.collect())
        for one in family.samples
    }
    assert samples["waterline_deliveries_total", "stdout", "delivered"] == 1
    assert samples["waterline_deliveries_total", "stdout", "retried"] == 1
    assert samples["waterline_alert_latency_seconds_sum", "stdout"] == 3
    assert samples["waterline_alert_latency_seconds_count", "stdout"] == 1
