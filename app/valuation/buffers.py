"""How much an account may lose before it can be liquidated, and how much it may take out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.domain.account import AccountSnapshot
from app.domain.risk import RiskAssessment, RiskStatus
from app.domain.units import WAD, mul_div_up
from app.protocols.base import PricedState
from app.protocols.boundary import least
from app.valuation.what_if import position_in, with_position

PARTS = 2**32
"""A collateral is taken out in so many equal parts of its raw amount (one by one where there is less of it)."""


@dataclass(frozen=True, slots=True)
class Withdrawable:
    """What of one collateral alone can be taken out with the health factor staying at the target or above."""

    market: str
    assets: int
    """In the asset's own units, to 1 / PARTS of what is held, rounded down; 0 when nothing can."""
    value: int | None


@dataclass(frozen=True, slots=True)
class Buffer:
    """Values in the account's unit."""

    capacity_value: int
    """Lending: collateral weighted by liquidation thresholds, the least that has the exact debt and
    utilisation, so to 1e-18 of itself. Perps: equity, exact."""
    requirement_value: int
    """Lending: debt. Perps: maintenance margin."""
    withdrawable: tuple[Withdrawable, ...]

    @property
    def headroom_value(self) -> int:
        """Capacity - requirement: what may be lost of it before liquidation; below 0 past the line. (The verdict of
        versions that truncate the average threshold comes up to 1 bp of the collateral earlier.)"""
        return self.capacity_value - self.requirement_value


def buffer_of(
    priced: PricedState, snapshot: AccountSnapshot, assessment: RiskAssessment, target_health_wad: int
) -> Buffer | None:
    """None without debt or position, and when unknown."""
    if assessment.status not in (RiskStatus.HEALTHY, RiskStatus.LIQUIDATABLE):
        return None
    margin = assessment.margin
    if margin is not None:
        capacity, requirement = margin.equity_value, margin.requirement_value
    else:
        requirement, used = assessment.debt_value or 0, assessment.utilization_wad
        capacity = mul_div_up(requirement, WAD, used) if used else 0
    withdrawable = tuple(
        _withdrawable(priced, snapshot, assessment, held.market, target_health_wad)
        for held in snapshot.positions
        if held.is_collateral and held.supplied_raw
    )
    return Buffer(capacity, requirement, withdrawable)


def _withdrawable(
    priced: PricedState, snapshot: AccountSnapshot, assessment: RiskAssessment, market: str, target_wad: int
) -> Withdrawable:
    """Less collateral never means more health, so the most that can go is one boundary."""
    position = position_in(snapshot, market)
    raw = position.supplied_raw
    parts = min(raw, PARTS)

    def without(part: int) -> AccountSnapshot:
        return with_position(snapshot, replace(position, supplied_raw=raw - raw * part // parts))

    def too_much(part: int) -> bool:
        health = priced.health(without(part))
        if health.status is RiskStatus.NO_DEBT:
            return False
        factor = health.health_factor_wad
        return health.status is not RiskStatus.HEALTHY or factor is None or factor < target_wad

    first_too_much = least(too_much, 0, parts)
    most = parts if first_too_much is None else first_too_much - 1
    held = next(p for p in assessment.positions if p.market == market)
    if most <= 0:
        return Withdrawable(market, 0, 0)
    left = next((p for p in priced.assess(without(most)).positions if p.market == market), None)
    assets = held.supplied_assets - (left.supplied_assets if left else 0)
    value = None if held.supplied_value is None else held.supplied_value - ((left.supplied_value or 0) if left else 0)
    return Withdrawable(market, assets, value)
