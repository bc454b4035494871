"""What a chain's only writer stands on when it commits a block: its right to, its cursor, and what it looked up before.

Right and cursor are checked by the transaction that commits, before anything else and without a round trip of their
own. States of accounts and ids of markets change with the chain's blocks alone: what was looked up at a cursor holds
as long as that is the head.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg.errors import DivisionByZero
from sqlalchemy import BigInteger, Integer, Text, and_, bindparam, cast, column, func, literal_column, select, table

from app.domain.account import AccountKey
from app.domain.chain import ChainId
from app.errors import Retryable
from app.store.blocks import StoredBlock
from app.store.names import Names
from app.store.postgres.engine import Asked, Database, Query, ReadSession, WriteSession
from app.store.postgres.locks import AdvisoryLock, LockLost
from app.store.states import KeyTuple, StoredState, ask_newest, key_tuple, newest_states
from app.store.tables.chain import blocks

_ONE = literal_column("1", Integer)
_locks = table(
    "pg_locks",
    *(column(name, Integer) for name in ("classid", "objid", "pid")),
    column("objsubid", Integer),
    column("locktype", Text),
    column("granted"),
)
_held = select(_ONE).where(
    # Postgres shows the two halves of a lock's number as unsigned numbers, and 1 beside numbers of 64 bits.
    _locks.c.locktype == literal_column("'advisory'", Text),
    _locks.c.pid == bindparam("pid", type_=Integer),
    cast(_locks.c.classid, BigInteger) == bindparam("high", type_=BigInteger),
    cast(_locks.c.objid, BigInteger) == bindparam("low", type_=BigInteger),
    _locks.c.objsubid == _ONE,
    _locks.c.granted,
)
_head_id = (
    select(blocks.c.id)
    .where(blocks.c.chain_id == bindparam("chain_id", type_=BigInteger))
    .order_by(blocks.c.number.desc())
    .limit(_ONE)
    .scalar_subquery()
)
_HELD = Query(_held)
_STANDS = Query(
    # Fails where it does not hold, and with it everything sent after it.
    select(
        _ONE.op("/")(
            cast(and_(_held.exists(), _head_id.is_not_distinct_from(bindparam("cursor_id", type_=BigInteger))), Integer)
        )
    )
)
# In a subquery the sequence is looked up once: done for each row that costs six times what the row does.
_sequence = select(literal_column("pg_get_serial_sequence('accounts', 'id')::regclass")).scalar_subquery()
_NEW_IDS = Query(
    select(func.nextval(_sequence, type_=BigInteger)).select_from(
        func.generate_series(_ONE, bindparam("count", type_=Integer))
    )
)


class CursorMoved(Retryable):
    """The store is not where its writer left it: somebody else wrote, or a commit's outcome was misjudged."""


class FootingLost(Retryable):
    """The lock or the cursor is not what it was: `Footing.why_lost` says which."""


class Known:
    """What the store said of some accounts at a cursor."""

    def __init__(self) -> None:
        self.states: dict[KeyTuple, StoredState] = {}
        """The newest state of each account asked for that has a row, or was given the id of its first."""
        self._asked: dict[KeyTuple, None] = {}

    async def look_up(self, session: ReadSession, keys: Collection[AccountKey]) -> None:
        """Ask for the newest states of those accounts not asked for yet."""
        new = [key for key in keys if key_tuple(key) not in self._asked]
        if new:
            query, parameters = ask_newest(new)
            self.states |= newest_states(await session.rows(query, **parameters))
            self._asked |= dict.fromkeys(map(key_tuple, new))

    def unseen(self) -> list[KeyTuple]:
        """Accounts asked for that have no row, and no id yet."""
        return [key for key in self._asked if key not in self.states]

    async def reserve_ids(self, session: WriteSession) -> None:
        """Take ids for those unseen. One that is not used in the end is lost."""
        if unseen := self.unseen():
            rows = await session.rows(_NEW_IDS, count=len(unseen))
            for key, (account_id,) in zip(unseen, rows, strict=True):
                self.states[key] = StoredState(account_id, is_new=True)


@dataclass(frozen=True, slots=True)
class Footing:
    """What is known of the store when a block is committed to it."""

    cursor: StoredBlock | None
    """The newest stored block; None: there is none."""
    names: Names
    """Of every deployment the block may speak of. Markets that the block brings are added."""
    known: Known
    """As of the cursor. Whatever the block needs besides is looked up."""
    lock: AdvisoryLock | None = None
    """The right to write after it. None: nobody else writes."""

    def ask_whether_it_stands(self, chain_id: ChainId) -> list[Asked]:
        """The query that fails the transaction, as `raising_lost` understands it, unless the server still holds the
        lock for us and the cursor is the newest block."""
        if self.lock is None:
            return []
        cursor_id = None if self.cursor is None else self.cursor.id
        return [(_STANDS, {**_lock_parameters(self.lock), "chain_id": chain_id, "cursor_id": cursor_id})]

    async def why_lost(self, database: Database) -> LockLost | CursorMoved:
        """What became of it."""
        if self.lock is not None and not await database.rows(_HELD, **_lock_parameters(self.lock)):
            return LockLost(f"lost the lock {self.lock.name}: the server does not hold it any more")
        return CursorMoved("the store moved under its writer")


@contextmanager
def raising_lost() -> Iterator[None]:
    """What a failed `ask_whether_it_stands` raises inside leaves as FootingLost."""
    try:
        yield
    except DivisionByZero as error:
        raise FootingLost("the lock is lost, or the store moved under its writer") from error


def _lock_parameters(lock: AdvisoryLock) -> dict[str, int]:
    key = lock.key & (1 << 64) - 1
    return {"pid": lock.server_pid, "high": key >> 32, "low": key & (1 << 32) - 1}
