"""Whether a database's tables are what this program knows. Without Alembic: every start asks, few have to migrate."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from sqlalchemy import column, select, table

from app.errors import Refused
from app.store.postgres.faults import MIGRATE_COMMAND, SchemaMismatch
from app.store.postgres.session import Query, ReadSession

MIGRATIONS = Path(__file__).parents[3] / "migrations"

_STORED_REVISION = Query(select(column("version_num")).select_from(table("alembic_version")))
_REVISION = re.compile(r'^(revision|down_revision) = "(\w+)"$', re.MULTILINE)


def require_migrations() -> Path:
    """The folder of the migrations.

    Raises:
        Refused: it is not there.
    """
    if not MIGRATIONS.is_dir():
        raise Refused(f"the migrations are missing at {MIGRATIONS}: run from a checkout of the project")
    return MIGRATIONS


@cache
def known_revisions() -> frozenset[str]:
    """Every revision this program's tables ever had."""
    return frozenset(revision for revision, _ in _links())


@cache
def newest_revision() -> str:
    """The revision this program's tables have: the one that no other comes after."""
    (newest,) = known_revisions() - {before for _, before in _links()}
    return newest


async def verify_schema(session: ReadSession) -> None:
    """Make sure that the tables are exactly the ones this program knows.

    Raises:
        SchemaMismatch (Fatal): they are missing, older or newer; the message says what to run.
    """
    found = [row[0] for row in await session.rows(_STORED_REVISION)]
    if found == [newest_revision()]:
        return
    if set(found) <= known_revisions():
        raise SchemaMismatch(f"the database's tables are older than this program: run `{MIGRATE_COMMAND}`")
    raise SchemaMismatch("the database's tables are newer than this program: update the program")


def _links() -> list[tuple[str, str | None]]:
    """Each revision and the one before it, as the migrations say."""
    found = []
    for path in sorted((require_migrations() / "versions").glob("*.py")):
        said = dict(_REVISION.findall(path.read_text()))
        found.append((said["revision"], said.get("down_revision")))
    return found
