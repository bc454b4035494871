"""Brings a database's tables to what this program knows, and says when they are not."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import column, create_engine, select, table
from sqlalchemy.pool import NullPool

from app.errors import Refused
from app.store.engine import Query, ReadSession, parse_url, require_server_version
from app.store.faults import MIGRATE_COMMAND, SchemaMismatch, translated

_MIGRATIONS = Path(__file__).parent.parent.parent / "migrations"

_STORED_REVISION = Query(select(column("version_num")).select_from(table("alembic_version")))


def upgrade(url: str, revision: str = "head") -> None:
    """Run every missing migration. Several processes may do so at once: an advisory lock makes them take turns.

    Blocking: a program with an event loop calls it in a thread.

    Raises:
        SchemaMismatch (Fatal): the tables are newer than this program.
        DatabaseUnavailable (Retryable), Refused: as every use of the database.
    """
    _run(url, revision, up=True)


def downgrade(url: str, revision: str) -> None:
    """Undo migrations down to `revision`; `base` removes every table with its rows."""
    _run(url, revision, up=False)


def migration_config(url: str) -> Config:
    """Alembic's configuration for one database, without a file."""
    if not _MIGRATIONS.is_dir():
        raise Refused(f"the migrations are missing at {_MIGRATIONS}: run from a checkout of the project")
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["url"] = url
    return config


@cache
def newest_revision() -> str:
    """The revision this program's tables have."""
    head = ScriptDirectory.from_config(migration_config("")).get_current_head()
    assert head is not None
    return head


async def verify_schema(session: ReadSession) -> None:
    """Make sure that the tables are exactly the ones this program knows.

    Raises:
        SchemaMismatch (Fatal): they are missing, older or newer; the message says what to run.
    """
    found = [row[0] for row in await session.rows(_STORED_REVISION)]
    if found == [newest_revision()]:
        return
    known = {script.revision for script in ScriptDirectory.from_config(migration_config("")).walk_revisions()}
    if set(found) <= known:
        raise SchemaMismatch(f"the database's tables are older than this program: run `{MIGRATE_COMMAND}`")
    raise SchemaMismatch("the database's tables are newer than this program: update the program")


def _run(url: str, revision: str, *, up: bool) -> None:
    config = migration_config(url)
    engine = create_engine(parse_url(url), poolclass=NullPool, hide_parameters=True)
    with translated(), engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        require_server_version(driver.info.server_version)
        config.attributes["connection"] = connection
        try:
            (command.upgrade if up else command.downgrade)(config, revision)
        except CommandError as error:
            raise SchemaMismatch(f"the database's tables cannot be migrated by this program: {error}") from error
