"""What is said of one perp position beside what its protocol says."""

from __future__ import annotations

from app.domain.risk import MarginRisk, PerpRisk
from app.domain.units import WAD, mul_div_up


def position_leverage_wad(perp: PerpRisk, margin: MarginRisk | None) -> int | None:
    """The position's notional / the account's equity, WAD, rounded up: its share of the account's leverage. None when
    equity is 0 or less, or not known."""
    if margin is None or margin.equity_value <= 0:
        return None
    return mul_div_up(perp.notional_value, WAD, margin.equity_value)
