"""Another client of a contestant's database."""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
from psycopg.errors import InvalidSchemaName, UndefinedTable


class Observer:
    """Another client of a contestant's database."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)

    def rows(self, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """All rows; none while the table is not there."""
        try:
            return self._connection.execute(query, values).fetchall()
        except (UndefinedTable, InvalidSchemaName):
            return []

    def row(self, query: LiteralString, *values: object) -> tuple[Any, ...] | None:
        """The first row, if any."""
        found = self.rows(query, *values)
        return found[0] if found else None

    def value(self, query: LiteralString) -> object:
        """The first value of the first row; None without one."""
        row = self.row(query)
        return None if row is None else row[0]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
