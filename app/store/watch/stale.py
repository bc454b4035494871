"""Messages that are not worth sending any more: what quiet hours held back until its episode was over."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import BigInteger, bindparam, or_, select, update
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.selectable import FromClause

from app.domain.watch import EventKind
from app.store.postgres.session import Asked, Query
from app.store.tables.watch import episode_events, episodes, outbox

ENDS = (EventKind.CLEARED.value, EventKind.RETRACTED.value)
"""Steps that tell of an episode's end, or that something was not so."""
_TELLS = (EventKind.OPENED.value, EventKind.ESCALATED.value, EventKind.REMINDED.value)
ENDED_BEFORE = "the episode ended before it was told of"

_NOW = bindparam("now", type_=BigInteger)


def stale(now: int) -> list[Asked]:
    """The statements that cancel what is not to be told any more."""
    return [(_CANCEL_LATE, {"now": now}), (_CANCEL_ENDS, {"now": now})]


def is_one_of(column: ColumnElement[str], kinds: Collection[str]) -> ColumnElement[bool]:
    """Whether a step is of one of these kinds."""
    return or_(*(column == kind for kind in kinds))


def other(
    name: str, kinds: Collection[str] | None = None
) -> tuple[FromClause, FromClause, tuple[ColumnElement[bool], ...]]:
    """Another message to the same channel about the same episode as the row of `outbox` joined to `episode_events`, the
    step it tells of, and what makes them so."""
    message, event = outbox.alias(name), episode_events.alias(f"{name}_event")
    same = (
        message.c.channel_id == outbox.c.channel_id,
        event.c.id == message.c.event_id,
        event.c.episode_id == episode_events.c.episode_id,
    )
    return message, event, (*same, is_one_of(event.c.kind, kinds)) if kinds is not None else same


_ended = (
    outbox.c.event_id == episode_events.c.id,
    episodes.c.id == episode_events.c.episode_id,
    episodes.c.state != "open",
    outbox.c.state == "pending",
    outbox.c.attempts == 0,
    outbox.c.leased_until.is_(None),
)
_end, _, _is_end_of_it = other("ending", ENDS)
_CANCEL_LATE = Query(
    # What quiet hours held back is not told any more once the episode is over, or its end is about to be told.
    update(outbox)
    .where(
        *_ended,
        is_one_of(episode_events.c.kind, _TELLS),
        outbox.c.send_after > outbox.c.created_at,
        or_(
            outbox.c.send_after <= _NOW,
            select(_end.c.id).where(*_is_end_of_it, _end.c.state == "pending", _end.c.send_after <= _NOW).exists(),
        ),
    )
    .values(state="cancelled", last_error=ENDED_BEFORE)
)
_tells, _, _tells_of_it = other("telling", _TELLS)
_CANCEL_ENDS = Query(
    # The end of what was never told is not told either.
    update(outbox)
    .where(
        *_ended,
        is_one_of(episode_events.c.kind, ENDS),
        select(_tells.c.id).where(*_tells_of_it, _tells.c.state == "cancelled").exists(),
        ~select(_tells.c.id).where(*_tells_of_it, _tells.c.state != "cancelled").exists(),
    )
    .values(state="cancelled", last_error=ENDED_BEFORE)
)
