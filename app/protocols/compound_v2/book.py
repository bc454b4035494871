"""An account as sums that are linear in a few numbers a block: its legs, and those numbers.

Two factors a market: dollars that one cToken unit, and one unit of principal x index, is worth; and the interest index
of minted VAI. What the contracts cut off on the way is left out: the book screens, `CompoundPrices.health` decides.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.account import AccountSnapshot, LendingPosition
from app.domain.legs import CONSTANT, Factor, Leg
from app.domain.units import WAD
from app.protocols.compound_v2.accrual import Accrued, Row
from app.protocols.compound_v2.legs import pool_of
from app.protocols.compound_v2.raw import unpack_debt

VAI = "vai"


def make_legs(accrued: Accrued, snapshot: AccountSnapshot) -> tuple[Leg, ...] | None:
    """The account's legs; None when something it needs could not be read, and it is UNKNOWN."""
    rows = accrued.rows(pool_of(accrued, snapshot))
    legs: list[Leg] = []
    for position in snapshot.positions:
        row = rows.get(position.market)
        if row is None:
            return None
        if position.is_collateral and row.listed:
            legs += _legs(accrued, position, row)
    if not accrued.rules.pools or not snapshot.params[1]:
        return tuple(legs)
    _, minted, past, since = snapshot.params
    if accrued.raw.vai_index is None or minted < past:
        return None
    growing = (minted - past) / WAD
    legs.append(Leg(VAI, 0.0, 0.0, growing / WAD))
    legs.append(Leg(CONSTANT, 0.0, 0.0, minted / WAD - growing * since / WAD))
    return tuple(legs)


def make_factors(accrued: Accrued) -> tuple[Factor, ...]:
    """Every factor at the block."""
    factors = [factor for listing in accrued.raw.listings for factor in _pair(accrued, listing.code)]
    index = accrued.raw.vai_index
    return (*factors, Factor(VAI, None if index is None else float(index)))


def basis(accrued: Accrued) -> object:
    """What legs depend on besides the account: equal values mean that legs made before still hold."""
    raw = accrued.raw
    terms = {listing.code: (listing.words, accrued.books(listing.code) is None) for listing in raw.listings}
    return accrued.rules, terms, raw.pools, raw.vai_index is None


def _legs(accrued: Accrued, position: LendingPosition, row: Row) -> Iterator[Leg]:
    """A market that counts for nothing hangs on its price all the same where the rules ask for it."""
    tokens, debt = float(position.supplied_raw), position.borrowed_raw
    if tokens or not (debt or accrued.rules.skips_empty):
        yield Leg(f"s:{position.market}", tokens, tokens * row.threshold / WAD, 0.0)
    if debt:
        principal, since = unpack_debt(debt)
        yield Leg(f"b:{position.market}", 0.0, 0.0, principal / since)


def _pair(accrued: Accrued, code: str) -> Iterator[Factor]:
    books, price = accrued.books(code), accrued.raw.prices.get(code)
    dollars = price / WAD / WAD if price else None
    for name, index in (
        (f"s:{code}", None if books is None else books.exchange_rate / WAD),
        (f"b:{code}", None if books is None else float(books.borrow_index)),
    ):
        yield Factor(name, None if dollars is None or index is None else index * dollars, code)
