"""The outbox as whoever sends sees it: messages are claimed with a lease, tried, and settled.

Several processes may send at once. A claim takes what is due and nobody holds; the lease of a process that died ends by
itself, and another sends again what that one held. Claims take turns, so that none sees half of another's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Integer, Text, bindparam, case, func, insert, null, select, union, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.domain.watch import Severity
from app.store.postgres.locks import lock_key
from app.store.postgres.session import Query, ReadSession, Row, WriteSession
from app.store.tables.watch import channels, delivery_attempts, episode_events, outbox
from app.store.watch.channels import Channel
from app.store.watch.outbox import Attempt, Body
from app.store.watch.stale import ENDS, is_one_of, other, stale

_MOST_DUE = 500


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message this process may send until its lease ends."""

    id: str
    kind: str
    severity: Severity
    body: Body
    attempts: int
    """Made before."""
    created_at: int
    is_due: bool
    """False: sent again early, because the end of its episode must not be told before it."""
    episode_id: int | None
    is_end: bool
    """Whether it tells of an episode's end: then it waits for what was to be told before it."""
    leased_until: int
    channel: Channel


@dataclass(frozen=True, slots=True)
class Settled:
    """What becomes of a claimed message after a try."""

    message_id: str
    leased_until: int
    state: str
    """delivered, dead, or pending: to be tried again."""
    counts: bool
    """Whether it was one of the tries there are."""
    send_after: int | None
    """Of a pending one; None: as it was."""


_NOW = bindparam("now", type_=BigInteger)
_BUSY = bindparam("busy", type_=ARRAY(BigInteger))
_ONLY = bindparam("only", type_=Text)
_LEASE = bindparam("lease", type_=BigInteger)
_TURN = Query(select(func.pg_advisory_xact_lock(lock_key("claims of the outbox"))))


_IS_FREE = outbox.c.leased_until.is_(None) | (outbox.c.leased_until <= _NOW)


_held, _held_event, _held_of_it = other("held")
_due = (
    select(outbox.c.id, outbox.c.channel_id, outbox.c.created_at, outbox.c.event_id)
    .add_columns(episode_events.c.episode_id, episode_events.c.kind.label("step"))
    .select_from(outbox.outerjoin(episode_events, episode_events.c.id == outbox.c.event_id))
    .where(
        outbox.c.state == "pending",
        outbox.c.send_after <= _NOW,
        _IS_FREE,
        outbox.c.channel_id != func.all(_BUSY),
        _ONLY.is_(None) | (outbox.c.id == _ONLY),
        # An end waits while somebody else is telling what it ends.
        ~func.coalesce(is_one_of(episode_events.c.kind, ENDS), False)
        | ~select(_held.c.id)
        .where(*_held_of_it, _held.c.state == "pending", _held_event.c.id < outbox.c.event_id)
        .where(_held.c.leased_until > _NOW)
        .exists(),
    )
    .order_by(outbox.c.send_after)
    .limit(_MOST_DUE)
    .cte("due")
)
_ranked = select(
    _due.c.id,
    func.row_number()
    .over(partition_by=_due.c.channel_id, order_by=(_due.c.created_at, _due.c.event_id, _due.c.id))
    .label("place"),
).subquery("ranked")
_chosen = select(_ranked.c.id).where(_ranked.c.place <= bindparam("per_channel", type_=Integer)).cte("chosen")
_again = (
    # What waits for another try, and is to be told before an end that is due.
    select(outbox.c.id)
    .select_from(
        _due.join(_chosen, _chosen.c.id == _due.c.id)
        .join(episode_events, episode_events.c.episode_id == _due.c.episode_id)
        .join(outbox, outbox.c.event_id == episode_events.c.id)
    )
    .where(
        is_one_of(_due.c.step, ENDS),
        episode_events.c.id < _due.c.event_id,
        outbox.c.channel_id == _due.c.channel_id,
        outbox.c.state == "pending",
        outbox.c.attempts > 0,
        _IS_FREE,
    )
)
_locked = (
    select(outbox.c.id)
    .where(outbox.c.id.in_(union(select(_chosen.c.id), _again)), outbox.c.state == "pending", _IS_FREE)
    .with_for_update(skip_locked=True)
    .cte("locked")
)
_step = episode_events.alias("step")
_CLAIM = Query(
    update(outbox)
    .where(outbox.c.id == _locked.c.id, channels.c.id == outbox.c.channel_id)
    .values(leased_until=_LEASE)
    .returning(
        outbox.c.id,
        outbox.c.kind,
        outbox.c.severity,
        outbox.c.body,
        outbox.c.attempts,
        outbox.c.created_at,
        (outbox.c.send_after <= _NOW).label("is_due"),
        select(_step.c.episode_id).where(_step.c.id == outbox.c.event_id).scalar_subquery(),
        select(is_one_of(_step.c.kind, ENDS)).where(_step.c.id == outbox.c.event_id).scalar_subquery(),
        outbox.c.leased_until,
        outbox.c.event_id,
        *(channels.c[name] for name in ("id", "name", "kind", "settings", "secret")),
        *(channels.c[name] for name in ("is_enabled", "disabled_reason", "created_at")),
    )
)
_SENT_AFTER = bindparam("send_after", type_=BigInteger)
_STATE = bindparam("state", type_=Text)
_SETTLE = Query(
    update(outbox)
    .where(
        outbox.c.id == bindparam("message_id", type_=Text),
        outbox.c.state == "pending",
        # What was taken stays so, even if the lease ended meanwhile and somebody else has it.
        (outbox.c.leased_until == _LEASE) | (_STATE == "delivered"),
    )
    .values(
        state=_STATE,
        attempts=outbox.c.attempts + bindparam("counted", type_=Integer),
        send_after=func.coalesce(_SENT_AFTER, outbox.c.send_after),
        leased_until=null(),
        delivered_at=case((_STATE == "delivered", _NOW), else_=null()),
        last_error=bindparam("error", type_=Text),
    )
)
_NOTE = Query(
    insert(delivery_attempts).values(
        {name: bindparam(name) for name in ("message_id", "at", "took_ms", "status", "error")}
    )
)
_RELEASE = Query(
    update(outbox)
    .where(
        outbox.c.id == func.any(bindparam("message_ids", type_=ARRAY(Text))),
        outbox.c.state == "pending",
        outbox.c.leased_until == _LEASE,
    )
    .values(leased_until=null())
)
_WAITING = Query(
    select(func.min(func.greatest(outbox.c.send_after, func.coalesce(outbox.c.leased_until, 0))), func.count()).where(
        outbox.c.state == "pending"
    )
)


async def claim(
    session: WriteSession,
    now: int,
    *,
    lease_until: int,
    per_channel: int,
    busy: Collection[int] = (),
    only: str | None = None,
) -> list[Claimed]:
    """Take messages that are due, in the order they are to be sent in.

    What quiet hours held back while its episode ended is cancelled first, and the end of it with it.

    Args:
        lease_until: when others may take them.
        per_channel: at most so many of each channel (and what has to be told again before them).
        busy: channels that get nothing now.
        only: the id of the only message to take.
    """
    about = {"now": now, "busy": list(busy), "only": only, "per_channel": per_channel, "lease": lease_until}
    *_, rows = await session.rows_of_all((_TURN, {}), *stale(now), (_CLAIM, about))
    rows.sort(key=lambda row: (row[5], -1 if row[10] is None else row[10], row[0]))
    return [_claimed(row) for row in rows]


def _claimed(row: Row) -> Claimed:
    id, kind, severity, body, attempts, created_at, is_due, episode_id, is_end, lease, _, *channel = row
    return Claimed(
        id,
        kind,
        Severity(severity),
        body,
        attempts,
        created_at,
        is_due,
        episode_id,
        bool(is_end),
        lease,
        Channel(*channel),
    )


async def settle(session: WriteSession, settled: Settled, attempt: Attempt) -> bool:
    """Note a try and what came of it; False when the lease had ended and the message is not this process's any more."""
    await session.run(
        _NOTE,
        message_id=attempt.message_id,
        at=attempt.at,
        took_ms=attempt.took_ms,
        status=attempt.status,
        error=attempt.error,
    )
    changed = await session.run(
        _SETTLE,
        message_id=settled.message_id,
        lease=settled.leased_until,
        state=settled.state,
        counted=int(settled.counts),
        send_after=settled.send_after,
        now=attempt.at,
        error=attempt.error,
    )
    return changed > 0


async def release(session: WriteSession, claimed: Sequence[Claimed]) -> None:
    """Give back what was claimed and not tried."""
    by_lease: dict[int, list[str]] = {}
    for one in claimed:
        by_lease.setdefault(one.leased_until, []).append(one.id)
    for lease, ids in by_lease.items():
        await session.run(_RELEASE, message_ids=ids, lease=lease)


async def load_waiting(session: ReadSession) -> tuple[int | None, int]:
    """When the next message can be claimed (None: there is none), and how many wait."""
    ((next_due, waiting),) = await session.rows(_WAITING)
    return next_due, waiting
