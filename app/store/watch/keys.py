"""Keys of the API: who may do what. Kept by the SHA-256 of their secret part; the key itself is shown once.

`KeyRing` is what a serving process has of them: it finds a key and notes that it was used, and can write nothing else.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import BigInteger, LargeBinary, Text, bindparam, insert, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.store.postgres.engine import Database
from app.store.postgres.session import Query, ReadSession, Row, WriteSession
from app.store.tables.watch import api_keys

NOTED_EVERY_SECONDS = 60
"""A key's last use is written at most so often."""


class Scope(StrEnum):
    """What a key lets its holder do. None implies another."""

    WATCH_READ = "watch:read"
    """See watchlists, rules, channels (never their secrets), episodes and deliveries."""
    WATCH_WRITE = "watch:write"
    """Change them, acknowledge, replay, send tests."""
    OPS = "ops"
    """See who changed what."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept."""

    id: str
    """The part of the key that is no secret."""
    name: str
    secret_hash: bytes = field(repr=False)
    scopes: frozenset[Scope]
    created_at: int
    last_used_at: int | None
    revoked_at: int | None


_ID = bindparam("key_id", type_=Text)
_NOW = bindparam("now", type_=BigInteger)
_FIELDS = (
    api_keys.c.id,
    api_keys.c.name,
    api_keys.c.hash,
    api_keys.c.scopes,
    api_keys.c.created_at,
    api_keys.c.last_used_at,
    api_keys.c.revoked_at,
)
_ALL = Query(select(*_FIELDS).order_by(api_keys.c.created_at, api_keys.c.id))
_ONE = Query(select(*_FIELDS).where(api_keys.c.id == _ID))
_INSERT = Query(
    insert(api_keys).values(
        {
            api_keys.c.id: _ID,
            api_keys.c.name: bindparam("given_name", type_=Text),
            api_keys.c.hash: bindparam("secret_hash", type_=LargeBinary),
            api_keys.c.scopes: bindparam("given_scopes", type_=ARRAY(Text)),
            api_keys.c.created_at: _NOW,
        }
    )
)
_REVOKE = Query(update(api_keys).where(api_keys.c.id == _ID, api_keys.c.revoked_at.is_(None)).values(revoked_at=_NOW))
_NOTE = Query(
    update(api_keys)
    .where(
        api_keys.c.id == _ID,
        or_(
            api_keys.c.last_used_at.is_(None),
            api_keys.c.last_used_at <= bindparam("before", type_=BigInteger),
        ),
    )
    .values(last_used_at=_NOW)
)


class KeyRing:
    """Every key there is, for whoever is shown one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, key_id: str) -> ApiKey | None:
        """The key of an id, revoked or not; None when there is none such."""
        rows = await self._database.rows(_ONE, key_id=key_id)
        return _key(rows[0]) if rows else None

    async def note_use(self, key: ApiKey, now: int) -> None:
        """Note that a key was used, unless that was noted less than NOTED_EVERY_SECONDS ago."""
        before = now - NOTED_EVERY_SECONDS
        if key.last_used_at is None or key.last_used_at <= before:
            async with self._database.write() as session:
                await session.run(_NOTE, key_id=key.id, now=now, before=before)


async def load_keys(session: ReadSession) -> list[ApiKey]:
    """Every key, the oldest first, revoked ones too."""
    return [_key(row) for row in await session.rows(_ALL)]


async def store_key(
    session: WriteSession, key_id: str, name: str, secret_hash: bytes, scopes: Collection[Scope], now: int
) -> None:
    """Keep a new key."""
    given = sorted(scope.value for scope in scopes)
    await session.run(_INSERT, key_id=key_id, given_name=name, secret_hash=secret_hash, given_scopes=given, now=now)


async def revoke_key(session: WriteSession, key_id: str, now: int) -> bool:
    """End a key at once and for ever; whether there was a live one of that id."""
    return await session.run(_REVOKE, key_id=key_id, now=now) == 1


def _key(row: Row) -> ApiKey:
    id, name, secret_hash, scopes, created_at, last_used_at, revoked_at = row
    known = {scope.value for scope in Scope}
    live = frozenset(Scope(scope) for scope in scopes if scope in known)
    return ApiKey(id, name, bytes(secret_hash), live, created_at, last_used_at, revoked_at)
