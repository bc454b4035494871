"""Members of watchlists: wallets with a label and tags, on one chain or on every chain. By the hundred thousand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Integer, LargeBinary, Text, bindparam, cast, delete, func, or_, select
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.sql.type_api import TypeEngine

from app.domain.chain import Address, ChainId
from app.domain.watch import Member
from app.errors import Refused
from app.store.postgres.session import Query, ReadSession, Row, WriteSession
from app.store.postgres.types import bytes_array, text_array
from app.store.tables.watch import watchlist_members
from app.store.watch.version import bump_watch_version

MOST_MEMBERS = 250_000
"""Of one list."""
_AT_ONCE = 10_000

_LIST = bindparam("watchlist_id", type_=BigInteger)
_CHAIN = bindparam("chain_id", type_=BigInteger)
_WALLET = bindparam("wallet", type_=LargeBinary)
_SENT: dict[str, TypeEngine[Any]] = {
    "wallet": LargeBinary(),
    "chain_id": BigInteger(),
    "label": Text(),
    "tags": Text(),
    "given": Text(),
}
_rows = (
    func.unnest(*(bindparam(name, type_=ARRAY(kind)) for name, kind in _SENT.items()))
    .table_valued(*(named(name, kind) for name, kind in _SENT.items()), name="rows")
    .render_derived()
)
_insert = insert(watchlist_members).from_select(
    ["watchlist_id", *_SENT, "added_at"],
    select(
        _LIST,
        *(cast(_rows.c[name], ARRAY(Text)) if name == "tags" else _rows.c[name] for name in _SENT),
        bindparam("now", type_=BigInteger),
    ),
)
_ADD = Query(
    _insert.on_conflict_do_update(
        index_elements=["watchlist_id", "wallet", "chain_id"],
        set_={name: _insert.excluded[name] for name in ("label", "tags", "given")},
    ).returning(named("xmax").op("=")(0))
)
_of_list = watchlist_members.c.watchlist_id == _LIST
_COUNT = Query(select(func.count()).select_from(watchlist_members).where(_of_list))
_PAGE = Query(
    select(watchlist_members)
    .where(
        _of_list,
        watchlist_members.c.id > bindparam("after", type_=BigInteger),
        or_(cast(_WALLET, LargeBinary).is_(None), watchlist_members.c.wallet == _WALLET),
    )
    .order_by(watchlist_members.c.id)
    .limit(bindparam("most", type_=Integer))
)
_entry = (_of_list, watchlist_members.c.wallet == _WALLET)
_REMOVE = Query(delete(watchlist_members).where(*_entry))
_REMOVE_OF_CHAIN = Query(delete(watchlist_members).where(*_entry, watchlist_members.c.chain_id == _CHAIN))


@dataclass(frozen=True, slots=True)
class StoredMember:
    """A member as it is kept."""

    id: int
    watchlist_id: int
    member: Member
    added_at: int


@dataclass(frozen=True, slots=True)
class Added:
    """What came of adding members."""

    added: int
    updated: int
    """They were there: label, tags and what was given are written anew."""


async def load_members(
    session: ReadSession, watchlist_id: int, limit: int, *, after: int = 0, wallet: Address | None = None
) -> list[StoredMember]:
    """Members of a list by id, those above `after`; only the entries of one wallet where it is named."""
    asked = None if wallet is None else bytes(wallet)
    rows = await session.rows_in_parts(_PAGE, watchlist_id=watchlist_id, after=after, most=limit, wallet=asked)
    return [_stored(row) for row in rows]


async def add_members(session: WriteSession, watchlist_id: int, members: Sequence[Member], now: int) -> Added:
    """Put wallets on a list, which must exist. An entry of the same wallet and chain is written anew; of several for
    the same the last one counts.

    Raises:
        Refused: the list has no room for so many.
    """
    await bump_watch_version(session)
    once = list({(member.wallet, member.chain_id): member for member in members}.values())
    inserted = 0
    for start in range(0, len(once), _AT_ONCE):
        rows = await session.rows(_ADD, watchlist_id=watchlist_id, now=now, **_columns(once[start : start + _AT_ONCE]))
        inserted += sum(is_new for (is_new,) in rows)
    ((count,),) = await session.rows(_COUNT, watchlist_id=watchlist_id)
    if count > MOST_MEMBERS:
        raise Refused(f"a list has at most {MOST_MEMBERS} members")
    return Added(inserted, len(once) - inserted)


async def remove_member(session: WriteSession, watchlist_id: int, wallet: Address, chain_id: ChainId | None) -> int:
    """Take a wallet's entry of a chain off a list, or every entry of it where no chain is named; how many went."""
    await bump_watch_version(session)
    if chain_id is None:
        return await session.run(_REMOVE, watchlist_id=watchlist_id, wallet=bytes(wallet))
    return await session.run(_REMOVE_OF_CHAIN, watchlist_id=watchlist_id, wallet=bytes(wallet), chain_id=chain_id)


def _columns(members: Sequence[Member]) -> dict[str, str]:
    """Array literals: the driver's own adaptation of long lists costs several times as much."""
    chains = ["NULL" if member.chain_id is None else str(member.chain_id) for member in members]
    return {
        "wallet": bytes_array(member.wallet for member in members),
        "chain_id": "{" + ",".join(chains) + "}",
        "label": text_array(member.label for member in members),
        "tags": text_array(text_array(member.tags) for member in members),
        "given": text_array(member.given for member in members),
    }


def _stored(row: Row) -> StoredMember:
    id, watchlist_id, wallet, chain_id, label, tags, given, added_at = row
    return StoredMember(id, watchlist_id, Member(Address(wallet), chain_id, label, tuple(tags), given), added_at)
