"""The contract's formulas for an account's totals (`GenericLogic.calculateUserAccountData`), rounding included.

C collateral value, D debt value, T sum of collateral value x liquidation threshold in bps; values in base units.
"""

from __future__ import annotations

from app.domain.units import BPS, WAD
from app.protocols.aave_v3.rules import Rules

_HALF_BPS = BPS // 2
_WAD_BPS = WAD * BPS


def percent_mul(value: int, bps: int) -> int:
    """value x bps / 10000, half up."""
    return (value * bps + _HALF_BPS) // BPS


def average_bps(collateral: int, weighted: int) -> int:
    """A value-weighted average, truncated to whole bps; 0 without collateral."""
    return weighted // collateral if collateral else 0


def health_factor_wad(rules: Rules, collateral: int, debt: int, weighted: int) -> int:
    """The health factor of an account with a debt value above 0."""
    if rules.summed_threshold:
        return (weighted * WAD + debt // 2) // debt // BPS
    capacity = (collateral * (weighted // collateral) + _HALF_BPS) // BPS if collateral else 0
    return (capacity * WAD + debt // 2) // debt


def is_below(rules: Rules, collateral: int, debt: int, weighted: int, target_wad: int) -> bool:
    """Whether the health factor is below `target_wad`; never without debt. Equal to comparing the factor itself."""
    if not debt:
        return False
    if rules.summed_threshold:
        return weighted * WAD + debt // 2 < target_wad * BPS * debt
    capacity = (collateral * (weighted // collateral) + _HALF_BPS) // BPS if collateral else 0
    return capacity * WAD + debt // 2 < target_wad * debt


def available_borrows(rules: Rules, collateral: int, debt: int, ltv_bps: int) -> int:
    """What the account may still borrow, as value."""
    limit = collateral * ltv_bps // BPS if rules.available_down else percent_mul(collateral, ltv_bps)
    return max(0, limit - debt)


def utilization_wad(debt: int, weighted: int) -> int | None:
    """Debt / (T / 10000), WAD, rounded up: the untruncated inverse of the health factor. 0 without debt; None
    with a debt and nothing that carries it."""
    if not debt:
        return 0
    return -(-debt * _WAD_BPS // weighted) if weighted else None
