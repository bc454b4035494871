"""Runs migrations in one transaction, one process at a time, without ever waiting long for a lock on a table."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from app.settings import load_settings
from app.store.postgres.engine import parse_url
from app.store.postgres.locks import lock_key
from app.store.tables import audit, kept, tracked, watch  # noqa: F401 - their tables belong to the metadata
from app.store.tables.chain import metadata


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, compare_server_default=True)
    with context.begin_transaction():
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_key("migrations")})
        # A migration that cannot get its table at once gives up, instead of queueing everybody else behind it.
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        context.run_migrations()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
elif (given := context.config.attributes.get("connection")) is not None:
    _migrate(given)
    given.commit()
else:
    url = context.config.attributes.get("url") or load_settings().require_database_url().reveal()
    with create_engine(parse_url(url), poolclass=NullPool, hide_parameters=True).connect() as opened:
        _migrate(opened)
        opened.commit()
