"""Migrations lead exactly to the tables the program knows, back again, and say when they were not run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.errors import Fatal, Refused
from app.store.postgres import migrate, schema
from app.store.postgres.engine import Database
from app.store.postgres.faults import SchemaMismatch
from app.store.postgres.schema import known_revisions, newest_revision, verify_schema

pytestmark = pytest.mark.database

_ROOT = Path(__file__).parents[2]


def _tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {name for (name,) in rows}


async def _verify(url: str) -> None:
    database = Database(url)
    try:
        async with database.read() as session:
            await verify_schema(session)
    finally:
        await database.dispose()


def test_the_metadata_and_the_migrations_agree(database_url: str) -> None:
    command.check(migrate.migration_config(database_url))


def test_alembic_ini_takes_its_url_from_the_setting(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(_ROOT / "alembic.ini")
    assert config.get_main_option("sqlalchemy.url") is None
    monkeypatch.setenv("DATABASE_URL", database_url)
    command.check(config)


def test_what_is_read_without_alembic_is_what_alembic_reads() -> None:
    scripts = ScriptDirectory.from_config(migrate.migration_config(""))
    assert newest_revision() == scripts.get_current_head()
    assert known_revisions() == {one.revision for one in scripts.walk_revisions()}


def test_every_migration_goes_down_and_up_again(postgres_url: str) -> None:
    migrate.upgrade(postgres_url)
    there = _tables(postgres_url)
    migrate.downgrade(postgres_url, "base")
    assert _tables(postgres_url) == {"alembic_version"}
    migrate.upgrade(postgres_url)
    migrate.upgrade(postgres_url)
    assert _tables(postgres_url) == there


def test_processes_that_migrate_at_once_take_turns(postgres_url: str) -> None:
    command = [sys.executable, "-c", "import sys; from app.store.postgres.migrate import upgrade; upgrade(sys.argv[1])"]
    running = [subprocess.Popen([*command, postgres_url], cwd=_ROOT) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]


async def test_tables_of_another_version_are_fatal_and_say_what_to_do(database_url: str, postgres_url: str) -> None:
    await _verify(database_url)
    with pytest.raises(SchemaMismatch, match="waterline migrate"):
        await _verify(postgres_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Fatal, match="update the program"):
        await _verify(database_url)
    with pytest.raises(SchemaMismatch, match="cannot be migrated"):
        migrate.upgrade(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM alembic_version")
    with pytest.raises(SchemaMismatch, match="waterline migrate"):
        await _verify(database_url)


def test_a_missing_folder_of_migrations_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", tmp_path / "none")
    with pytest.raises(Refused, match="none"):
        migrate.migration_config("")
