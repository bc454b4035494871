"""The least that brings an account to a target health factor: one repayment, or one addition of collateral."""

from __future__ import annotations

from app.domain.account import AccountSnapshot
from app.domain.risk import Remedy, Restoration
from app.domain.units import WAD, mul_div_up
from app.protocols.boundary import least, least_unbounded
from app.protocols.compound_v2.accrual import Accrued
from app.protocols.compound_v2.legs import Leg, Totals, add_up, is_below, read_legs, vai_debt

MAX_ASSETS = 2**128
"""No addition beyond this is looked at."""


def restore(accrued: Accrued, snapshot: AccountSnapshot, target_wad: int) -> Restoration:
    """Remedies as if done at this very block, through the markets' own rounding.

    Empty when the target is reached already, when the account's risk is unknown, and of each kind when nothing of
    that kind reaches it. Only entered markets are offered; pauses and caps are not looked at, nor is repaying VAI.
    """
    legs, missing = read_legs(accrued, snapshot)
    vai = vai_debt(accrued, snapshot)
    if missing or vai is None:
        return Restoration(target_wad, (), ())
    totals = add_up(legs, vai)
    if not is_below(totals.capacity, totals.requirement, target_wad):
        return Restoration(target_wad, (), ())
    repay = [_repay(leg, totals, target_wad) for leg in legs if leg.requirement]
    add = [_add(accrued, leg, totals, target_wad) for leg in legs if leg.is_counted and leg.row.threshold]
    return Restoration(
        target_wad,
        tuple(remedy for remedy in repay if remedy is not None),
        tuple(remedy for remedy in add if remedy is not None),
    )


def _repay(leg: Leg, totals: Totals, target_wad: int) -> Remedy | None:
    """The least repayment of this debt; it leaves the market's exchange rate as it is."""
    price, others = leg.row.price or 0, totals.requirement - leg.requirement

    def reaches(assets: int) -> bool:
        left = price * (leg.borrowed_assets - assets) // WAD
        return not is_below(totals.capacity, others + left, target_wad)

    return _remedy(leg, least(reaches, 1, leg.borrowed_assets))


def _add(accrued: Accrued, leg: Leg, totals: Totals, target_wad: int) -> Remedy | None:
    """The least deposit into this market: it mints whole cToken units, and what that cuts off raises the rate."""
    books, row, price = accrued.books(leg.listing.code), leg.row, leg.row.price or 0
    if books is None or not price:
        return None
    rest = totals.capacity - leg.capacity

    def reaches(assets: int) -> bool:
        minted = assets * WAD // row.rate
        supply = books.supply + minted
        rate = (books.total + assets) * WAD // supply if supply and books.supply else row.rate
        own = accrued.weight(row.threshold, rate, price) * (leg.position.supplied_raw + minted) // WAD
        return not is_below(rest + own, totals.requirement, target_wad)

    return _remedy(leg, least_unbounded(reaches, 1, MAX_ASSETS))


def _remedy(leg: Leg, assets: int | None) -> Remedy | None:
    if assets is None:
        return None
    return Remedy(leg.listing.code, assets, mul_div_up(assets, leg.row.price or 0, WAD))
