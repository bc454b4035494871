"""A count of changes of lists, members and rules: whoever evaluates reads them again only when it has moved."""

from __future__ import annotations

from sqlalchemy import literal_column, select
from sqlalchemy.dialects.postgresql import insert

from app.store.postgres.session import Query, ReadSession, WriteSession
from app.store.tables.watch import watch_version

_first = insert(watch_version).values(id=literal_column("1"), version=literal_column("1"))
_BUMP = Query(
    _first.on_conflict_do_update(index_elements=["id"], set_={"version": watch_version.c.version + literal_column("1")})
)
_VERSION = Query(select(watch_version.c.version))


async def load_watch_version(session: ReadSession) -> int:
    """How many changes there were; 0 before the first."""
    rows = await session.rows(_VERSION)
    return int(rows[0][0]) if rows else 0


async def bump_watch_version(session: WriteSession) -> None:
    """Count a change. Done first in its transaction: it makes everybody who changes lists take turns, so that what
    is checked after it stays so until the transaction ends."""
    await session.run(_BUMP)
