"""Connections to Postgres: what may read, what may write, and for how long."""

from __future__ import annotations

import select
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from typing import Any

import psycopg
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.errors import Refused
from app.store.postgres.faults import translated
from app.store.postgres.listen import Listener
from app.store.postgres.locks import AdvisoryLock, hold_lock
from app.store.postgres.pool import ReadingPool
from app.store.postgres.session import DIALECT, Driver, Query, ReadSession, Row, WriteSession
from app.store.postgres.types import driver_adapters

OLDEST_SERVER = 150_000
"""PostgreSQL 15, as the server numbers itself."""

_ADAPTERS = driver_adapters()
_BY_KEY = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
"""Every statement of this package finds its rows by keys. Said to the planner, because a connection keeps plans, and
one made while the tables were small or had no statistics yet reads them whole long after they have grown."""
_POOL_WAIT_SECONDS = 10
_CONNECT_SECONDS = 10


class Database:
    """One Postgres database: a bounded pool for reading and one for writing."""

    def __init__(self, url: str, *, role: str = "waterline", readers: int = 8, writers: int = 2) -> None:
        """Nothing is connected before the first use.

        Args:
            url: postgres://, postgresql:// or postgresql+psycopg://; the host may be a socket directory.
            role: shown to the server as `application_name`.

        Raises:
            Refused: `url` is not a Postgres URL.
        """
        self._url = parse_url(url)
        self._role = role
        self._readers, self._writers = readers, writers

    def __repr__(self) -> str:
        return f"Database({self.label})"

    @property
    def label(self) -> str:
        """Where the database is, fit to be shown: no user, no password."""
        host = self._url.host or str(self._url.query.get("host", "")) or "local"
        return f"{host}{f':{self._url.port}' if self._url.port else ''}/{self._url.database or ''}"

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """One consistent moment of the database, to read from."""
        with translated():
            async with self._readings.take() as connection:
                await connection.execute(b"BEGIN")
                yield ReadSession(connection)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[ReadSession]:
        """To read from where no two queries have to agree: each is a moment of its own, in one round trip (a session
        takes two more)."""
        with translated():
            async with self._readings.take() as connection:
                yield ReadSession(connection)

    async def rows(self, query: Query, **parameters: Any) -> list[Row]:
        """One query that stands by itself: see `alone`."""
        async with self.alone() as session:
            return await session.rows(query, **parameters)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        with translated():
            async with self._write_engine.begin() as connection:
                yield WriteSession(_driver(connection), connection)

    def lock(self, chain_id: int, role: str) -> AbstractAsyncContextManager[AdvisoryLock]:
        """Hold the only right to act as `role` on a chain, until the block ends or this process dies.

        Raises:
            LockHeld (Retryable): another process has it.
        """
        return hold_lock(self._connect_to_write, chain_id, role)

    def listen(self, channel: str, *, capacity: int = 256) -> Listener:
        """Payloads of NOTIFY on `channel`, from the moment of the first `anext` or of entering it on.

        `async for payload in db.listen(...)` works; `async with db.listen(...) as payloads` also ends its connection
        at once when the block is left. A slow reader loses the oldest payloads beyond `capacity`. Raises
        DatabaseUnavailable (Retryable) when the connection ends: listen again, and look for what was missed.
        """
        return Listener(self._connect, channel, capacity)

    async def dispose(self) -> None:
        """Close every pooled connection."""
        if "_write_engine" in self.__dict__:
            await self.__dict__.pop("_write_engine").dispose()
        if "_readings" in self.__dict__:
            await self.__dict__.pop("_readings").aclose()

    @cached_property
    def _readings(self) -> ReadingPool:
        return ReadingPool(self._connect_to_read, self._readers, _POOL_WAIT_SECONDS)

    @cached_property
    def _write_engine(self) -> AsyncEngine:
        engine = create_async_engine(
            self._url_with(_WRITING),
            pool_size=self._writers,
            max_overflow=0,
            pool_timeout=_POOL_WAIT_SECONDS,
            pool_recycle=1800,
            hide_parameters=True,
            use_native_hstore=False,
            connect_args={**self._connect_args(), "context": _ADAPTERS},
        )
        event.listen(engine.sync_engine, "connect", _require_server)
        event.listen(engine.sync_engine, "checkout", _refuse_dead)
        return engine

    def _url_with(self, options: str) -> URL:
        options = f"{self._url.query.get('options', '')} {options}".strip()
        return self._url.update_query_dict({"options": options}) if options else self._url

    def _connect_args(self) -> dict[str, Any]:
        given = self._url.query
        defaults = {
            "application_name": self._role,
            "connect_timeout": _CONNECT_SECONDS,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
        }
        return {name: value for name, value in defaults.items() if name not in given}

    async def _connect(self) -> Driver:
        """A connection outside the pools, in autocommit, for what lives as long as a process."""
        return await self._connect_with("", autocommit=True)

    async def _connect_to_read(self) -> Driver:
        return await self._connect_with(_READING, autocommit=True)

    async def _connect_to_write(self) -> Driver:
        return await self._connect_with(_WRITING, autocommit=False)

    async def _connect_with(self, options: str, *, autocommit: bool) -> Driver:
        arguments = {**DIALECT.create_connect_args(self._url_with(options))[1], **self._connect_args()}
        connection = await psycopg.AsyncConnection.connect(**arguments, autocommit=autocommit, context=_ADAPTERS)
        try:
            require_server_version(connection.info.server_version)
        except Refused:
            await connection.close()
            raise
        return connection


def parse_url(url: str) -> URL:
    """SQLAlchemy's form of a Postgres URL.

    Raises:
        Refused: it is not one. The message does not repeat it.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise Refused("the database URL must start with postgresql://")
    try:
        return make_url(f"postgresql+psycopg://{rest}")
    except (ArgumentError, ValueError):
        raise Refused("the database URL cannot be understood: expected postgresql://user:password@host/name") from None


def _options(**settings: str) -> str:
    """Server settings of a session as libpq takes them at connection: they cost no statement."""
    return " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in settings.items())


_READING = _options(
    **_BY_KEY,
    default_transaction_isolation="repeatable read",
    default_transaction_read_only="on",
    statement_timeout="20s",
)
_WRITING = _options(**_BY_KEY, statement_timeout="300s", lock_timeout="15s", idle_in_transaction_session_timeout="300s")


def _driver(connection: AsyncConnection) -> Driver:
    assert connection.sync_connection is not None
    raw = connection.sync_connection.connection.driver_connection
    assert isinstance(raw, psycopg.AsyncConnection)
    return raw


def require_server_version(version: int) -> None:
    """Make sure the server is new enough; `version` as the server numbers itself (150004 = 15.4).

    Raises:
        Refused: it is not.
    """
    if version < OLDEST_SERVER:
        raise Refused(f"PostgreSQL {version // 10_000} is too old: Waterline needs 15 or newer")


def _require_server(dbapi_connection: Any, _: object) -> None:
    require_server_version(dbapi_connection.driver_connection.info.server_version)


def _refuse_dead(dbapi_connection: Any, *_: object) -> None:
    """An idle connection with something to read was ended by the server: seen without a round trip, and replaced."""
    poll = select.poll()
    poll.register(dbapi_connection.driver_connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    if poll.poll(0):
        raise DisconnectionError("the server ended this connection")
