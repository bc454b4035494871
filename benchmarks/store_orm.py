"""Tables as ORM classes, for the contestants that use the ORM."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Table
from sqlalchemy.orm import registry

AnyRow = dict[str, object]
"""A row by column name."""


def mapped_classes(*tables: Table) -> list[type]:
    """ORM classes over tables, made as an application would have them."""
    mapper = registry()
    classes = [type(table.name.title(), (), {}) for table in tables]
    for made, table in zip(classes, tables, strict=True):
        mapper.map_imperatively(made, table)
    return classes


def mapped_object(mapped: Callable[[], object], row: AnyRow) -> object:
    """One row as an object of a mapped class."""
    made = mapped()
    for name, value in row.items():
        setattr(made, name, value)
    return made
