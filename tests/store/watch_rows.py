"""Rows of watchlists, episodes and channels for tests of what comes after them."""

from __future__ import annotations

import itertools

from sqlalchemy import insert

from app.domain.watch import Severity
from app.store.postgres.session import WriteSession
from app.store.tables.watch import episode_events, episodes, watchlists
from app.store.watch.channels import NewChannel, store_channel
from app.store.watch.outbox import NewMessage

NOW = 1_000_000
_numbers = itertools.count(1)


async def add_list(session: WriteSession, name: str = "treasury") -> int:
    """An empty watchlist."""
    made = await session.connection.execute(
        insert(watchlists).values(name=name, created_at=NOW).returning(watchlists.c.id)
    )
    return int(made.scalar_one())


async def add_channel(session: WriteSession, name: str = "log", kind: str = "stdout") -> int:
    """A channel without settings."""
    return await store_channel(session, NewChannel(name, kind, {}), NOW)


async def add_episode(session: WriteSession, watchlist_id: int, state: str = "open") -> int:
    """An episode of a rule that is gone."""
    values = {
        "watchlist_id": watchlist_id,
        "rule_name": "health",
        "metric": "health_factor",
        "chain_id": 1,
        "subject": f"market:{next(_numbers)}",
        "state": state,
        "severity": 2,
        "opened_at": NOW,
    }
    made = await session.connection.execute(insert(episodes).values(values).returning(episodes.c.id))
    return int(made.scalar_one())


async def add_event(session: WriteSession, episode_id: int, kind: str = "opened") -> int:
    """A step of an episode, without numbers."""
    values = {"episode_id": episode_id, "kind": kind, "severity": 2, "at": NOW, "chain_id": 1}
    made = await session.connection.execute(insert(episode_events).values(values).returning(episode_events.c.id))
    return int(made.scalar_one())


def message(channel_id: int, event_id: int | None = None, *, key: str = "", send_after: int = NOW) -> NewMessage:
    """A message with an id and a key of its own."""
    number = next(_numbers)
    body = {"type": "episode.opened", "data": {"text": f"number {number}"}}
    return NewMessage(
        f"msg_{number:026}",
        channel_id,
        event_id,
        "episode.opened",
        key or f"key {number}",
        Severity.WARNING,
        body,
        send_after,
    )
