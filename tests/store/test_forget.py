"""Forgetting what was told long ago: what anything still refers to stays, wherever a pass is stopped."""

from __future__ import annotations

from random import Random

import psycopg
import pytest
from sqlalchemy import insert

from app.domain.rules import MOST_COOLDOWN_SECONDS
from app.store.chains import ChainStatus, observe
from app.store.postgres.engine import Database
from app.store.postgres.session import WriteSession
from app.store.tables.chain import blocks
from app.store.tables.watch import (
    change_log,
    delivery_attempts,
    episode_events,
    episodes,
    outbox,
    watch_progress,
)
from app.store.watch.episode_steps import load_dropped
from app.store.watch.forget import BATCH_ROWS, SHORTEST_DAYS, Limits, Place, find_limits, forget_once, take_turn
from app.store.watch.outbox import load_delivery, replay
from tests.store.watch_rows import add_channel, add_list

pytestmark = pytest.mark.database

DAY = 86_400
NOW = 1_700_000_000
OLD, NEW = NOW - 400 * DAY, NOW - 100 * DAY
CHAIN = 1
DEPTH = 65
HEAD = 200


class Rows:
    """Writes rows as whoever evaluates and sends does, with whatever dates a test wants."""

    def __init__(self, session: WriteSession) -> None:
        self.session = session
        self.list_id = self.channel_id = 0
        self.block_ids: dict[int, int] = {}

    async def begin(self) -> Rows:
        """A list, a channel, a chain evaluated at block HEAD."""
        self.list_id, self.channel_id = await add_list(self.session), await add_channel(self.session)
        numbers = range(1, HEAD + 1)
        lines = [
            {"chain_id": CHAIN, "number": n, "hash": bytes(32), "parent_hash": bytes(32), "timestamp": n}
            for n in numbers
        ]
        made = await self.session.connection.execute(insert(blocks).returning(blocks.c.number, blocks.c.id), lines)
        self.block_ids = {row.number: row.id for row in made}
        await observe(self.session, ChainStatus(CHAIN, HEAD, None, HEAD, None, None, NOW))
        await self.session.connection.execute(
            insert(watch_progress).values(
                chain_id=CHAIN, block_id=self.block_ids[HEAD], block_number=HEAD, block_hash=HEAD.to_bytes(32),
                version=1, trail=[], evaluated_at=NOW,
            )
        )  # fmt: skip
        return self

    async def episode(self, *, closed_at: int | None = OLD, state: str = "cleared", chain_id: int = CHAIN) -> int:
        """One with no steps."""
        about = {"rule_name": "health", "metric": "health_factor", "subject": f"market:{self.list_id}"}
        dates = {"opened_at": OLD - DAY, "announced_at": OLD - DAY, "closed_at": closed_at}
        is_open = closed_at is None
        return await self._insert(
            episodes, watchlist_id=self.list_id, chain_id=chain_id, severity=2,
            state="open" if is_open else state, **about, **dates,
        )  # fmt: skip

    async def event(
        self, episode_id: int, kind: str = "opened", number: int | None = 10, *, block_id: int | None = None,
        chain_id: int = CHAIN, retracted_at: int | None = None,
    ) -> int:  # fmt: skip
        """A step; `number`: of the block it rests on."""
        place = {} if number is None else {
            "block_id": block_id or self.block_ids[number], "block_number": number, "block_hash": bytes(32),
            "block_timestamp": number,
        }  # fmt: skip
        return await self._insert(
            episode_events, episode_id=episode_id, kind=kind, severity=2, at=OLD, chain_id=chain_id,
            retracted_at=retracted_at, **place,
        )  # fmt: skip

    async def message(
        self, event_id: int | None, state: str = "delivered", at: int = OLD, delivered_at: int | None = None
    ) -> str:
        """A message with one try."""
        made = await self.session.connection.execute(
            insert(outbox)
            .values(
                id=f"msg_{len(state)}_{event_id}_{at}_{self._next()}", channel_id=self.channel_id, event_id=event_id,
                kind="episode.opened", dedup_key=f"{event_id}:{self._next()}", severity=2, body={}, state=state,
                created_at=at, send_after=at, delivered_at=delivered_at,
            )
            .returning(outbox.c.id)
        )  # fmt: skip
        id = str(made.scalar_one())
        await self._insert(delivery_attempts, message_id=id, at=at, took_ms=1)
        return id

    async def reminders(self, episode_id: int, states: list[str]) -> None:
        """As many steps that rest on no block, each with a message that stands so."""
        if not states:
            return
        step = {"episode_id": episode_id, "kind": "reminded", "severity": 2, "at": OLD, "chain_id": CHAIN}
        made = await self.session.connection.execute(
            insert(episode_events).returning(episode_events.c.id), [step] * len(states)
        )
        about = {"channel_id": self.channel_id, "kind": "episode.reminded", "severity": 2, "body": {}}
        about |= {"created_at": OLD, "send_after": OLD}
        messages = [
            {"id": f"msg_r{event_id}", "event_id": event_id, "dedup_key": f"r{event_id}", "state": state, **about}
            for (event_id,), state in zip(made, states, strict=True)
        ]
        await self.session.connection.execute(insert(outbox), messages)

    async def told(self, **about: object) -> int:
        """An old episode that opened and cleared, both told."""
        episode = await self.episode(**about)  # type: ignore[arg-type]
        for kind in ("opened", "cleared"):
            await self.message(await self.event(episode, kind))
        return episode

    async def change(self, at: int) -> int:
        """A line of the log of changes."""
        return await self._insert(change_log, at=at, actor="cli", action="rule.create", subject="watchlist:1")

    _numbers = 0

    def _next(self) -> int:
        Rows._numbers += 1
        return Rows._numbers

    async def _insert(self, table: object, **values: object) -> int:
        made = await self.session.connection.execute(insert(table).values(**values).returning(table.c.id))  # type: ignore[arg-type,attr-defined]
        return int(made.scalar_one())


async def limits_now(database: Database, now: int = NOW) -> Limits:
    async with database.read() as session:
        return await find_limits(session, now, 365 * DAY, 1000 * DAY)


async def forget_all(database: Database, limits: Limits) -> int:
    place: Place | None = Place()
    total = 0
    while place is not None:
        async with database.write() as session:
            place, dropped = await forget_once(session, limits, place)
        total += dropped
    return total


def stored(url: str, what: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute(f"SELECT id FROM {what} ORDER BY id".encode()).fetchall()]


def counts(url: str) -> dict[str, int]:
    names = ("episodes", "episode_events", "outbox", "delivery_attempts", "change_log")
    return {name: len(stored(url, name)) for name in names}


async def test_what_is_over_and_was_told_long_ago_goes_with_all_of_it(database: Database, database_url: str) -> None:
    async with database.write() as session:
        rows = await Rows(session).begin()
        await rows.told()
        await rows.told(state="retracted")
        await rows.message(None, "delivered")
        await rows.message(None, "cancelled")
        await rows.change(NOW - 1001 * DAY)
    assert await forget_all(database, await limits_now(database)) > 0
    assert not any(counts(database_url).values())


async def test_whatever_an_episode_is_still_needed_for_keeps_all_of_it(database: Database, database_url: str) -> None:
    async with database.write() as session:
        rows = await Rows(session).begin()
        kept = {}
        kept["open"] = await rows.told(closed_at=None)
        kept["ended lately"] = await rows.told(closed_at=NEW)
        for state in ("pending", "dead"):
            kept[state] = await rows.told()
            await rows.message(await rows.event(kept[state], "reminded", None), state)
        kept["told lately"] = await rows.told()
        await rows.message(await rows.event(kept["told lately"], "reminded", None), "delivered", OLD, NEW)
        kept["not final"] = await rows.told()
        await rows.event(kept["not final"], "cleared", HEAD - DEPTH + 1)
        kept["to be taken back"] = await rows.told()
        await rows.event(kept["to be taken back"], "cleared", 10, block_id=99_999_999)
        kept["of a chain nobody evaluates"] = await rows.told(chain_id=10)
        await rows.event(kept["of a chain nobody evaluates"], "cleared", 10, chain_id=10)
        gone = [await rows.told()]
        gone.append(await rows.told())
        await rows.event(gone[-1], "escalated", HEAD - DEPTH)
        gone.append(await rows.told())
        await rows.event(gone[-1], "escalated", 10, block_id=99_999_999, retracted_at=OLD)
        for state in ("pending", "dead"):
            await rows.message(None, state)
        await rows.message(None, "delivered", OLD, NEW)
        lately = await rows.change(NOW - 999 * DAY)
    before = counts(database_url)
    await forget_all(database, await limits_now(database))
    assert stored(database_url, "episodes") == sorted(kept.values()), kept
    assert stored(database_url, "change_log") == [lately]
    after = counts(database_url)
    assert after["episode_events"] == before["episode_events"] - 8
    assert after["outbox"] == before["outbox"] - 6 == after["delivery_attempts"]
    async with database.read() as session:
        (due,) = await load_dropped(session, CHAIN, -1)
    assert due.episode.id == kept["to be taken back"]


async def test_a_chain_whose_newest_evaluation_was_replaced_keeps_everything(
    database: Database, database_url: str
) -> None:
    async with database.write() as session:
        rows = await Rows(session).begin()
        await rows.told()
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM blocks WHERE number = %s", (HEAD,))
    assert await forget_all(database, await limits_now(database)) == 0


async def test_a_message_that_could_not_be_delivered_can_be_replayed_however_old(
    database: Database, database_url: str
) -> None:
    async with database.write() as session:
        rows = await Rows(session).begin()
        episode = await rows.told()
        dead = await rows.message(await rows.event(episode, "reminded", None), "dead")
    await forget_all(database, await limits_now(database))
    async with database.write() as session:
        assert await replay(session, dead, NOW)
        found = await load_delivery(session, dead)
        assert found is not None
        assert found.episode_id == episode


@pytest.mark.parametrize("seed", range(3))
async def test_a_pass_may_be_killed_anywhere_and_begun_again(database: Database, database_url: str, seed: int) -> None:
    dice = Random(seed)
    async with database.write() as session:
        rows = await Rows(session).begin()
        kept = []
        for _ in range(40):
            closed_at = dice.choice((OLD, OLD, NEW, None))
            episode = await rows.told(closed_at=closed_at)
            reminders = 400 if dice.random() < 0.1 else dice.randrange(3)
            states = [dice.choice(("delivered",) * 30 + ("dead", "cancelled")) for _ in range(reminders)]
            await rows.reminders(episode, states)
            if closed_at != OLD or "dead" in states:
                kept.append(episode)
    limits = await limits_now(database)
    whole = {id: _of(database_url, id) for id in kept}
    for _ in range(12):
        place: Place | None = Place()
        try:
            while place is not None:
                async with database.write() as session:
                    place, dropped = await forget_once(session, limits, place)
                    assert dropped <= 3 * BATCH_ROWS
                    if dice.random() < 0.3:
                        raise ConnectionError  # the process ends here: the transaction is rolled back
        except ConnectionError:
            continue
        break
    await forget_all(database, limits)
    assert stored(database_url, "episodes") == sorted(kept)
    assert {id: _of(database_url, id) for id in kept} == whole
    assert await forget_all(database, limits) == 0


def _of(url: str, episode_id: int) -> tuple[int, int]:
    """Steps of an episode, and messages about them."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT count(DISTINCT e.id), count(o.id) FROM episode_events e LEFT JOIN outbox o ON o.event_id = e.id"
            " WHERE e.episode_id = %s",
            (episode_id,),
        ).fetchall()[0]


async def test_what_somebody_holds_is_passed_over_and_not_waited_for(database: Database, database_url: str) -> None:
    async with database.write() as session:
        rows = await Rows(session).begin()
        held, free = await rows.told(), await rows.told()
    limits = await limits_now(database)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "SELECT o.id FROM outbox o JOIN episode_events e ON e.id = o.event_id WHERE e.episode_id = %s FOR UPDATE",
            (held,),
        )
        await forget_all(database, limits)
        assert stored(database_url, "episodes") == [held], free
        connection.rollback()
        connection.execute("SELECT id FROM episodes WHERE id = %s FOR UPDATE", (held,))
        await forget_all(database, limits)
        assert stored(database_url, "episodes") == [held]
    await forget_all(database, limits)
    assert stored(database_url, "episodes") == []


async def test_one_process_at_a_time_takes_a_step(database: Database) -> None:
    async with database.write() as one, database.write() as other:
        assert await take_turn(one)
        assert not await take_turn(other)
    async with database.write() as other:
        assert await take_turn(other)


async def test_a_clock_set_forward_makes_nothing_old(database: Database) -> None:
    assert (await limits_now(database, NOW)).told_before == NOW - 365 * DAY
    ahead = await limits_now(database, 10**11)
    assert ahead.told_before < 10**10


def test_no_limit_is_nearer_than_a_cool_down_looks_back() -> None:
    assert MOST_COOLDOWN_SECONDS < SHORTEST_DAYS * DAY
