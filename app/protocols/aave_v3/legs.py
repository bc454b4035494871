"""An account's positions as the contract counts them at one timestamp."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.account import AccountSnapshot, LendingPosition
from app.domain.risk import Reason
from app.domain.units import RAY
from app.protocols.aave_v3.accrual import Accrued, Terms
from app.protocols.aave_v3.raw import Reserve


@dataclass(frozen=True, slots=True)
class Leg:
    """One position in assets and in value. Values are None only for what neither is collateral nor debt."""

    reserve: Reserve
    position: LendingPosition
    terms: Terms
    unit: int
    income: int
    debt_index: int
    supplied_assets: int
    borrowed_assets: int
    supplied_value: int | None
    borrowed_value: int | None

    @property
    def threshold_bps(self) -> int:
        """What each unit of collateral value carries; 0 for what is not counted as collateral."""
        return self.terms.threshold_bps or 0 if self.position.is_collateral else 0

    @property
    def ltv_bps(self) -> int:
        """As `threshold_bps`, for borrowing."""
        return self.terms.ltv_bps if self.is_counted else 0

    @property
    def is_counted(self) -> bool:
        """Whether the contract counts it as collateral."""
        return self.position.is_collateral and self.terms.threshold_bps is not None


@dataclass(frozen=True, slots=True)
class Totals:
    """What health is computed from: collateral and debt value, and the sums of value x threshold and x LTV."""

    collateral: int
    debt: int
    weighted: int
    lendable: int


def read_legs(accrued: Accrued, snapshot: AccountSnapshot) -> tuple[list[Leg], list[Reason]]:
    """The account's legs, and what is missing to know its risk (then the legs are incomplete)."""
    legs: list[Leg] = []
    missing: list[Reason] = []
    for position in snapshot.positions:
        leg = _leg(accrued, position, snapshot.params[0])
        if isinstance(leg, Leg):
            legs.append(leg)
        else:
            missing.append(leg)
    return legs, missing


def add_up(legs: list[Leg]) -> Totals:
    """The account's totals."""
    collateral = debt = weighted = lendable = 0
    for leg in legs:
        if leg.is_counted:
            value = leg.supplied_value or 0
            collateral += value
            weighted += value * leg.threshold_bps
            lendable += value * leg.ltv_bps
        if leg.position.borrowed_raw:
            debt += leg.borrowed_value or 0
    return Totals(collateral, debt, weighted, lendable)


def _leg(accrued: Accrued, position: LendingPosition, emode: int) -> Leg | Reason:
    """The leg, or why it cannot be valued although the contract needs it."""
    code, rules = position.market, accrued.rules
    reserve = accrued.raw.by_code.get(code)
    if reserve is None:
        return Reason("market_unavailable", "the market is not listed any more", code)
    terms, indices = accrued.terms(code, emode), accrued.indices(code)
    if terms is None:
        what = f"of it or of eMode {emode}" if emode else "of it"
        return Reason("market_unavailable", f"{reserve.symbol}: the configuration {what} could not be read", code)
    if indices is None:
        return Reason("market_unavailable", f"{reserve.symbol}: its interest indices could not be read", code)
    needed = position.is_collateral or bool(position.borrowed_raw)
    if needed and not terms.price:
        return Reason("price_unavailable", f"{reserve.symbol}: the oracle gives no price", code)
    income, debt_index = indices
    unit = accrued.unit(code)
    supplied = (position.supplied_raw * income + rules.supplied_addend) // RAY
    borrowed = (position.borrowed_raw * debt_index + rules.borrowed_addend) // RAY if position.borrowed_raw else 0
    price = terms.price
    return Leg(
        reserve=reserve,
        position=position,
        terms=terms,
        unit=unit,
        income=income,
        debt_index=debt_index,
        supplied_assets=supplied,
        borrowed_assets=borrowed,
        supplied_value=supplied * price // unit if price else None,
        borrowed_value=(borrowed * price + rules.debt_value_addend(unit)) // unit if price else None,
    )
