"""Statements and the transactions they run in.

A `ReadSession` is one REPEATABLE READ, READ ONLY transaction: everything read through it belongs to one moment, so
to one block. A `WriteSession` is one transaction that commits when its block ends without an exception. They are
different types: a function that writes cannot be given a reading session.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import psycopg
from psycopg.abc import PQGen
from psycopg.generators import READY_R, READY_W, WAIT_RW, WAIT_W
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

Row: TypeAlias = tuple[Any, ...]
Parameters: TypeAlias = Mapping[str, Any]
Driver: TypeAlias = psycopg.AsyncConnection[Row]
"""The driver's own connection."""

DIALECT = make_url("postgresql+psycopg_async://").get_dialect()()
_PART_ROWS = 2000


class Query:
    """A Core statement compiled once, to run on the driver's own connection (SQLAlchemy's execution costs 2-5 times
    the CPU of a small query). Its parameters are the statement's named bind parameters."""

    def __init__(self, statement: Executable) -> None:
        assert isinstance(statement, ClauseElement)
        compiled = statement.compile(dialect=DIALECT)
        assert isinstance(compiled, SQLCompiler)
        self.sql = str(compiled).encode()
        self.constants = {name: bound.effective_value for name, bound in compiled.binds.items() if not bound.required}


Asked: TypeAlias = tuple[Query, Parameters]
"""A query with its parameters."""


class ReadSession:
    """A transaction to read in."""

    def __init__(self, driver: Driver) -> None:
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
                await self._abandon()

    async def _abandon(self) -> None:
        """Have nobody use the connection after this session."""
        await self._driver.close()


class WriteSession(ReadSession):
    """A transaction to write in; it may read what it writes."""

    def __init__(self, driver: Driver, connection: AsyncConnection | None = None) -> None:
        """`connection`: SQLAlchemy's, where it is of its pool."""
        super().__init__(driver)
        self._connection = connection

    @property
    def connection(self) -> AsyncConnection:
        """SQLAlchemy's connection, for whatever is not worth a `Query`; a lock's transactions have none."""
        assert self._connection is not None
        return self._connection

    async def _abandon(self) -> None:
        if self._connection is not None:
            await self._connection.invalidate()
        else:
            await super()._abandon()

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


async def make_idle(connection: Driver) -> bool:
    """Undo what was begun and not committed, so that the connection may be used again; if it may not, close it."""
    is_idle = False
    try:
        if connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            with suppress(psycopg.Error):
                await connection.rollback()
        is_idle = not connection.closed and connection.info.transaction_status is TransactionStatus.IDLE
    finally:  # also where this is cancelled
        if not is_idle:
            await connection.close()
    return is_idle


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
