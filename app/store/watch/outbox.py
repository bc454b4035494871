"""Messages to be sent, what became of each, and what was tried.

A message is written in the transaction that made what it tells of. From then on it belongs to whoever sends: it is
claimed with a lease (`app.store.watch.sending`), so that one whose sender died is sent by another. Sent at least once,
always under the same id.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from secrets import token_bytes
from typing import TypeAlias

from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, Integer, Text, bindparam, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from app.domain.watch import Severity
from app.store.postgres.session import Query, ReadSession, Row, WriteSession
from app.store.tables.watch import channels, delivery_attempts, episode_events, episodes, outbox

OUTBOX_CHANNEL = "outbox"
"""NOTIFY channel: how many messages a transaction added."""

Body: TypeAlias = Mapping[str, object]
"""A message as JSON, the same for every kind of channel."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to one channel."""

    id: str
    """"msg_" and 26 base32 characters: the webhook-id at each try."""
    channel_id: int
    event_id: int | None
    """The step of an episode it tells of; None: a digest, a test."""
    kind: str
    dedup_key: str
    """One message a key, ever: a second is not stored."""
    severity: Severity
    body: Body
    send_after: int
    """Unix seconds before which it is not sent."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message and what became of it."""

    id: str
    channel_id: int
    event_id: int | None
    kind: str
    severity: Severity
    body: Body
    state: str
    """pending, delivered, dead or cancelled."""
    attempts: int
    created_at: int
    send_after: int
    """Of a pending one: when it is tried (again)."""
    delivered_at: int | None
    last_error: str | None
    episode_id: int | None
    watchlist_id: int | None
    """Of the episode; None where the message is of none."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a message."""

    message_id: str
    at: int
    took_ms: int
    status: int | None
    """What the receiver answered, in its protocol's own numbers; None: nothing."""
    error: str | None
    """None: it was taken."""


_FIELDS = ("id", "event_id", "kind", "dedup_key", "severity", "body", "created_at", "send_after")
_ADD = Query(
    insert(outbox)
    .from_select(
        ["channel_id", "state", *_FIELDS],
        # A channel that is removed meanwhile is waited for, and gets nothing.
        select(channels.c.id, literal("pending"), *(bindparam(name, type_=outbox.c[name].type) for name in _FIELDS))
        .where(channels.c.id == bindparam("channel_id", type_=BigInteger))
        .with_for_update(read=True, key_share=True),
    )
    .on_conflict_do_nothing(index_elements=["dedup_key"])
    .returning(outbox.c.id)
)
_NOTIFY = Query(select(func.pg_notify(OUTBOX_CHANNEL, bindparam("payload"))))
_LIST = bindparam("watchlist_id", type_=BigInteger)
_CHANNEL = bindparam("channel_id", type_=BigInteger)
_STATE = bindparam("state", type_=Text)
_BEFORE_AT = bindparam("before_at", type_=BigInteger)
_BEFORE_ID = bindparam("before_id", type_=Text)
_FOUND = select(
    outbox.c.id,
    outbox.c.channel_id,
    outbox.c.event_id,
    outbox.c.kind,
    outbox.c.severity,
    outbox.c.body,
    outbox.c.state,
    outbox.c.attempts,
    outbox.c.created_at,
    outbox.c.send_after,
    outbox.c.delivered_at,
    outbox.c.last_error,
    episodes.c.id,
    episodes.c.watchlist_id,
).select_from(
    outbox.outerjoin(episode_events, episode_events.c.id == outbox.c.event_id).outerjoin(
        episodes, episodes.c.id == episode_events.c.episode_id
    )
)
_DELIVERIES = Query(
    _FOUND.where(
        _LIST.is_(None) | (episodes.c.watchlist_id == _LIST),
        _CHANNEL.is_(None) | (outbox.c.channel_id == _CHANNEL),
        _STATE.is_(None) | (outbox.c.state == _STATE),
        _BEFORE_AT.is_(None)
        | (outbox.c.created_at < _BEFORE_AT)
        | ((outbox.c.created_at == _BEFORE_AT) & (outbox.c.id < _BEFORE_ID)),
    )
    .order_by(outbox.c.created_at.desc(), outbox.c.id.desc())
    .limit(bindparam("most", type_=Integer))
)
_DELIVERY = Query(_FOUND.where(outbox.c.id == bindparam("message_id", type_=Text)))
_ATTEMPTS = Query(
    select(
        delivery_attempts.c.message_id,
        delivery_attempts.c.at,
        delivery_attempts.c.took_ms,
        delivery_attempts.c.status,
        delivery_attempts.c.error,
    )
    .where(delivery_attempts.c.message_id == func.any(bindparam("message_ids", type_=ARRAY(Text))))
    .order_by(delivery_attempts.c.id)
)
_REPLAY = Query(
    update(outbox)
    .where(outbox.c.id == bindparam("message_id"), outbox.c.state == "dead")
    .values(
        state="pending",
        attempts=0,
        leased_until=None,
        last_error=None,
        send_after=bindparam("now", type_=BigInteger),
    )
)


def new_message_id() -> str:
    """An id no other message has: "msg_" and 26 base32 characters, 130 random bits."""
    return "msg_" + b32encode(token_bytes(17)).decode()[:26].lower()


async def store_messages(session: WriteSession, messages: Sequence[NewMessage], now: int) -> int:
    """Put messages into the outbox, and wake whoever sends when this transaction commits; how many are new. One whose
    `dedup_key` is there already is left out, and so is one to a channel that is gone."""
    asked = [
        (
            _ADD,
            {
                "id": one.id,
                "channel_id": one.channel_id,
                "event_id": one.event_id,
                "kind": one.kind,
                "dedup_key": one.dedup_key,
                "severity": int(one.severity),
                "body": Jsonb(dict(one.body)),
                "created_at": now,
                "send_after": one.send_after,
            },
        )
        for one in messages
    ]
    added = sum(map(len, await session.rows_of_all(*asked))) if asked else 0
    if added:
        await session.rows(_NOTIFY, payload=str(added))
    return added


async def load_deliveries(
    session: ReadSession,
    *,
    watchlist_id: int | None = None,
    channel_id: int | None = None,
    state: str | None = None,
    before: tuple[int, str] | None = None,
    limit: int,
) -> list[Delivery]:
    """Messages, the newest first.

    Args:
        before: `(created_at, id)` of the last one seen; None: from the newest.
    """
    before_at, before_id = before or (None, None)
    rows = await session.rows(
        _DELIVERIES,
        watchlist_id=watchlist_id,
        channel_id=channel_id,
        state=state,
        before_at=before_at,
        before_id=before_id,
        most=limit,
    )
    return [_delivery(row) for row in rows]


async def load_delivery(session: ReadSession, message_id: str) -> Delivery | None:
    """One message by its id."""
    rows = await session.rows(_DELIVERY, message_id=message_id)
    return _delivery(rows[0]) if rows else None


async def load_attempts(session: ReadSession, message_ids: Sequence[str]) -> list[Attempt]:
    """Every try at these messages, in the order of the tries."""
    return [Attempt(*row) for row in await session.rows(_ATTEMPTS, message_ids=list(message_ids))]


async def replay(session: WriteSession, message_id: str, now: int) -> bool:
    """Try a dead message again from the beginning, under the same id; False when there is no dead one of that id."""
    if not await session.run(_REPLAY, message_id=message_id, now=now):
        return False
    await session.rows(_NOTIFY, payload="1")
    return True


def _delivery(row: Row) -> Delivery:
    id, channel_id, event_id, kind, severity, *rest = row
    return Delivery(id, channel_id, event_id, kind, Severity(severity), *rest)
