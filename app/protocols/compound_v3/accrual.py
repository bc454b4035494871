"""Interest and the worth of principals, floored where the contract floors. Source: CometCore and Comet.

Interest is simple between two accruals of the Comet and compounds only at each.
"""

from __future__ import annotations

from typing import NamedTuple

from app.domain.units import WAD
from app.protocols.compound_v3.raw import INDEX_SCALE, Curve, Curves, Raw, Totals


class Indices(NamedTuple):
    """What one unit of principal stands for, 15 decimals."""

    supply: int
    borrow: int


def utilization(totals: Totals) -> int:
    """Borrowed part of what is supplied, 18 decimals, by the stored indices. Source: `Comet.getUtilization`."""
    supply = totals.total_supply * totals.supply_index // INDEX_SCALE
    borrow = totals.total_borrow * totals.borrow_index // INDEX_SCALE
    return borrow * WAD // supply if supply else 0


def rate(curve: Curve, used: int) -> int:
    """Interest per second at a utilisation, 18 decimals. Source: `getSupplyRate`, `getBorrowRate`."""
    if used <= curve.kink:
        return curve.base + curve.slope_low * used // WAD
    return curve.base + curve.slope_low * curve.kink // WAD + curve.slope_high * (used - curve.kink) // WAD


def stored_indices(raw: Raw) -> Indices | None:
    """As of the last accrual: what `isLiquidatable` and `isBorrowCollateralized` use. None when not read."""
    totals = raw.totals
    return None if totals is None else Indices(totals.supply_index, totals.borrow_index)


def accrued_indices(raw: Raw, timestamp: int) -> Indices | None:
    """As of `timestamp`: what `absorb`, `borrowBalanceOf` and `balanceOf` use. None when something was not read.

    Source: `Comet.accruedInterestIndices`.

    Raises:
        ValueError: the time lies before the last accrual.
    """
    totals = raw.totals
    if totals is None or raw.curves is None:
        return None
    elapsed = timestamp - totals.accrued_at
    if elapsed < 0:
        raise ValueError(f"interest cannot be accrued back from {totals.accrued_at} to {timestamp}")
    return _grown(totals, raw.curves, elapsed)


def present_value(principal: int, index: int) -> int:
    """Assets behind a principal, both as magnitudes, rounded down (debts too)."""
    return principal * index // INDEX_SCALE


def debt_principal(assets: int, index: int) -> int:
    """The principal the contract writes for a debt, rounded up. Source: `principalValueBorrow`."""
    return -(-assets * INDEX_SCALE // index)


def _grown(totals: Totals, curves: Curves, elapsed: int) -> Indices:
    used = utilization(totals)
    supply, borrow = totals.supply_index, totals.borrow_index
    return Indices(
        supply + supply * (rate(curves.supply, used) * elapsed) // WAD,
        borrow + borrow * (rate(curves.borrow, used) * elapsed) // WAD,
    )
