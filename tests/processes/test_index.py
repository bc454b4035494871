"""How the process that follows a chain begins."""

from __future__ import annotations

import sys

import psycopg
import pytest

from app.processes.index import _bring_up_to_date
from app.store.postgres import migrate
from app.store.postgres.engine import Database
from app.store.postgres.faults import SchemaMismatch
from app.store.postgres.schema import newest_revision

pytestmark = pytest.mark.database


async def bring_up_to_date(url: str) -> None:
    database = Database(url)
    try:
        await _bring_up_to_date(database, url)
    finally:
        await database.dispose()


def revision(url: str) -> str:
    with psycopg.connect(url) as connection:
        ((found,),) = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    return str(found)


async def test_missing_and_older_tables_are_migrated(postgres_url: str) -> None:
    await bring_up_to_date(postgres_url)
    assert revision(postgres_url) == newest_revision()
    migrate.downgrade(postgres_url, "-1")
    await bring_up_to_date(postgres_url)
    assert revision(postgres_url) == newest_revision()


async def test_newer_tables_are_refused(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaMismatch):
        await bring_up_to_date(database_url)


async def test_tables_of_this_version_are_left_alone(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "app.store.postgres.migrate", None)
    await bring_up_to_date(database_url)
