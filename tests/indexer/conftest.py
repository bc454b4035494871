"""Databases for tests that compare two runs."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg
import pytest

from app.store.embedded import EmbeddedPostgres
from app.store.engine import Database

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """One fresh database."""

    url: str
    database: Database

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of the test's own, in autocommit."""
        return psycopg.connect(self.url, autocommit=True)


MakeDatabase: TypeAlias = Callable[[], Place]


@pytest.fixture
async def make_database(postgres: EmbeddedPostgres) -> AsyncIterator[MakeDatabase]:
    """`make_database()`: as many migrated empty databases as a test wants."""
    made: list[tuple[str, Place]] = []

    def make() -> Place:
        name = f"indexer_{next(_numbers)}"
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template STRATEGY file_copy".encode())
        url = postgres.url.replace("/postgres?", f"/{name}?")
        made.append((name, Place(url, Database(url))))
        return made[-1][1]

    yield make
    for name, place in made:
        await place.database.dispose()
        with suppress(psycopg.Error), psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
