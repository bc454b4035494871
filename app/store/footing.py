"""What a chain's only writer stands on when it commits a block: its cursor, and what it looked up at it.

The cursor is checked by the transaction that commits, before anything else and without a round trip of its own; that
nobody else writes is what the connection of that transaction stands for (`AdvisoryLock.write`). States of accounts and
ids of markets change with the chain's blocks alone: what was looked up at a cursor holds as long as that is the head.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg.errors import DivisionByZero
from sqlalchemy import BigInteger, Integer, bindparam, cast, func, literal_column, select

from app.domain.account import AccountKey
from app.errors import Retryable
from app.store.blocks import StoredBlock
from app.store.names import Names
from app.store.postgres.session import Asked, Query, ReadSession, Row, WriteSession
from app.store.states import KeyTuple, StoredState, ask_newest, key_tuple, newest_states
from app.store.tables.chain import blocks

_ONE = literal_column("1", Integer)
_head_id = (
    select(blocks.c.id)
    .where(blocks.c.chain_id == bindparam("chain_id", type_=BigInteger))
    .order_by(blocks.c.number.desc())
    .limit(_ONE)
    .scalar_subquery()
)
IF_IT_STANDS = cast(_head_id.is_not_distinct_from(bindparam("cursor_id", type_=BigInteger)), Integer)
"""1 if the cursor is the newest block, else 0: to divide by it fails the transaction, and with it whatever was sent
after that."""
# In a subquery the sequence is looked up once: done for each row that costs six times what the row does.
_sequence = select(literal_column("pg_get_serial_sequence('accounts', 'id')::regclass")).scalar_subquery()
_NEW_IDS = Query(
    select(func.nextval(_sequence, type_=BigInteger)).select_from(
        func.generate_series(_ONE, bindparam("count", type_=Integer))
    )
)


class CursorMoved(Retryable):
    """The store is not where its writer left it: somebody else wrote, or a commit's outcome was misjudged."""


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

    async def name_unseen(self, session: WriteSession, spare_ids: list[int] | None = None) -> None:
        """Give the accounts asked for that have no row the ids of their first ones. Of `spare_ids` those that are used
        are taken away; where there are too few, others are fetched."""
        unseen = [key for key in self._asked if key not in self.states]
        ids = []
        if spare_ids is not None:
            ids = spare_ids[: len(unseen)]
            del spare_ids[: len(unseen)]
        if len(ids) < len(unseen):
            query, parameters = ask_new_ids(len(unseen) - len(ids))
            ids += new_ids(await session.rows(query, **parameters))
        for key, account_id in zip(unseen, ids, strict=True):
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
    spare_ids: list[int] | None = None
    """Ids for accounts that have no row yet, fetched with earlier blocks: then a new account takes no round trip. The
    commit takes what it needs, for good, and puts others in their place. What is left at the end is lost."""


def ask_new_ids(count: int) -> Asked:
    """The query for ids of accounts that nobody else will be given, whatever becomes of the transaction."""
    return _NEW_IDS, {"count": count}


def new_ids(rows: Sequence[Row]) -> list[int]:
    """The ids in the rows of `ask_new_ids`."""
    return [account_id for (account_id,) in rows]


@contextmanager
def raising_moved() -> Iterator[None]:
    """What a division by `IF_IT_STANDS` raises inside leaves as CursorMoved."""
    try:
        yield
    except DivisionByZero as error:
        raise CursorMoved("the store moved under its writer") from error
