"""The least repayment and the least additions of collateral that each alone reach a health factor."""

from __future__ import annotations

from app.domain.account import AccountSnapshot
from app.domain.risk import Remedy, Restoration
from app.domain.units import WAD, mul_div_up
from app.protocols.boundary import least
from app.protocols.compound_v3.accrual import debt_principal, present_value
from app.protocols.compound_v3.legs import Book, Leg, Totals, add_up, is_below, read_legs
from app.protocols.compound_v3.liquidation import least_dividend
from app.protocols.compound_v3.raw import PAUSED_SUPPLY

MAX_ASSETS = 2**128
"""The contract's balances do not hold more."""


def restore(book: Book, snapshot: AccountSnapshot, target_wad: int) -> Restoration:
    """Remedies as if done at this very block, through the contract's own rounding of the principal.

    Empty when the target is reached already, when the account's risk is unknown, while supplying is paused (it is
    how both are done), and of each kind when nothing of that kind reaches it. Only collateral the account already
    holds is offered, and none that is being phased out (a supply cap of 0); other caps are not looked at.
    """
    legs, missing = read_legs(book, snapshot)
    totals = add_up(legs)
    state = book.raw.totals
    paused = state is not None and bool(state.pause_flags & PAUSED_SUPPLY)
    if missing or paused or not is_below(totals.capacity, totals.requirement, target_wad):
        return Restoration(target_wad, (), ())
    repay = [_repay(book, leg, totals, target_wad) for leg in legs if leg.borrowed_value]
    add = [_add(leg, totals, target_wad) for leg in legs if leg.row is not None and leg.row.supply_cap]
    return Restoration(
        target_wad,
        tuple(remedy for remedy in repay if remedy is not None),
        tuple(remedy for remedy in add if remedy is not None),
    )


def _repay(book: Book, leg: Leg, totals: Totals, target_wad: int) -> Remedy | None:
    """The least repayment: what is left is written as a principal rounded up, whose worth is rounded down."""
    if book.indices is None or leg.price is None:
        return None
    price, index = leg.price, book.indices.borrow

    def reaches(assets: int) -> bool:
        left = present_value(debt_principal(leg.borrowed_assets - assets, index), index)
        return not is_below(totals.capacity, left * price // leg.scale, target_wad)

    return _remedy(leg, least(reaches, 1, leg.borrowed_assets))


def _add(leg: Leg, totals: Totals, target_wad: int) -> Remedy | None:
    """The least addition, the floors solved backwards."""
    if leg.row is None or not leg.row.liquidate_factor or leg.price is None:
        return None
    capacity = mul_div_up(target_wad, totals.requirement, WAD)
    value = least_dividend(capacity - (totals.capacity - leg.capacity), leg.row.liquidate_factor, WAD)
    balance = least_dividend(value, leg.price, leg.scale)
    return _remedy(leg, balance - leg.supplied_assets) if balance < MAX_ASSETS else None


def _remedy(leg: Leg, assets: int | None) -> Remedy | None:
    if assets is None or leg.price is None:
        return None
    return Remedy(leg.position.market, assets, mul_div_up(assets, leg.price, leg.scale))
