"""An account as sums that are linear in a few numbers a block: its legs, and those numbers.

The price of each collateral, and what one unit of the debt's principal is worth. What the contract truncates on the
way is left out: the book screens, `CometPrices.health` decides.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.account import AccountSnapshot
from app.domain.legs import Factor, Leg
from app.domain.units import WAD
from app.protocols.compound_v3 import legs
from app.protocols.compound_v3.raw import INDEX_SCALE, PRICE_DECIMALS

_VALUE = 10**PRICE_DECIMALS


def make_legs(book: legs.Book, snapshot: AccountSnapshot) -> tuple[Leg, ...] | None:
    """The account's legs; None when something it needs could not be read, and it is UNKNOWN."""
    found: list[Leg] = []
    for position in snapshot.positions:
        code = position.market
        if code == book.base_code:
            if book.indices is None:
                return None
            if position.borrowed_raw:
                found.append(Leg(_debt(code), 0.0, 0.0, float(position.borrowed_raw)))
            continue
        row = book.rows.get(code)
        if row is None:
            return None
        held = float(position.supplied_raw) if position.is_collateral else 0.0
        # what is not counted hangs on its price all the same: without one the account is UNKNOWN
        found.append(Leg(_collateral(code), held, held * row.liquidate_factor / WAD, 0.0))
    return tuple(found)


def make_factors(book: legs.Book) -> tuple[Factor, ...]:
    """Every factor at the block."""
    return (_debt_factor(book), *_collateral_factors(book))


def basis(book: legs.Book) -> object:
    """What legs depend on besides the account: equal values mean that legs made before still hold."""
    rows = {code: None if row is None else row.liquidate_factor for code, row in book.rows.items()}
    return book.indices is None, book.base_code, rows


def _debt_factor(book: legs.Book) -> Factor:
    code, price = book.base_code, book.base_price
    value = None
    if book.indices is not None and price is not None:
        value = book.indices.borrow / INDEX_SCALE * price / book.base_scale / _VALUE
    return Factor(_debt(code), value, rises_with=code, falls_with=_measure(book))


def _collateral_factors(book: legs.Book) -> Iterator[Factor]:
    for code, row in book.rows.items():
        value = None if row is None or row.price is None else row.price / row.scale / _VALUE
        yield Factor(_collateral(code), value, rises_with=code, falls_with=_measure(book))


def _measure(book: legs.Book) -> str | None:
    """The asset prices are counted in, taken to be the base asset where they are not counted in dollars."""
    return None if book.raw.currency == "USD" else book.base_code


def _collateral(code: str) -> str:
    return f"s:{code}"


def _debt(code: str) -> str:
    return f"b:{code}"
