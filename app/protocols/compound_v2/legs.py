"""An account's positions as the contract counts them at one block."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.account import AccountSnapshot, LendingPosition
from app.domain.risk import Reason
from app.domain.units import BPS, WAD
from app.protocols.compound_v2.accrual import Accrued, Row
from app.protocols.compound_v2.raw import CORE_POOL, Listing, unpack_debt

SHOWN_DECIMALS = 18
"""Decimals of every value and price stated."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One position in assets and in value. Values are None only for what is neither collateral nor counted debt."""

    listing: Listing
    position: LendingPosition
    row: Row
    is_counted: bool
    """Entered and listed: only such a market counts, as collateral and as debt."""
    supplied_assets: int
    borrowed_assets: int
    supplied_value: int | None
    borrowed_value: int | None
    capacity: int
    """Weighed collateral value; 0 for what is not counted."""
    requirement: int
    """Debt value as counted."""
    borrowing_power: int
    """Collateral value weighed for borrowing."""

    @property
    def threshold_bps(self) -> int:
        return self.row.threshold * BPS // WAD if self.is_counted else 0

    @property
    def max_ltv_bps(self) -> int:
        return self.row.factor * BPS // WAD if self.is_counted else 0


@dataclass(frozen=True, slots=True)
class Totals:
    """What health is computed from, USD with 18 decimals."""

    collateral: int
    """Unweighed."""
    capacity: int
    requirement: int
    """Debts, minted VAI included."""
    borrowing_power: int
    """At the oracle's own prices; Venus bounds them more tightly for new debts while they move fast."""


def pool_of(accrued: Accrued, snapshot: AccountSnapshot) -> int:
    """The pool whose terms apply."""
    return snapshot.params[0] if accrued.rules.pools else CORE_POOL


def vai_debt(accrued: Accrued, snapshot: AccountSnapshot) -> int | None:
    """What the account owes in minted VAI, which counts as 1 USD; None when unknown.

    Interest is counted up to when the controller last stored its index, as the Comptroller's own view does.
    Source: `VAIController.getVAIRepayAmount`.
    """
    _, minted, past, since = snapshot.params
    if not accrued.rules.pools or not minted:
        return 0
    index = accrued.raw.vai_index
    if index is None or index < since or minted < past:
        return None
    return minted + (index - since) * (minted - past) // WAD


def read_legs(accrued: Accrued, snapshot: AccountSnapshot) -> tuple[list[Leg], list[Reason]]:
    """The account's legs, and what is missing to know its risk (then the legs are incomplete)."""
    legs: list[Leg] = []
    missing: list[Reason] = []
    for position in snapshot.positions:
        leg = _leg(accrued, position, pool_of(accrued, snapshot))
        if isinstance(leg, Leg):
            legs.append(leg)
        else:
            missing.append(leg)
    if vai_debt(accrued, snapshot) is None:
        missing.append(Reason("market_unavailable", "the interest on minted VAI could not be read"))
    return legs, missing


def add_up(legs: list[Leg], vai: int) -> Totals:
    """The account's totals."""
    return Totals(
        collateral=sum(leg.supplied_value or 0 for leg in legs if leg.is_counted),
        capacity=sum(leg.capacity for leg in legs),
        requirement=sum(leg.requirement for leg in legs) + vai,
        borrowing_power=sum(leg.borrowing_power for leg in legs),
    )


def is_below(capacity: int, requirement: int, target_wad: int) -> bool:
    """Whether the health factor floor(capacity / requirement) is below `target_wad`; never without debt."""
    return bool(requirement) and capacity * WAD < target_wad * requirement


def shown_price(price: int, decimals: int) -> int:
    """The oracle's price as USD with 18 decimals for one whole token, rounded down."""
    shift = 10 ** abs(SHOWN_DECIMALS - decimals)
    return int(price // shift if decimals < SHOWN_DECIMALS else price * shift)


def oracle_price(shown: int, decimals: int) -> int:
    """A stated price in the oracle's own unit, rounded down."""
    shift = 10 ** abs(SHOWN_DECIMALS - decimals)
    return int(shown * shift if decimals < SHOWN_DECIMALS else shown // shift)


def _leg(accrued: Accrued, position: LendingPosition, pool: int) -> Leg | Reason:
    """The leg, or why it cannot be valued although the contract needs it."""
    code = position.market
    listing = accrued.raw.by_code.get(code)
    if listing is None:
        return Reason("market_unavailable", "the market is not listed any more", code)
    row = accrued.rows(pool)[code]
    if row is None:
        where = f" or the terms of pool {pool}" if pool != CORE_POOL else ""
        return Reason("market_unavailable", f"{listing.symbol}: its books{where} could not be read", code)
    tokens, borrowed = position.supplied_raw, 0
    if position.borrowed_raw:
        principal, since = unpack_debt(position.borrowed_raw)
        borrowed = principal * row.borrow_index // since
    counted = position.is_collateral and row.listed
    price = row.price
    if counted and not price and (tokens or borrowed or not accrued.rules.skips_empty):
        return Reason("price_unavailable", f"{listing.symbol}: the oracle gives no price", code)
    supplied = tokens * row.rate // WAD
    return Leg(
        listing=listing,
        position=position,
        row=row,
        is_counted=counted,
        supplied_assets=supplied,
        borrowed_assets=borrowed,
        supplied_value=supplied * price // WAD if price else None,
        borrowed_value=borrowed * price // WAD if price else None,
        capacity=row.weight * tokens // WAD if counted else 0,
        requirement=price * borrowed // WAD if counted and price else 0,
        borrowing_power=accrued.weight(row.factor, row.rate, price) * tokens // WAD if counted and price else 0,
    )
