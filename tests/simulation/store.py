"""Two databases for a worker's seeds, and a way to one of them that fails: before, in and after transactions."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from app.store.postgres import migrate
from app.store.postgres.embedded import EmbeddedPostgres
from app.store.postgres.engine import Database
from app.store.postgres.faults import DatabaseUnavailable
from app.store.postgres.locks import AdvisoryLock
from app.store.postgres.session import ReadSession, WriteSession
from tests.indexer.tables import Tables, dump_tables

_LIVING = "simulated"
"""The role of the connections that faults and deaths end."""
_END = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = %s"""
QUICK_SERVER = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
"""Nobody cuts the power in a simulation."""


class Place:
    """One migrated database, emptied for every seed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(url, role="straight")
        self.living = FaultyDatabase(url)
        self._admin = psycopg.connect(url, autocommit=True)
        names = self._admin.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        ).fetchall()
        self._truncate = f"TRUNCATE {', '.join(name for (name,) in names)} RESTART IDENTITY".encode()

    def clear(self) -> None:
        """Forget everything, as after a migration."""
        self.end_connections()
        self._admin.execute(self._truncate)

    def end_connections(self) -> None:
        """What a process's death or a restarted server does to its connections. They are gone on return."""
        while self._admin.execute(_END, (_LIVING,)).fetchall():
            time.sleep(0.001)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What is stored, past every fault."""
        return self._admin.execute(query.encode()).fetchall()

    def dump(self) -> Tables:
        """Every table by natural keys."""
        return dump_tables(self.url)

    async def close(self) -> None:
        """Close the connections."""
        self._admin.close()
        await self.database.dispose()
        await self.living.dispose()


class FaultyDatabase(Database):
    """A database that fails as `trouble` says, which is told what is being done and may raise."""

    def __init__(self, url: str) -> None:
        super().__init__(url, role=_LIVING)
        self.trouble: Callable[[str], None] = lambda _: None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        self.trouble("read")
        async with super().read() as session:
            yield session

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[ReadSession]:
        self.trouble("read")
        async with super().alone() as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        self.trouble("write")
        async with super().write() as session:
            yield session
            self.trouble("commit")
        self.trouble("committed")

    @asynccontextmanager
    async def lock(self, chain_id: int, role: str) -> AsyncIterator[AdvisoryLock]:
        self.trouble("lock")
        async with super().lock(chain_id, role) as lock:
            yield FaultyLock(lock, self)


class FaultyLock(AdvisoryLock):
    """A lock whose transactions fail as those of its database do."""

    def __init__(self, lock: AdvisoryLock, database: FaultyDatabase) -> None:
        super().__init__(lock._connection, lock.name)
        self._database = database

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        self._database.trouble("write")
        async with super().write() as session:
            yield session
            self._database.trouble("commit")
        self._database.trouble("committed")


def unavailable(what: str) -> DatabaseUnavailable:
    """What a lost connection is translated to."""
    return DatabaseUnavailable(f"the database went away: {what}")


@dataclass(frozen=True)
class Server:
    """Databases made from one migrated template."""

    url: str

    def make_place(self, name: str) -> Place:
        """A new database."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template STRATEGY file_copy".encode())
        return Place(self.url.replace("/postgres?", f"/{name}?"))


def start_server(directory: Path) -> EmbeddedPostgres:
    """A server of the simulation's own with its template; the caller's to stop."""
    server = EmbeddedPostgres(directory / "data", QUICK_SERVER)
    server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE template")
    migrate.upgrade(server.url.replace("/postgres?", "/template?"))
    return server
