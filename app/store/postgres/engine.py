"""Connections to Postgres: what may read, what may write, and for how long.

A `ReadSession` is one REPEATABLE READ, READ ONLY transaction: everything read through it belongs to one moment, so
to one block. A `WriteSession` is one transaction that commits when its block ends without an exception. They are
different types: a function that writes cannot be given a reading session.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from typing import Any, TypeAlias

import psycopg
from psycopg.abc import PQGen
from psycopg.generators import READY_R, READY_W, WAIT_RW, WAIT_W
from psycopg.pq.abc import PGconn
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

from app.errors import Refused
from app.store.postgres.faults import translated
from app.store.postgres.listen import Listener
from app.store.postgres.locks import AdvisoryLock, hold_lock
from app.store.postgres.types import driver_adapters

OLDEST_SERVER = 150_000
"""PostgreSQL 15, as the server numbers itself."""

Row: TypeAlias = tuple[Any, ...]
Parameters: TypeAlias = Mapping[str, Any]

_ADAPTERS = driver_adapters()
_DIALECT = make_url("postgresql+psycopg_async://").get_dialect()()
_BY_KEY = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
"""Every statement of this package finds its rows by keys. Said to the planner, because a connection keeps plans, and
one made while the tables were small or had no statistics yet reads them whole long after they have grown."""
_POOL_WAIT_SECONDS = 10
_PART_ROWS = 2000
_CONNECT_SECONDS = 10


class Query:
    """A Core statement compiled once, to run on the driver's own connection (SQLAlchemy's execution costs 2-5 times
    the CPU of a small query). Its parameters are the statement's named bind parameters."""

    def __init__(self, statement: Executable) -> None:
        assert isinstance(statement, ClauseElement)
        compiled = statement.compile(dialect=_DIALECT)
        assert isinstance(compiled, SQLCompiler)
        self.sql = str(compiled).encode()
        self.constants = {name: bound.effective_value for name, bound in compiled.binds.items() if not bound.required}


Asked: TypeAlias = tuple[Query, Parameters]
"""A query with its parameters."""


class ReadSession:
    """A transaction to read in."""

    def __init__(self, connection: AsyncConnection, driver: psycopg.AsyncConnection[Row]) -> None:
        self.connection = connection
        """SQLAlchemy's connection, for whatever is not worth a `Query`."""
        self._driver = driver

    async def rows(self, query: Query, **parameters: Any) -> list[Row]:
        """Run `query` and fetch everything it gives."""
        async with self._driver.cursor() as cursor:
            await cursor.execute(query.sql, {**query.constants, **parameters})
            return await cursor.fetchall()

    async def rows_in_parts(self, query: Query, **parameters: Any) -> list[Row]:
        """As `rows`, for very many: made a part at a time, so that nothing else in this process waits for them all."""
        found: list[Row] = []
        async with self._driver.cursor() as cursor:
            await cursor.execute(query.sql, {**query.constants, **parameters})
            while part := await cursor.fetchmany(_PART_ROWS):
                found += part
                await asyncio.sleep(0)
        return found

    async def rows_of_all(self, *asked: Asked) -> list[list[Row]]:
        """Run several queries in one round trip; what each gave (nothing for one without rows)."""
        try:
            async with self._driver.pipeline():
                cursors = [self._driver.cursor() for _ in asked]
                for cursor, (query, parameters) in zip(cursors, asked, strict=True):
                    await cursor.execute(query.sql, {**query.constants, **parameters})
                await self._driver.wait(_flush(self._driver.pgconn))
            # Leaving the pipeline has waited for all answers: to ask for them inside it would be a second round trip.
            return [await cursor.fetchall() if cursor.description else [] for cursor in cursors]
        except psycopg.OperationalError as error:
            if isinstance(error.__context__, asyncio.CancelledError):  # raised in its place, see below
                raise error.__context__ from None
            raise
        finally:
            if self._driver.pgconn.pipeline_status:
                # Whoever waited was cancelled, and the driver could not leave the pipeline (psycopg 3.3): answers are
                # still to come, and the next to use the connection would take them for its own.
                await self.connection.invalidate()


class WriteSession(ReadSession):
    """A transaction to write in; it may read what it writes."""

    async def run(self, query: Query, **parameters: Any) -> int:
        """Run `query` for its effect; the number of rows it changed."""
        async with self._driver.cursor() as cursor:
            await cursor.execute(query.sql, {**query.constants, **parameters})
            return cursor.rowcount

    async def copy(self, table: str, columns: Sequence[str], lines: str) -> None:
        """COPY rows into `table`. Each line is tab-separated text that ends in a newline, in `columns` order."""
        async with self.copying(table, columns, (lines,)):
            pass

    @asynccontextmanager
    async def copying(self, table: str, columns: Sequence[str], parts: Iterable[str]) -> AsyncIterator[None]:
        """As `copy`, with the lines in parts. While the block runs the server is at work on the last of them, and the
        session cannot be used; they are in the table when it ends."""
        names = ", ".join(f'"{column}"' for column in columns)
        async with (
            self._driver.cursor() as cursor,
            cursor.copy(f"COPY {table} ({names}) FROM STDIN".encode()) as copy,
        ):
            for part in parts:
                await copy.write(part)
            yield


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
            async with self._read_engine.connect() as connection:
                driver = _driver(connection)
                await driver.execute(b"BEGIN")  # ended by the pool, which rolls back whatever it takes back
                yield ReadSession(connection, driver)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[ReadSession]:
        """To read from where no two queries have to agree: each is a moment of its own, in one round trip (a session
        takes two more)."""
        with translated():
            async with self._read_engine.connect() as connection:
                yield ReadSession(connection, _driver(connection))

    async def rows(self, query: Query, **parameters: Any) -> list[Row]:
        """One query that stands by itself: see `alone`."""
        async with self.alone() as session:
            return await session.rows(query, **parameters)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        with translated():
            async with self._write_engine.begin() as connection:
                yield WriteSession(connection, _driver(connection))

    def lock(self, chain_id: int, role: str) -> AbstractAsyncContextManager[AdvisoryLock]:
        """Hold the only right to act as `role` on a chain, until the block ends or this process dies.

        Raises:
            LockHeld (Retryable): another process has it.
        """
        return hold_lock(self._connect, chain_id, role)

    def listen(self, channel: str, *, capacity: int = 256) -> Listener:
        """Payloads of NOTIFY on `channel`, from the moment of the first `anext` or of entering it on.

        `async for payload in db.listen(...)` works; `async with db.listen(...) as payloads` also ends its connection
        at once when the block is left. A slow reader loses the oldest payloads beyond `capacity`. Raises
        DatabaseUnavailable (Retryable) when the connection ends: listen again, and look for what was missed.
        """
        return Listener(self._connect, channel, capacity)

    async def dispose(self) -> None:
        """Close every pooled connection."""
        for engine in ("_read_engine", "_write_engine"):
            if engine in self.__dict__:
                await self.__dict__.pop(engine).dispose()

    @cached_property
    def _read_engine(self) -> AsyncEngine:
        options = _options(
            **_BY_KEY,
            default_transaction_isolation="repeatable read",
            default_transaction_read_only="on",
            statement_timeout="20s",
        )
        # without transactions of the driver's own, so that a lone query can do without one
        return self._engine(options, self._readers, isolation_level="AUTOCOMMIT")

    @cached_property
    def _write_engine(self) -> AsyncEngine:
        options = _options(
            **_BY_KEY, statement_timeout="300s", lock_timeout="15s", idle_in_transaction_session_timeout="300s"
        )
        return self._engine(options, self._writers)

    def _engine(self, options: str, size: int, **more: Any) -> AsyncEngine:
        url = self._url.update_query_dict({"options": f"{self._url.query.get('options', '')} {options}".strip()})
        engine = create_async_engine(
            url,
            pool_size=size,
            max_overflow=0,
            pool_timeout=_POOL_WAIT_SECONDS,
            pool_recycle=1800,
            hide_parameters=True,
            use_native_hstore=False,
            connect_args={**self._connect_args(), "context": _ADAPTERS},
            **more,
        )
        event.listen(engine.sync_engine, "connect", _require_server)
        event.listen(engine.sync_engine, "checkout", _refuse_dead)
        return engine

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

    async def _connect(self) -> psycopg.AsyncConnection[Row]:
        """A connection outside the pools, in autocommit, for what lives as long as a process."""
        arguments = {**_DIALECT.create_connect_args(self._url)[1], **self._connect_args()}
        return await psycopg.AsyncConnection.connect(**arguments, autocommit=True)


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


def _flush(connection: PGconn) -> PQGen[None]:
    """Hand everything that is queued to the kernel. In pipeline mode the driver tries once only: what does not fit
    into the socket's buffer would stay behind while it waits for an answer (psycopg 3.3, seen to hang)."""
    while True:
        ready = yield WAIT_RW
        if ready & READY_R:
            connection.consume_input()
        if ready & READY_W and connection.flush() == 0:
            # Writable once more: there is room for the few bytes that end the pipeline.
            while not (yield WAIT_W):
                pass
            return


def _driver(connection: AsyncConnection) -> psycopg.AsyncConnection[Row]:
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
