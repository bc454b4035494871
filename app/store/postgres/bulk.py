"""Many rows into one table: in one round trip with others while they are few, by COPY when they are many.

Values travel column by column as Postgres array literals made here: the driver's own list adaptation costs several
times as much as the insertion itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from sqlalchemy import ARRAY, BigInteger, Table, Text, bindparam, cast, func, insert, literal_column, select
from sqlalchemy import column as named
from sqlalchemy.sql.type_api import TypeEngine

from app.store.postgres.session import Asked, Query, WriteSession
from app.store.postgres.types import AddressBytes, bytes_array, copy_text, integer_array, text_array

FEW = 2_000
"""Up to so many rows a table go as one statement; more by COPY (measured to break even around here)."""

_PART_ROWS = 2_000

Column: TypeAlias = Sequence[Any]

THIS_BLOCK = select(literal_column("currval(pg_get_serial_sequence('blocks', 'id'))", BigInteger)).scalar_subquery()
"""The id of the block that this transaction has inserted, for statements sent before it is known here."""


class BulkTable:
    """A table of chain facts as the target of many rows that share one block."""

    def __init__(self, table: Table, block_column: str = "block_id", *, left_out: Collection[str] = ()) -> None:
        """
        Args:
            left_out: columns that stay NULL in these rows.
        """
        self.name = table.name
        self._block_column = block_column
        own = [column for column in table.columns if column.name not in (block_column, *left_out)]
        self._columns = tuple(column.name for column in own)
        self._types: tuple[TypeEngine[Any], ...] = tuple(column.type for column in own)
        sent = [Text() if isinstance(kind, ARRAY) else kind for kind in self._types]
        given = (
            func.unnest(*(bindparam(name, type_=ARRAY(kind)) for name, kind in zip(self._columns, sent, strict=True)))
            .table_valued(*(named(name, kind) for name, kind in zip(self._columns, sent, strict=True)), name="given")
            .render_derived()
        )
        values = [cast(given.c[column.name], column.type) for column in own]
        self._insert = Query(insert(table).from_select([*self._columns, block_column], select(*values, THIS_BLOCK)))

    def few(self, columns: Sequence[Column]) -> Asked:
        """The insertion as one statement. `columns`: values per column of these rows, their block left out.

        Arrays are given as their own literals, everything else as values.
        """
        return self._insert, {
            name: _literal(kind, values) for name, kind, values in zip(self._columns, self._types, columns, strict=True)
        }

    def copying(
        self, session: WriteSession, block_id: int, columns: Sequence[Column]
    ) -> AbstractAsyncContextManager[None]:
        """The insertion by COPY, as `WriteSession.copying`."""
        return session.copying(self.name, (*self._columns, self._block_column), self._lines(block_id, columns))

    def _lines(self, block_id: int, columns: Sequence[Column]) -> Iterator[str]:
        """What is copied, in parts: the server takes one in while the next is made."""
        end = f"\t{block_id}\n"
        for first in range(0, len(columns[0]), _PART_ROWS):
            part = (values[first : first + _PART_ROWS] for values in columns)
            fields = [_copied(kind, values) for kind, values in zip(self._types, part, strict=True)]
            yield end.join(map("\t".join, zip(*fields, strict=True))) + end


async def insert_rows(
    session: WriteSession, block_id: int | None, rows: Iterable[tuple[BulkTable, Sequence[Column]]]
) -> list[Asked]:
    """COPY whatever is many; the statements for the rest, to be sent together with others.

    `rows` may make them as it goes on: one table's while the server is at work on those of the table before.
    `block_id` is the block they share, inserted already; None: it will be in this transaction, so nothing is many.
    """
    statements: list[Asked] = []
    following = iter(rows)
    given = next(following, None)
    while given is not None:
        table, columns = given
        if block_id is not None and len(columns[0]) > FEW:
            async with table.copying(session, block_id, columns):
                given = next(following, None)
            continue
        if columns[0]:
            statements.append(table.few(columns))
        given = next(following, None)
    return statements


def _literal(kind: TypeEngine[Any], values: Column) -> str:
    if isinstance(kind, ARRAY):
        return '{"' + '","'.join(values) + '"}'
    if isinstance(kind, AddressBytes):
        return bytes_array(values)
    return text_array(values) if isinstance(kind, Text) else integer_array(values)


def _copied(kind: TypeEngine[Any], values: Column) -> Iterable[str]:
    if isinstance(kind, ARRAY):
        return values
    if isinstance(kind, Text):
        copied = {value: "\\N" if value is None else copy_text(value) for value in set(values)}
        return map(copied.__getitem__, values)
    if isinstance(kind, AddressBytes):
        return ["\\\\x" + value.hex() for value in values]
    return map(str, values)
