"""Brings a database's tables to what this program knows."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from app.store.postgres.engine import parse_url, require_server_version
from app.store.postgres.faults import SchemaMismatch, translated
from app.store.postgres.schema import require_migrations


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
    config = Config()
    config.set_main_option("script_location", str(require_migrations()))
    config.attributes["url"] = url
    return config


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
