"""What all adapters need to turn their stored records back into raw numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias, overload

from app.domain.chain import Address
from app.domain.market import MarketRecord

Values: TypeAlias = tuple[int | None, ...]
"""Of one record; None is "could not be read"."""


def values_by_kind(records: Iterable[MarketRecord]) -> dict[str, dict[str, Values]]:
    """The values of records by kind, then by subject."""
    by_kind: dict[str, dict[str, Values]] = {}
    for record in records:
        by_kind.setdefault(record.kind, {})[record.subject] = record.values
    return by_kind


@overload
def address_number(address: Address) -> int: ...
@overload
def address_number(address: Address | None) -> int | None: ...
def address_number(address: Address | None) -> int | None:
    """An address as a record holds it."""
    return None if address is None else int.from_bytes(address, "big")


def read_address(value: int | None) -> Address:
    """Inverse of `address_number` where there has to be one.

    Raises:
        ValueError: there is none.
        OverflowError: the number is too large for an address.
    """
    return Address(known(value).to_bytes(20, "big"))


def known(value: int | None) -> int:
    """A number that every record of its kind has.

    Raises:
        ValueError: it is missing.
    """
    if value is None:
        raise ValueError("a number that is always known is missing")
    return value
