"""A chain, a list, a channel and a clock that tests move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, insert, select, update

from app.alerts.timers import TimerOptions, Timers
from app.domain.chain import Address
from app.domain.watch import Member, Severity
from app.store.chains import ChainStatus, observe
from app.store.postgres.engine import Database
from app.store.tables.chain import blocks
from app.store.tables.watch import channels, episode_events, episodes, outbox, watch_progress
from app.store.watch.channels import NewRoute, store_route
from app.store.watch.episodes import Episode, StoredEvent, load_episodes, load_events
from app.store.watch.members import add_members
from app.store.watch.outbox import Delivery, load_deliveries
from app.store.watch.watchlists import create_list

CHAIN = 1
WALLET = Address(b"\x11" * 20)
START = 1_795_000_000


@dataclass
class World:
    """Everything is current at START."""

    database: Database
    options: TimerOptions = field(default_factory=TimerOptions)
    list_id: int = 0
    channel_id: int = 0
    number: int = 99

    async def begin(self, **route: Any) -> World:
        """A list with a wallet on CHAIN and a route to a channel."""
        async with self.database.write() as session:
            self.list_id = await create_list(session, "treasury", "", START - 10_000)
            await add_members(session, self.list_id, [Member(WALLET, CHAIN, "cold")], START)
            made = await session.connection.execute(
                insert(channels)
                .values(name="log", kind="stdout", settings={}, created_at=START)
                .returning(channels.c.id)
            )
            self.channel_id = int(made.scalar_one())
        await self.route(**route)
        await self.follow(START)
        return self

    async def route(self, **changes: Any) -> None:
        """The list's route, otherwise than it was."""
        async with self.database.write() as session:
            await store_route(session, NewRoute(self.list_id, self.channel_id, **changes))

    async def follow(self, now: int, *, evaluated: bool = True, trouble: str | None = None) -> None:
        """A block of now; the indexer is well, and the rules are evaluated at it."""
        async with self.database.write() as session:
            self.number += 1
            number = self.number
            hash_ = number.to_bytes(32, "big")
            values = {"chain_id": CHAIN, "number": number, "hash": hash_, "parent_hash": hash_, "timestamp": now}
            made = await session.connection.execute(insert(blocks).values(values).returning(blocks.c.id))
            block_id = int(made.scalar_one())
            await observe(session, ChainStatus(CHAIN, number, None, now, None, None, now, trouble))
            if evaluated:
                await session.connection.execute(delete(watch_progress).where(watch_progress.c.chain_id == CHAIN))
                await session.connection.execute(
                    insert(watch_progress).values(
                        chain_id=CHAIN, block_id=block_id, block_number=number, block_hash=hash_, version=1, trail=[],
                        evaluated_at=now,
                    )
                )  # fmt: skip

    async def be_alive(self, now: int, trouble: str | None = None) -> None:
        """The indexer says that it is there; no block comes."""
        async with self.database.write() as session:
            await observe(session, ChainStatus(CHAIN, None, None, None, None, None, now, trouble))

    async def open_episode(self, severity: Severity = Severity.CRITICAL, opened_at: int = START) -> int:
        """An announced episode of the wallet's health factor, told to the channel when it opened."""
        values = {
            "watchlist_id": self.list_id, "rule_name": "health", "metric": "health_factor", "chain_id": CHAIN,
            "subject": f"account:pool:0x{WALLET.hex()}:", "wallet": bytes(WALLET), "state": "open",
            "severity": int(severity), "opened_at": opened_at, "announced_at": opened_at,
        }  # fmt: skip
        async with self.database.write() as session:
            made = await session.connection.execute(insert(episodes).values(values).returning(episodes.c.id))
            episode_id = int(made.scalar_one())
            step = {
                "episode_id": episode_id, "kind": "opened", "severity": int(severity), "at": opened_at,
                "value": 10**18, "level": 105 * 10**16, "chain_id": CHAIN, "block_id": 1, "block_number": 100,
                "block_hash": b"\x01" * 32, "block_timestamp": opened_at,
            }  # fmt: skip
            made = await session.connection.execute(insert(episode_events).values(step).returning(episode_events.c.id))
            event_id = int(made.scalar_one())
            message = {
                "id": f"msg_{event_id}", "channel_id": self.channel_id, "event_id": event_id,
                "kind": "episode.opened", "dedup_key": f"{event_id}:{self.channel_id}", "severity": int(severity),
                "body": {}, "state": "delivered", "created_at": opened_at, "send_after": opened_at,
            }  # fmt: skip
            await session.connection.execute(insert(outbox).values(message))
        return episode_id

    async def turn(self, now: int, timers: Timers | None = None) -> None:
        """Do what is due."""
        if timers is not None:
            await timers.run_due(now)
            return
        async with Timers(self.database, self.options) as own:
            await own.run_due(now)

    async def deliver(self) -> None:
        """Everything in the outbox is sent."""
        async with self.database.write() as session:
            await session.connection.execute(update(outbox).values(state="delivered"))

    async def episodes(self) -> list[Episode]:
        """All of them, the oldest first."""
        async with self.database.read() as session:
            return (await load_episodes(session, limit=100))[::-1]

    async def events(self) -> list[StoredEvent]:
        """Steps of all episodes."""
        ids = [one.id for one in await self.episodes()]
        async with self.database.read() as session:
            return await load_events(session, ids)

    async def told(self, kind: str = "") -> list[Delivery]:
        """Messages of a kind that begins so, the oldest first."""
        async with self.database.read() as session:
            found = await load_deliveries(session, limit=100)
        return [one for one in reversed(found) if one.kind.startswith(kind)]

    async def count(self) -> int:
        """Messages in all."""
        async with self.database.read() as session:
            return len((await session.connection.execute(select(outbox.c.id))).all())


def kinds(events: Sequence[StoredEvent]) -> list[str]:
    """What happened, in order."""
    return [one.event.kind.value for one in events]
