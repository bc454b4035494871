"""Everything there is to say about one account."""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.account import AccountSnapshot
from app.domain.risk import PositionRisk, Reason, RiskAssessment, RiskStatus
from app.domain.units import BPS, WAD, format_units
from app.protocols.calibration import Confirmation
from app.protocols.compound_v2.accrual import Accrued
from app.protocols.compound_v2.legs import (
    SHOWN_DECIMALS,
    Leg,
    add_up,
    pool_of,
    read_legs,
    shown_price,
    vai_debt,
)
from app.protocols.compound_v2.liquidation import liquidation_price
from app.protocols.compound_v2.raw import CORE_POOL


def assess(accrued: Accrued, confirmation: Confirmation, snapshot: AccountSnapshot) -> RiskAssessment:
    """The account's numbers, verdict and liquidation prices; UNKNOWN with the reasons when a needed read failed."""
    if confirmation.failed:
        return RiskAssessment(RiskStatus.UNKNOWN, (_unconfirmed(accrued, confirmation),))
    legs, missing = read_legs(accrued, snapshot)
    vai = vai_debt(accrued, snapshot)
    if missing or vai is None:
        return RiskAssessment(RiskStatus.UNKNOWN, tuple(missing))
    totals = add_up(legs, vai)
    factor = totals.capacity * WAD // totals.requirement if totals.requirement else None
    status = RiskStatus.NO_DEBT
    if factor is not None:
        status = RiskStatus.LIQUIDATABLE if factor < WAD else RiskStatus.HEALTHY
    return RiskAssessment(
        status=status,
        reasons=tuple(_reasons(accrued, confirmation, snapshot, legs, vai)),
        collateral_value=totals.collateral,
        debt_value=totals.requirement,
        available_borrows_value=max(0, totals.borrowing_power - totals.requirement),
        liquidation_threshold_bps=totals.capacity * BPS // totals.collateral if totals.collateral else 0,
        max_ltv_bps=totals.borrowing_power * BPS // totals.collateral if totals.collateral else 0,
        health_factor_wad=factor,
        utilization_wad=utilization_wad(totals.capacity, totals.requirement),
        debt_to_collateral_wad=-(-totals.requirement * WAD // totals.collateral) if totals.collateral else None,
        positions=tuple(
            PositionRisk(
                market=leg.listing.code,
                supplied_assets=leg.supplied_assets,
                borrowed_assets=leg.borrowed_assets,
                is_collateral=leg.position.is_collateral,
                price=shown_price(leg.row.price, leg.listing.decimals) or None if leg.row.price else None,
                supplied_value=leg.supplied_value,
                borrowed_value=leg.borrowed_value,
                liquidation_threshold_bps=leg.threshold_bps,
                max_ltv_bps=leg.max_ltv_bps,
                liquidation_price=liquidation_price(accrued, leg, totals) if totals.requirement else None,
            )
            for leg in legs
        ),
    )


def utilization_wad(capacity: int, requirement: int) -> int | None:
    """Requirement / capacity, WAD, rounded up. 0 without debt; None with a debt and nothing that carries it."""
    if not requirement:
        return 0
    return -(-requirement * WAD // capacity) if capacity else None


def _unconfirmed(accrued: Accrued, confirmation: Confirmation) -> Reason:
    return Reason(
        "rules_unconfirmed",
        f"no known rules give the contract's own numbers: the best, {accrued.rules.name}, fit {confirmation.matches}"
        f" of {confirmation.samples} accounts compared",
    )


def _reasons(
    accrued: Accrued, confirmation: Confirmation, snapshot: AccountSnapshot, legs: list[Leg], vai: int
) -> Iterator[Reason]:
    """What qualifies a known verdict."""
    if not confirmation.samples:
        yield Reason(
            "rules_unchecked",
            f"the rules of {accrued.rules.name}, as the comptroller's answers suggest, were not compared with the"
            " contract on any account yet",
        )
    for leg in legs:
        code, symbol = leg.listing.code, leg.listing.symbol
        books = accrued.books(code)
        if books is not None and books.frozen:
            detail = f"{symbol}: its borrow rate is beyond what it accepts, so it can neither accrue nor be acted on"
            yield Reason("liquidation_blocked", detail, code)
        if leg.borrowed_assets and not leg.is_counted:
            detail = f"the debt in {symbol} is not counted: the market is not entered, or no longer listed"
            yield Reason("not_counted", detail, code)
        elif leg.supplied_assets and leg.position.is_collateral and not leg.capacity:
            yield Reason("not_counted", f"{symbol} is not counted as collateral", code)
        elif leg.supplied_assets and leg.is_counted and not leg.row.factor:
            yield Reason("ltv_zero", f"{symbol} has a collateral factor of 0: it carries no new debt", code)
    pool = pool_of(accrued, snapshot)
    if pool != CORE_POOL:
        yield Reason("emode", f"the account is in pool {pool}")
    if vai:
        detail = f"{format_units(vai, SHOWN_DECIMALS)} minted VAI, interest included, counts as debt at 1 USD each"
        yield Reason("minted_debt", detail)
