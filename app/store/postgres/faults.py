"""Failures of the database, translated once into the project's own. No message holds a URL, a password or a value."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors
from sqlalchemy import exc

from app.errors import Fatal, Refused, Retryable, WaterlineError

MIGRATE_COMMAND = "waterline migrate"


class DatabaseUnavailable(Retryable):
    """The database cannot be reached, is overloaded, or ended the statement: the same call may succeed later."""


class SchemaMismatch(Fatal):
    """The database's tables are not the ones this program knows."""


class StoreBroken(Fatal):
    """The database refused a statement that must always be valid: a defect, or somebody else wrote to the tables."""


_SCHEMA = (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName, errors.UndefinedObject)
_REFUSED = (errors.InvalidPassword, errors.InvalidAuthorizationSpecification, errors.InvalidCatalogName)
_REFUSALS = (
    ("password authentication failed", "the user or the password is wrong"),
    ("no password supplied", "it wants a password"),
    ("role ", "there is no such user"),
    ("does not exist", "there is no such database"),
    ("no pg_hba.conf entry", "it does not let this user or host in"),
)
"""What libpq's text says -> what to tell."""
_LATER = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.InFailedSqlTransaction,
    errors.IdleInTransactionSessionTimeout,
)


def translate(error: BaseException) -> WaterlineError:
    """The project's own failure for a foreign one."""
    if isinstance(error, exc.DBAPIError) and error.orig is not None:
        error = error.orig
    if isinstance(error, exc.TimeoutError):
        return DatabaseUnavailable("every database connection is busy")
    if isinstance(error, exc.InvalidRequestError | exc.DisconnectionError):
        # what SQLAlchemy itself says of a connection that the server ended between two statements
        return DatabaseUnavailable("the database connection was lost")
    if not isinstance(error, psycopg.Error):
        return StoreBroken(f"database access failed: {type(error).__name__}")
    what = error.diag.message_primary
    if what is None and isinstance(error, psycopg.OperationalError):
        return _no_connection(str(error))
    what = what or type(error).__name__
    if isinstance(error, _SCHEMA):
        return SchemaMismatch(f"the database's tables are missing or older than this program: run `{MIGRATE_COMMAND}`")
    if isinstance(error, _REFUSED):
        return Refused(f"the database refused the connection: {what}")
    if isinstance(error, _LATER):
        return DatabaseUnavailable(f"database: {what}")
    return StoreBroken(f"the database refused a statement ({error.sqlstate or type(error).__name__}): {what}")


def _no_connection(text: str) -> WaterlineError:
    """Of a connection that never came about the driver has only libpq's text, which names host, user and database."""
    for mark, meaning in _REFUSALS:
        if mark in text:
            return Refused(f"the database refused the connection: {meaning}")
    return DatabaseUnavailable("the database cannot be reached")


@contextmanager
def translated() -> Iterator[None]:
    """Whatever the driver or SQLAlchemy raises inside leaves as a WaterlineError; in a task that is being cancelled, as
    the cancellation."""
    try:
        yield
    except (psycopg.Error, exc.SQLAlchemyError) as error:
        end_if_cancelled(error)
        raise translate(error) from error


def end_if_cancelled(error: BaseException) -> None:
    """Go on with the cancellation where `error` took its place: a driver that is cancelled in the middle of an answer
    may close the connection and complain of that instead, and a loop that tries again would never end.

    Raises:
        CancelledError: this task is being cancelled.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return  # no event loop, so nothing that could be cancelled
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from error
