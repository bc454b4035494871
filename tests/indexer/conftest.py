"""Databases for tests that compare two runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg
import pytest

from app.store.postgres.engine import Database
from tests.fixtures.databases import Databases


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
async def make_database(databases: Databases) -> AsyncIterator[MakeDatabase]:
    """`make_database()`: as many migrated databases without rows as a test wants."""
    made: list[tuple[str, Place]] = []

    def make() -> Place:
        name = databases.take()
        url = databases.url(name)
        made.append((name, Place(url, Database(url))))
        return made[-1][1]

    yield make
    for name, place in made:
        await place.database.dispose()
        databases.give_back(name)
