"""Watchlists: named lists of wallets with rules. Whoever evaluates reads them with `load_watched`, a chain at a time.

Every write counts a change (`app.store.watch.version`) in its own transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Boolean, Integer, Text, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import distinct_on

from app.domain.chain import Address, ChainId
from app.domain.watch import Member, Rule, Severity
from app.errors import Refused
from app.store.postgres.session import Query, ReadSession, Row, WriteSession
from app.store.tables.watch import episodes, watch_rules, watchlist_members, watchlists
from app.store.watch.rules import rule_from_row
from app.store.watch.version import bump_watch_version
from app.store.watch.version import load_watch_version as load_watch_version

MOST_LISTS = 1_000

_ID = bindparam("watchlist_id", type_=BigInteger)
_CHAIN = bindparam("chain_id", type_=BigInteger)
_NAME = bindparam("given_name", type_=Text)
_NOTE = bindparam("note", type_=Text)
_PAUSED = bindparam("is_paused", type_=Boolean)


def _count_of(table: Any, *further: Any) -> Any:
    return (
        select(func.count()).select_from(table).where(table.c.watchlist_id == watchlists.c.id, *further)
    ).scalar_subquery()


_is_open = (episodes.c.state == "open", episodes.c.watchlist_id == watchlists.c.id)
_shown = select(
    *watchlists.columns,
    _count_of(watchlist_members).label("members"),
    _count_of(watch_rules).label("rules"),
    select(func.count()).select_from(episodes).where(*_is_open).scalar_subquery().label("open_episodes"),
    select(func.max(episodes.c.severity)).where(*_is_open).scalar_subquery().label("severity"),
)
_PAGE = Query(
    _shown.where(watchlists.c.id > bindparam("after", type_=BigInteger))
    .order_by(watchlists.c.id)
    .limit(bindparam("most", type_=Integer))
)
_ONE = Query(_shown.where(watchlists.c.id == _ID))
_BY_NAME = Query(_shown.where(watchlists.c.name == _NAME))
_IDS_BY_NAME = Query(select(watchlists.c.id).where(watchlists.c.name == _NAME))
_COUNT = Query(select(func.count()).select_from(watchlists))
_INSERT = Query(
    insert(watchlists)
    .values({watchlists.c.name: _NAME, "note": _NOTE, "created_at": bindparam("now", type_=BigInteger)})
    .returning(watchlists.c.id)
)
_UPDATE = Query(
    update(watchlists)
    .where(watchlists.c.id == _ID)
    .values({watchlists.c.name: _NAME, watchlists.c.note: _NOTE, watchlists.c.is_paused: _PAUSED})
)
_DELETE = Query(delete(watchlists).where(watchlists.c.id == _ID))

_WATCHED_LISTS = Query(
    select(watchlists.c.id, watchlists.c.name).where(watchlists.c.is_paused.is_(False)).order_by(watchlists.c.id)
)
_WATCHED_RULES = Query(
    select(
        watch_rules.c.id,
        watch_rules.c.watchlist_id,
        watch_rules.c.name,
        watch_rules.c.metric,
        watch_rules.c.definition,
    )
    .where(watch_rules.c.is_enabled)
    .order_by(watch_rules.c.id)
)
_WATCHED_MEMBERS = Query(
    select(
        watchlist_members.c.watchlist_id,
        watchlist_members.c.wallet,
        watchlist_members.c.chain_id,
        watchlist_members.c.label,
        watchlist_members.c.tags,
        watchlist_members.c.given,
    )
    .ext(distinct_on(watchlist_members.c.watchlist_id, watchlist_members.c.wallet))
    .where(or_(watchlist_members.c.chain_id.is_(None), watchlist_members.c.chain_id == _CHAIN))
    .order_by(
        watchlist_members.c.watchlist_id, watchlist_members.c.wallet, watchlist_members.c.chain_id.asc().nulls_last()
    )
)


@dataclass(frozen=True, slots=True)
class WatchedList:
    """What is evaluated of a list, on one chain."""

    id: int
    name: str
    members: tuple[Member, ...]
    """By wallet, each once."""
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class StoredList:
    """A list as it is kept, and how much there is of it."""

    id: int
    name: str
    note: str
    is_paused: bool
    created_at: int
    members: int
    rules: int
    open_episodes: int
    severity: Severity | None
    """The worst of its open episodes."""


async def load_watched(session: ReadSession, chain_id: ChainId) -> list[WatchedList]:
    """Every list that is not paused, with its enabled rules and its members of this chain or of every chain. A wallet
    that is listed both ways is the entry of the chain."""
    members: dict[int, list[Member]] = defaultdict(list)
    for list_id, wallet, of_chain, label, tags, given in await session.rows_in_parts(
        _WATCHED_MEMBERS, chain_id=chain_id
    ):
        members[list_id].append(Member(Address(wallet), of_chain, label, tuple(tags), given))
    rules: dict[int, list[Rule]] = defaultdict(list)
    for row in await session.rows(_WATCHED_RULES):
        rules[row[1]].append(rule_from_row(*row))
    return [
        WatchedList(list_id, name, tuple(members[list_id]), tuple(rules[list_id]))
        for list_id, name in await session.rows(_WATCHED_LISTS)
    ]


async def load_lists(session: ReadSession, limit: int, *, after: int = 0) -> list[StoredList]:
    """Lists by id, those above `after`."""
    return [_stored(row) for row in await session.rows(_PAGE, after=after, most=limit)]


async def load_list(session: ReadSession, watchlist_id: int) -> StoredList | None:
    """One list; None when there is none such."""
    return _first(await session.rows(_ONE, watchlist_id=watchlist_id))


async def hold_list(session: WriteSession, watchlist_id: int) -> StoredList | None:
    """As `load_list`, and it stays as it is until the transaction ends: nobody deletes or renames it meanwhile."""
    await bump_watch_version(session)
    return await load_list(session, watchlist_id)


async def find_list(session: ReadSession, name: str) -> StoredList | None:
    """The list of a name; None when there is none such."""
    return _first(await session.rows(_BY_NAME, given_name=name))


async def create_list(session: WriteSession, name: str, note: str, now: int) -> int:
    """A new, empty list; its id.

    Raises:
        Refused: the name is taken, or there are as many lists as there may be.
    """
    await bump_watch_version(session)
    await _require_free_name(session, name, None)
    ((count,),) = await session.rows(_COUNT)
    if count >= MOST_LISTS:
        raise Refused(f"there are at most {MOST_LISTS} watchlists")
    ((watchlist_id,),) = await session.rows(_INSERT, given_name=name, note=note, now=now)
    assert isinstance(watchlist_id, int)
    return watchlist_id


async def update_list(session: WriteSession, watchlist_id: int, name: str, note: str, *, is_paused: bool) -> bool:
    """Write name, note and pause of a list; whether there is one.

    Raises:
        Refused: another list has that name.
    """
    await bump_watch_version(session)
    await _require_free_name(session, name, watchlist_id)
    given: Mapping[str, Any] = {"given_name": name, "note": note, "is_paused": is_paused}
    return await session.run(_UPDATE, watchlist_id=watchlist_id, **given) == 1


async def delete_list(session: WriteSession, watchlist_id: int) -> bool:
    """Delete a list with its members, rules, routes and episodes; whether there was one."""
    await bump_watch_version(session)
    return await session.run(_DELETE, watchlist_id=watchlist_id) == 1


async def _require_free_name(session: WriteSession, name: str, own_id: int | None) -> None:
    if any(found != own_id for (found,) in await session.rows(_IDS_BY_NAME, given_name=name)):
        raise Refused(f"there is a watchlist named {name!r} already")


def _first(rows: list[Row]) -> StoredList | None:
    return _stored(rows[0]) if rows else None


def _stored(row: Row) -> StoredList:
    id, name, note, is_paused, created_at, members, rules, open_episodes, severity = row
    worst = None if severity is None else Severity(severity)
    return StoredList(id, name, note, is_paused, created_at, members, rules, open_episodes, worst)
