"""Wallets somebody asked to have looked up: listed by whoever serves or commands, worked off by the indexers.

`TrackList` is the whole of what a serving process may write. It hands out no session: nothing else can be written
through it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Integer, bindparam, delete, func, literal_column, select, update
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, insert

from app.domain.chain import Address, ChainId
from app.store.blocks import StoredBlock
from app.store.postgres.engine import Database
from app.store.postgres.session import Query, ReadSession, WriteSession
from app.store.tables.chain import blocks
from app.store.tables.tracked import tracked_wallets

AGAIN_SECONDS = 600
"""A wallet that was looked up so long ago, or longer, is looked up again when asked for."""

_CHAIN = bindparam("chain_id", type_=BigInteger)
_WALLET = bindparam("wallet", type_=BYTEA)
_MOST = bindparam("most", type_=Integer)
_listed = select(func.count()).select_from(tracked_wallets).scalar_subquery()
_asked = (
    func.unnest(bindparam("chain_ids", type_=ARRAY(BigInteger)))
    .table_valued(named("chain_id", BigInteger), name="asked")
    .render_derived()
)
_add = insert(tracked_wallets).from_select(
    ["wallet", "chain_id", "asked_at"],
    select(_WALLET, _asked.c.chain_id, bindparam("now", type_=BigInteger)).where(_listed < _MOST),
)
_ADD = Query(
    _add.on_conflict_do_update(
        index_elements=["wallet", "chain_id"],
        set_={"asked_at": _add.excluded.asked_at, "read_at_block_id": None, "accounts_found": None},
        where=tracked_wallets.c.read_at_block_id.is_not(None)
        & (tracked_wallets.c.asked_at <= _add.excluded.asked_at - literal_column(str(AGAIN_SECONDS), BigInteger)),
    )
)
_oldest_done = (
    select(tracked_wallets.c.wallet, tracked_wallets.c.chain_id)
    .where(tracked_wallets.c.read_at_block_id.is_not(None))
    .order_by(tracked_wallets.c.asked_at)
    .limit(func.greatest(0, _listed - _MOST + bindparam("room", type_=Integer)))
    .subquery("oldest")
)
_MAKE_ROOM = Query(
    delete(tracked_wallets).where(
        tracked_wallets.c.wallet == _oldest_done.c.wallet, tracked_wallets.c.chain_id == _oldest_done.c.chain_id
    )
)
_OF_WALLET = Query(
    select(tracked_wallets.c.chain_id, tracked_wallets.c.asked_at, blocks.c.number, tracked_wallets.c.accounts_found)
    .select_from(tracked_wallets.outerjoin(blocks, blocks.c.id == tracked_wallets.c.read_at_block_id))
    .where(tracked_wallets.c.wallet == _WALLET)
    .order_by(tracked_wallets.c.chain_id)
)
_PENDING = Query(
    select(tracked_wallets.c.wallet)
    .where(tracked_wallets.c.chain_id == _CHAIN, tracked_wallets.c.read_at_block_id.is_(None))
    .order_by(tracked_wallets.c.asked_at)
    .limit(_MOST)
)
_NOTE = Query(
    update(tracked_wallets)
    .where(tracked_wallets.c.chain_id == _CHAIN, tracked_wallets.c.wallet == _WALLET)
    .values(read_at_block_id=bindparam("block_id", type_=BigInteger), accounts_found=bindparam("found", type_=Integer))
)


@dataclass(frozen=True, slots=True)
class TrackedWallet:
    """A wallet on one chain's list."""

    chain_id: ChainId
    asked_at: int
    looked_up_block: int | None
    """None while it waits for the next block."""
    accounts_found: int | None


class TrackList:
    """The list of wallets to look up: bounded, the oldest that are done make room for new ones."""

    def __init__(self, database: Database, most: int = 10_000) -> None:
        """
        Args:
            most: entries (a wallet on a chain) there may be at once.
        """
        self._database = database
        self._most = most

    async def add(self, wallet: Address, chain_ids: Sequence[ChainId], now: int) -> list[TrackedWallet]:
        """Have a wallet looked up on these chains; how it stands on every chain's list then. One that waits already,
        or was looked up less than AGAIN_SECONDS ago, stays as it is. Missing from the answer: there is no room."""
        room = {"most": self._most, "room": len(chain_ids)}
        async with self._database.write() as session:
            await session.run(_MAKE_ROOM, **room)
            await session.run(_ADD, wallet=bytes(wallet), chain_ids=list(chain_ids), now=now, most=self._most)
            return await _load(session, wallet)

    async def load(self, wallet: Address) -> list[TrackedWallet]:
        """How a wallet stands, by chain; nothing for chains nobody asked about."""
        async with self._database.read() as session:
            return await _load(session, wallet)


async def _load(session: ReadSession, wallet: Address) -> list[TrackedWallet]:
    return [TrackedWallet(*row) for row in await session.rows(_OF_WALLET, wallet=bytes(wallet))]


async def load_pending(session: ReadSession, chain_id: ChainId, limit: int) -> list[Address]:
    """At most `limit` wallets that wait to be looked up on a chain, the longest waiting first."""
    return [Address(wallet) for (wallet,) in await session.rows(_PENDING, chain_id=chain_id, most=limit)]


async def note_looked_up(session: WriteSession, block: StoredBlock, found: Mapping[Address, int]) -> None:
    """Note that these wallets were looked up at `block`, and how many accounts each has. A reorg that drops the block
    has them looked up again."""
    for wallet, accounts in found.items():
        await session.run(_NOTE, chain_id=block.ref.chain_id, wallet=bytes(wallet), block_id=block.id, found=accounts)
