"""How domain values look in Postgres: uint256 as NUMERIC(78,0), addresses and hashes as bytea. Nothing is a float."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Loader
from psycopg.postgres import adapters as default_adapters
from sqlalchemy import Dialect, LargeBinary, Numeric, TypeDecorator
from sqlalchemy.dialects.postgresql import ARRAY

from app.domain.chain import Address, Hash32


class Integer256(TypeDecorator[int]):
    """Any integer of up to 78 decimal digits, sign included: every uint256 and int256, exactly.

    The conversion itself is the driver's (`driver_adapters`), so that it also holds where a statement runs on the
    driver's own connection; here only what is not an integer is kept out.
    """

    impl = Numeric(78, 0)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        if value is not None and type(value) is not int:
            raise TypeError(f"expected int, got {type(value).__name__}")
        return value

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else int(value)


class AddressBytes(TypeDecorator[Address]):
    """A 20-byte address as bytea."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Address | None, dialect: Dialect) -> bytes | None:
        return None if value is None else bytes(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Address | None:
        return None if value is None else Address(value)


class HashBytes(TypeDecorator[Hash32]):
    """A 32-byte hash as bytea."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Hash32 | None, dialect: Dialect) -> bytes | None:
        return None if value is None else bytes(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Hash32 | None:
        return None if value is None else Hash32(value)


Integer256Array = ARRAY(Numeric(78, 0), dimensions=1)
"""A row of raw integers of fixed meaning; an element may be NULL (could not be read)."""


class _IntegerLoader(Loader):
    """NUMERIC arrives as int. This database holds no fractions: one would be a defect and raises ValueError."""

    def load(self, data: Buffer) -> int:
        return int(bytes(data))


_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\0": None})


def driver_adapters() -> AdaptersMap:
    """The driver's conversions with NUMERIC <-> int, alone and inside arrays; for a connection's `context`."""
    adapters = AdaptersMap(default_adapters)
    adapters.register_loader("numeric", _IntegerLoader)
    return adapters


def numeric_array(values: tuple[int | None, ...]) -> str:
    """A Postgres array literal of integers, as COPY and casts take it."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def integer_array(values: Iterable[int]) -> str:
    """A Postgres array literal of integers or flags, none NULL."""
    return "{" + ",".join(map(str, values)) + "}"


class _Quoted(dict[str | None, str]):
    """Texts as elements of an array literal: the ids among them come again and again."""

    def __missing__(self, value: str | None) -> str:
        quoted = self[value] = "NULL" if value is None else f'"{value.translate(_ESCAPED)}"'
        return quoted


def text_array(values: Iterable[str | None]) -> str:
    """A Postgres array literal of texts. NUL, which Postgres cannot hold, is left out."""
    return "{" + ",".join(map(_Quoted().__getitem__, values)) + "}"


def bytes_array(values: Iterable[bytes]) -> str:
    """A Postgres array literal of bytea."""
    return "{" + ",".join([f'"\\\\x{value.hex()}"' for value in values]) + "}"


def copy_text(text: str) -> str:
    """Text as COPY takes it. NUL, which Postgres cannot hold, is left out."""
    for plain, escaped in (("\0", ""), ("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(plain, escaped)
    return text
