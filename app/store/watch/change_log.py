"""Who changed what: one line a change, written in the change's own transaction.

`changing` is the one way in which the API and the command line change what is watched and told: no such change is
without its line, and no line is of a change that was not made.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, Integer, Text, bindparam, insert, or_, select
from sqlalchemy.dialects.postgresql import JSONB

from app.store.postgres.engine import Database
from app.store.postgres.session import Query, ReadSession, WriteSession
from app.store.tables.watch import change_log

Detail: TypeAlias = Mapping[str, str | int | bool | list[str] | None]
"""A few facts about a change, fit to be shown. Never a secret."""

CLI = "cli"
"""The actor of whoever changes something by command."""

_INSERT = Query(
    insert(change_log).values(
        {
            change_log.c.at: bindparam("now", type_=BigInteger),
            change_log.c.actor: bindparam("given_actor", type_=Text),
            change_log.c.action: bindparam("given_action", type_=Text),
            change_log.c.subject: bindparam("given_subject", type_=Text),
            change_log.c.detail: bindparam("given_detail", type_=JSONB),
        }
    )
)
_ACTOR = bindparam("actor", type_=Text)
_SUBJECT = bindparam("subject", type_=Text)
_BEFORE = bindparam("before", type_=BigInteger)
_PAGE = Query(
    select(
        change_log.c.id,
        change_log.c.at,
        change_log.c.actor,
        change_log.c.action,
        change_log.c.subject,
        change_log.c.detail,
    )
    .where(
        or_(_BEFORE.is_(None), change_log.c.id < _BEFORE),
        or_(_ACTOR.is_(None), change_log.c.actor == _ACTOR),
        or_(_SUBJECT.is_(None), change_log.c.subject == _SUBJECT),
    )
    .order_by(change_log.c.id.desc())
    .limit(bindparam("most", type_=Integer))
)


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the log."""

    id: int
    at: int
    actor: str
    """`cli`, or `key:` and the key's id and name."""
    action: str
    """What was done, such as `rule.create`."""
    subject: str
    """What it was done to, such as `watchlist:7`."""
    detail: Detail


@dataclass(slots=True)
class Changing:
    """A change under way."""

    session: WriteSession
    subject: str | None = None
    """Said before the transaction ends; None: nothing was changed, and nothing is logged."""
    detail: Detail = field(default_factory=dict)

    def note(self, subject: str, **detail: str | int | bool | list[str] | None) -> None:
        """Say what was changed, once it was."""
        self.subject = subject
        self.detail = detail


@asynccontextmanager
async def changing(database: Database, actor: str, action: str, now: int) -> AsyncIterator[Changing]:
    """One transaction that changes something, with its line in the log.

    Args:
        now: unix seconds.
    """
    async with database.write() as session:
        change = Changing(session)
        yield change
        if change.subject is not None:
            await session.run(
                _INSERT,
                now=now,
                given_actor=actor,
                given_action=action,
                given_subject=change.subject,
                given_detail=Jsonb(dict(change.detail)),
            )


async def load_changes(
    session: ReadSession,
    limit: int,
    *,
    before: int | None = None,
    actor: str | None = None,
    subject: str | None = None,
) -> list[Change]:
    """Lines of the log, the newest first: those below the id `before`, of one actor and of one subject where named."""
    rows = await session.rows(_PAGE, before=before, actor=actor, subject=subject, most=limit)
    return [Change(*row) for row in rows]
