"""Where alerts are told: channels, and the routes that join watchlists to them.

A channel's `settings` may be shown to anybody who may see it. Whatever must not be shown (tokens, keys, URLs that hold
them) is in `sealed`, encrypted before it comes here; this module never sees it open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, LargeBinary, Text, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from app.domain.watch import Severity
from app.errors import Refused
from app.store.postgres.session import Query, ReadSession, Row, WriteSession
from app.store.tables.watch import channels, outbox, routes, watchlists

Settings: TypeAlias = Mapping[str, object]
"""What a channel is set to, by name; nothing secret."""


@dataclass(frozen=True, slots=True)
class NewChannel:
    """A channel to be stored."""

    name: str
    kind: str
    """webhook, telegram, slack, smtp or stdout."""
    settings: Settings
    sealed: bytes | None = field(default=None, repr=False)
    """Its secret, encrypted; None: it has none, or it is in the environment."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A place alerts are sent to."""

    id: int
    name: str
    kind: str
    settings: Settings
    sealed: bytes | None = field(repr=False)
    is_enabled: bool
    disabled_reason: str | None
    """Why nothing is sent there; None while it is enabled."""
    created_at: int


@dataclass(frozen=True, slots=True)
class NewRoute:
    """Which findings of a list are told to a channel, and when not."""

    watchlist_id: int
    channel_id: int
    min_severity: Severity = Severity.INFO
    timezone: str = "UTC"
    """IANA name; the minutes below are of its days."""
    quiet_from_minute: int | None = None
    """Minute of the day from which nothing is sent; None: no quiet hours."""
    quiet_to_minute: int | None = None
    """First minute in which something is sent again."""
    quiet_override: Severity | None = None
    """This and worse is sent in quiet hours too; None: nothing is."""
    repeat_seconds: int | None = None
    """Pause between reminders until somebody acknowledges; None: there are none."""
    digest_minute: int | None = None
    """Minute of the day of the daily digest; None: there is none."""


@dataclass(frozen=True, slots=True)
class Route:
    """As `NewRoute`, stored."""

    id: int
    watchlist_id: int
    channel_id: int
    min_severity: Severity
    timezone: str
    quiet_from_minute: int | None
    quiet_to_minute: int | None
    quiet_override: Severity | None
    repeat_seconds: int | None
    digest_minute: int | None


_ID = bindparam("channel_id", type_=BigInteger)
_REASON = bindparam("reason", type_=Text)
_CHANNELS = select(
    channels.c.id,
    channels.c.name,
    channels.c.kind,
    channels.c.settings,
    channels.c.secret,
    channels.c.is_enabled,
    channels.c.disabled_reason,
    channels.c.created_at,
)
_ALL = Query(_CHANNELS.order_by(channels.c.id))
_BY_ID = Query(_CHANNELS.where(channels.c.id == _ID))
_BY_NAME = Query(_CHANNELS.where(channels.c.name == bindparam("name")))
_ADD = Query(
    insert(channels)
    .values({name: bindparam(name) for name in ("name", "kind", "settings", "secret", "created_at")})
    .on_conflict_do_nothing(index_elements=["name"])
    .returning(channels.c.id)
)
_CHANGE = Query(
    update(channels)
    .where(channels.c.id == _ID)
    .values(settings=bindparam("settings"), secret=bindparam("sealed", type_=LargeBinary))
)
_RENAME = Query(
    update(channels)
    .where(
        channels.c.id == _ID,
        ~select(channels.c.id).where(channels.c.name == bindparam("taken", type_=Text)).exists(),
    )
    .values(name=bindparam("new_name", type_=Text))
)
_LOCK = Query(select(channels.c.id).where(channels.c.id == _ID).with_for_update())
_ENABLE = Query(update(channels).where(channels.c.id == _ID).values(is_enabled=True, disabled_reason=None))
_DISABLE = Query(
    update(channels)
    .where(channels.c.id == _ID, channels.c.is_enabled)
    .values(is_enabled=False, disabled_reason=_REASON)
)
_BURY = Query(
    update(outbox)
    .where(outbox.c.channel_id == _ID, outbox.c.state == "pending")
    .values(state="dead", leased_until=None, last_error=func.concat("the channel was disabled: ", _REASON))
)
_REMOVE = Query(delete(channels).where(channels.c.id == _ID))

_ROUTE_FIELDS = tuple(column.name for column in routes.columns if column.name != "id")
_ROUTES = select(routes.c.id, *(routes.c[name] for name in _ROUTE_FIELDS))
_LISTS = bindparam("watchlist_ids", type_=ARRAY(BigInteger))
_LIVE_ROUTES = Query(
    _ROUTES.join(channels, channels.c.id == routes.c.channel_id)
    .where(channels.c.is_enabled, _LISTS.is_(None) | (routes.c.watchlist_id == func.any(_LISTS)))
    .order_by(routes.c.watchlist_id, routes.c.channel_id)
)
_ROUTES_OF_LIST = Query(
    _ROUTES.where(routes.c.watchlist_id == bindparam("watchlist_id", type_=BigInteger)).order_by(routes.c.channel_id)
)
_put = insert(routes).from_select(
    list(_ROUTE_FIELDS),
    select(
        watchlists.c.id,
        channels.c.id,
        *(bindparam(name, type_=routes.c[name].type) for name in _ROUTE_FIELDS[2:]),
    ).where(watchlists.c.id == bindparam("watchlist_id", type_=BigInteger), channels.c.id == _ID),
)
_PUT_ROUTE = Query(
    _put.on_conflict_do_update(
        index_elements=["watchlist_id", "channel_id"],
        set_={name: _put.excluded[name] for name in _ROUTE_FIELDS[2:]},
    ).returning(routes.c.id)
)
_REMOVE_ROUTE = Query(
    delete(routes).where(
        routes.c.watchlist_id == bindparam("watchlist_id", type_=BigInteger), routes.c.channel_id == _ID
    )
)


async def store_channel(session: WriteSession, new: NewChannel, now: int) -> int:
    """Add an enabled channel; its id.

    Raises:
        Refused: the name is taken.
    """
    rows = await session.rows(
        _ADD, name=new.name, kind=new.kind, settings=Jsonb(dict(new.settings)), secret=new.sealed, created_at=now
    )
    if not rows:
        raise Refused(f"there is a channel {new.name!r} already")
    return int(rows[0][0])


async def load_channels(session: ReadSession) -> list[Channel]:
    """Every channel, the oldest first."""
    return [Channel(*row) for row in await session.rows(_ALL)]


async def load_channel(session: ReadSession, channel_id: int) -> Channel | None:
    """One channel by its id."""
    return _one(await session.rows(_BY_ID, channel_id=channel_id))


async def load_channel_named(session: ReadSession, name: str) -> Channel | None:
    """One channel by its name."""
    return _one(await session.rows(_BY_NAME, name=name))


async def hold_channel(session: WriteSession, channel_id: int) -> Channel | None:
    """One channel, which nobody else changes before this transaction ends."""
    await session.rows(_LOCK, channel_id=channel_id)
    return await load_channel(session, channel_id)


async def change_channel(session: WriteSession, channel_id: int, settings: Settings, sealed: bytes | None) -> bool:
    """Give a channel other settings and another secret; False when there is none of that id."""
    return await session.run(_CHANGE, channel_id=channel_id, settings=Jsonb(dict(settings)), sealed=sealed) > 0


async def rename_channel(session: WriteSession, channel_id: int, name: str) -> bool:
    """Give a channel another name; False when there is no such channel or the name is taken."""
    return await session.run(_RENAME, channel_id=channel_id, new_name=name, taken=name) > 0


async def enable_channel(session: WriteSession, channel_id: int) -> bool:
    """Send to it again; False when there is none of that id. What died meanwhile stays dead until it is replayed."""
    return await session.run(_ENABLE, channel_id=channel_id) > 0


async def disable_channel(session: WriteSession, channel_id: int, reason: str) -> bool:
    """Send nothing there any more; what still waited is dead, to be replayed when somebody wants it. False when it was
    not enabled."""
    if not await session.run(_DISABLE, channel_id=channel_id, reason=reason):
        return False
    await session.run(_BURY, channel_id=channel_id, reason=reason)
    return True


async def delete_channel(session: WriteSession, channel_id: int) -> bool:
    """Forget a channel with its routes and everything that was or was to be sent there."""
    return await session.run(_REMOVE, channel_id=channel_id) > 0


async def load_routes(session: ReadSession, watchlist_ids: Sequence[int] | None = None) -> list[Route]:
    """The routes to enabled channels of these lists, or of all."""
    asked = None if watchlist_ids is None else list(watchlist_ids)
    return [_route(row) for row in await session.rows(_LIVE_ROUTES, watchlist_ids=asked)]


async def load_list_routes(session: ReadSession, watchlist_id: int) -> list[Route]:
    """Every route of one list, those to disabled channels too."""
    return [_route(row) for row in await session.rows(_ROUTES_OF_LIST, watchlist_id=watchlist_id)]


async def store_route(session: WriteSession, new: NewRoute) -> int:
    """Join a list to a channel, in place of what joined them before; the route's id.

    Raises:
        Refused: there is no such list or channel.
    """
    values = {name: getattr(new, name) for name in _ROUTE_FIELDS}
    values["min_severity"] = int(new.min_severity)
    values["quiet_override"] = None if new.quiet_override is None else int(new.quiet_override)
    rows = await session.rows(_PUT_ROUTE, **values)
    if not rows:
        raise Refused(f"there is no watchlist {new.watchlist_id} or no channel {new.channel_id}")
    return int(rows[0][0])


async def delete_route(session: WriteSession, watchlist_id: int, channel_id: int) -> bool:
    """Have a list tell a channel nothing any more; False when it did not."""
    return await session.run(_REMOVE_ROUTE, watchlist_id=watchlist_id, channel_id=channel_id) > 0


def _one(rows: list[Row]) -> Channel | None:
    return Channel(*rows[0]) if rows else None


def _route(row: Row) -> Route:
    id, watchlist_id, channel_id, severity, timezone, quiet_from, quiet_to, override, repeat, digest = row
    return Route(
        id,
        watchlist_id,
        channel_id,
        Severity(severity),
        timezone,
        quiet_from,
        quiet_to,
        None if override is None else Severity(override),
        repeat,
        digest,
    )
