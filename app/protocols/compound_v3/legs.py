"""An account's positions as the contract counts them at one block."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from app.domain.account import AccountSnapshot, LendingPosition
from app.domain.risk import Reason
from app.domain.units import BPS, WAD
from app.protocols.compound_v3.accrual import Indices, present_value
from app.protocols.compound_v3.raw import Raw


class Row(NamedTuple):
    """What one collateral counts for."""

    price: int | None
    """None when its feed gives none, which fails the accounts that hold it."""
    scale: int
    liquidate_factor: int
    borrow_factor: int
    supply_cap: int


class Book:
    """Raw state with indices: what accounts are valued by. `indices` None: interest could not be read."""

    __slots__ = ("base_code", "base_price", "base_scale", "indices", "raw", "rows")

    def __init__(self, raw: Raw, indices: Indices | None) -> None:
        self.raw = raw
        self.indices = indices
        self.base_code = raw.base.code
        terms = raw.base.terms
        self.base_scale = 10**raw.base.decimals if terms is None else terms.scale
        self.base_price = None if terms is None else raw.prices[raw.base.code] or None
        self.rows: dict[str, Row | None] = {
            one.code: None
            if one.terms is None
            else Row(
                raw.prices[one.code] or None,
                one.terms.scale,
                one.terms.liquidate_factor,
                one.terms.borrow_factor,
                one.terms.supply_cap,
            )
            for one in raw.collaterals
        }

    def with_price(self, market: str, price: int) -> Book:
        """The same with another price for one asset."""
        return Book(replace(self.raw, prices={**self.raw.prices, market: price}), self.indices)

    def debt(self, snapshot: AccountSnapshot) -> int:
        """What the account owes in base, rounded down; 0 for a supplier and where interest could not be read."""
        owed = next((p.borrowed_raw for p in snapshot.positions if p.market == self.base_code), 0)
        return present_value(owed, self.indices.borrow) if self.indices is not None else 0


@dataclass(frozen=True, slots=True)
class Leg:
    """One position in assets and in value."""

    position: LendingPosition
    symbol: str
    price: int | None
    """Known for whatever counts: None only for supplied base."""
    scale: int
    supplied_assets: int
    borrowed_assets: int
    supplied_value: int | None
    borrowed_value: int | None
    row: Row | None = None
    """Of a collateral that counts."""

    @property
    def capacity(self) -> int:
        """What it carries against liquidation."""
        return (self.supplied_value or 0) * self.row.liquidate_factor // WAD if self.row is not None else 0

    @property
    def borrowing_power(self) -> int:
        """What it carries for borrowing."""
        return (self.supplied_value or 0) * self.row.borrow_factor // WAD if self.row is not None else 0

    @property
    def threshold_bps(self) -> int:
        return self.row.liquidate_factor * BPS // WAD if self.row is not None else 0

    @property
    def max_ltv_bps(self) -> int:
        return self.row.borrow_factor * BPS // WAD if self.row is not None else 0


@dataclass(frozen=True, slots=True)
class Totals:
    """What health is computed from, 8 decimals of the market's own unit."""

    collateral: int
    """Unweighed."""
    capacity: int
    requirement: int
    """Value of the debt, rounded down."""
    borrowing_power: int


def read_legs(book: Book, snapshot: AccountSnapshot) -> tuple[list[Leg], list[Reason]]:
    """The account's legs, and what is missing to know its risk (then the legs are incomplete)."""
    legs: list[Leg] = []
    missing: list[Reason] = []
    for position in snapshot.positions:
        found = _base_leg(book, position) if position.market == book.base_code else _collateral_leg(book, position)
        if isinstance(found, Leg):
            legs.append(found)
        else:
            missing.append(found)
    return legs, missing


def add_up(legs: list[Leg]) -> Totals:
    """The account's totals."""
    return Totals(
        collateral=sum(leg.supplied_value or 0 for leg in legs if leg.row is not None),
        capacity=sum(leg.capacity for leg in legs),
        requirement=sum(leg.borrowed_value or 0 for leg in legs),
        borrowing_power=sum(leg.borrowing_power for leg in legs),
    )


def is_below(capacity: int, requirement: int, target_wad: int) -> bool:
    """Whether the health factor floor(capacity x 10^18 / requirement) is below `target_wad`; never without debt.

    At a target of 1.0 this is the contract's own comparison, capacity < requirement.
    """
    return bool(requirement) and capacity * WAD < target_wad * requirement


def view_carries(book: Book, snapshot: AccountSnapshot, *, borrowing: bool) -> bool | None:
    """What the contract's loop over the collaterals decides: whether they carry the debt, for borrowing or against
    liquidation. None where that loop reverts: a price is missing that it gets to. It ends as soon as the debt is
    carried, so a price further on may be missing.
    """
    owed = book.debt(snapshot)
    if not any(position.borrowed_raw for position in snapshot.positions):
        return True
    if book.indices is None or book.base_price is None:
        return None
    liquidity = -(owed * book.base_price // book.base_scale)
    held = {position.market: position.supplied_raw for position in snapshot.positions if position.is_collateral}
    for collateral in book.raw.collaterals:
        if collateral.code not in held:
            continue
        if liquidity >= 0:
            return True
        row = book.rows[collateral.code]
        if row is None or row.price is None:
            return None
        value = held[collateral.code] * row.price // row.scale
        liquidity += value * (row.borrow_factor if borrowing else row.liquidate_factor) // WAD
    return liquidity >= 0


def _base_leg(book: Book, position: LendingPosition) -> Leg | Reason:
    base, code = book.raw.base, position.market
    if book.indices is None:
        return Reason("market_unavailable", f"{base.symbol}: its interest could not be read", code)
    supplied = present_value(position.supplied_raw, book.indices.supply)
    borrowed = present_value(position.borrowed_raw, book.indices.borrow)
    price, scale = book.base_price, book.base_scale
    if position.borrowed_raw and price is None:
        return Reason("price_unavailable", f"{base.symbol}: its feed gives no price", code)
    return Leg(
        position,
        base.symbol,
        price,
        scale,
        supplied,
        borrowed,
        None if price is None else supplied * price // scale,
        None if price is None else borrowed * price // scale,
    )


def _collateral_leg(book: Book, position: LendingPosition) -> Leg | Reason:
    code = position.market
    collateral = book.raw.by_code.get(code)
    if collateral is None:
        return Reason("market_unavailable", "the market is not listed any more", code)
    row = book.rows[code]
    if row is None:
        return Reason("market_unavailable", f"{collateral.symbol}: its terms could not be read", code)
    if row.price is None:
        return Reason("price_unavailable", f"{collateral.symbol}: its feed gives no price", code)
    return Leg(
        position,
        collateral.symbol,
        row.price,
        row.scale,
        position.supplied_raw,
        0,
        position.supplied_raw * row.price // row.scale,
        0,
        row if position.is_collateral else None,
    )
