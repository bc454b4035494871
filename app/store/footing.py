"""What a chain's only writer stands on when it commits a block: its right to, its cursor, and what it looked up before.

All of it is checked inside the transaction that commits, in the round trip that is made anyway. States of accounts and
ids of markets change with the chain's blocks alone: what was looked up at a cursor holds as long as that is the head.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Integer, Text, bindparam, cast, column, literal_column, select, table

from app.domain.account import AccountKey
from app.errors import Retryable
from app.store.deployments import ask_known
from app.store.postgres.engine import Asked, Database, Query, Row
from app.store.postgres.locks import AdvisoryLock, LockLost
from app.store.states import ask_newest

_locks = table(
    "pg_locks",
    *(column(name, Integer) for name in ("classid", "objid", "pid")),
    column("objsubid", Integer),
    column("locktype", Text),
    column("granted"),
)
_HELD = Query(
    # Postgres shows the two halves of a lock's number as unsigned numbers, and 1 beside numbers of 64 bits.
    select(literal_column("1", Integer)).where(
        _locks.c.locktype == literal_column("'advisory'", Text),
        _locks.c.pid == bindparam("pid", type_=Integer),
        cast(_locks.c.classid, BigInteger) == bindparam("high", type_=BigInteger),
        cast(_locks.c.objid, BigInteger) == bindparam("low", type_=BigInteger),
        _locks.c.objsubid == literal_column("1", Integer),
        _locks.c.granted,
    )
)


class CursorMoved(Retryable):
    """The store is not where its writer left it: somebody else wrote, or a commit's outcome was misjudged."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the store said at a cursor."""

    keys: frozenset[AccountKey] = frozenset()
    """Accounts whose newest states were asked for."""
    state_rows: Sequence[Row] = ()
    """What `ask_newest` gave for them."""
    slugs: frozenset[str] = frozenset()
    """Deployments whose ids were asked for."""
    deployment_rows: Sequence[Row] = ()
    """What `ask_known` gave for them."""


NOTHING_KNOWN = Known()


@dataclass(frozen=True, slots=True)
class Footing:
    """The right to write after one stored block."""

    lock: AdvisoryLock
    cursor_id: int | None
    """The newest stored block; None: there is none."""
    known: Known = NOTHING_KNOWN
    """As of that block."""

    def ask_held(self) -> Asked:
        """The query whether the server still holds the lock for us: one row, or none."""
        key = self.lock.key & (1 << 64) - 1
        return _HELD, {"pid": self.lock.server_pid, "high": key >> 32, "low": key & (1 << 32) - 1}

    def require(self, held_rows: Sequence[Row], head_id: int | None) -> None:
        """Make sure of both.

        Raises:
            LockLost: the lock is not ours any more.
            CursorMoved: the newest stored block is another one.
        """
        if not held_rows:
            raise LockLost(f"lost the lock {self.lock.name}: the server does not hold it any more")
        if head_id != self.cursor_id:
            raise CursorMoved("the store moved under its writer")


async def load_known(database: Database, slugs: Collection[str], keys: Collection[AccountKey]) -> Known:
    """Look up what committing a block that reads these accounts of these deployments will need."""
    keys, slugs = tuple(keys), frozenset(slugs)  # of views that change meanwhile only what is asked for is known
    async with database.alone() as session:
        states, ids = await session.rows_of_all(ask_newest(keys), ask_known(sorted(slugs)))
    return Known(frozenset(keys), states, slugs, ids)
