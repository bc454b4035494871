"""Everything there is to say about one account."""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.account import AccountSnapshot
from app.domain.risk import PositionRisk, Reason, RiskAssessment, RiskStatus
from app.domain.units import BPS, WAD
from app.protocols.calibration import Confirmation
from app.protocols.compound_v3.legs import Book, Leg, add_up, read_legs, view_carries
from app.protocols.compound_v3.liquidation import liquidation_price
from app.protocols.compound_v3.raw import PAUSED_ABSORB, PAUSED_SUPPLY


def assess(book: Book, stored: Book, confirmation: Confirmation, snapshot: AccountSnapshot) -> RiskAssessment:
    """The account's numbers, verdict and liquidation prices; UNKNOWN with the reasons when a needed read failed.

    Verdict and numbers are by accrued interest (`book`), as a liquidation would find them; `stored` is asked only
    for whether the contract's own view says otherwise. A missing price of anything held makes the account UNKNOWN,
    also where the contract would not get to it because what comes before carries the debt: no number is half-known.
    """
    if confirmation.failed:
        return RiskAssessment(RiskStatus.UNKNOWN, (_unconfirmed(confirmation),))
    legs, missing = read_legs(book, snapshot)
    if missing:
        return RiskAssessment(RiskStatus.UNKNOWN, tuple(missing))
    totals = add_up(legs)
    factor = totals.capacity * WAD // totals.requirement if totals.requirement else None
    status = verdict(factor)
    return RiskAssessment(
        status=status,
        reasons=tuple(_reasons(book, stored, confirmation, snapshot, legs, status)),
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
                market=leg.position.market,
                supplied_assets=leg.supplied_assets,
                borrowed_assets=leg.borrowed_assets,
                is_collateral=leg.row is not None,
                price=leg.price,
                supplied_value=leg.supplied_value,
                borrowed_value=leg.borrowed_value,
                liquidation_threshold_bps=leg.threshold_bps,
                max_ltv_bps=leg.max_ltv_bps,
                liquidation_price=liquidation_price(leg, totals),
            )
            for leg in legs
        ),
    )


def verdict(health_factor_wad: int | None) -> RiskStatus:
    """A factor rounded down is below 1.0 exactly when capacity < requirement, which is the contract's comparison."""
    if health_factor_wad is None:
        return RiskStatus.NO_DEBT
    return RiskStatus.LIQUIDATABLE if health_factor_wad < WAD else RiskStatus.HEALTHY


def utilization_wad(capacity: int, requirement: int) -> int | None:
    """Requirement / capacity, WAD, rounded up. 0 without debt; None with a debt and nothing that carries it."""
    if not requirement:
        return 0
    return -(-requirement * WAD // capacity) if capacity else None


def _unconfirmed(confirmation: Confirmation) -> Reason:
    return Reason(
        "rules_unconfirmed",
        "the rules of Compound V3 do not give the contract's own answers: they fit"
        f" {confirmation.matches} of {confirmation.samples} accounts compared",
    )


def _reasons(
    book: Book,
    stored: Book,
    confirmation: Confirmation,
    snapshot: AccountSnapshot,
    legs: list[Leg],
    status: RiskStatus,
) -> Iterator[Reason]:
    """What qualifies a known verdict."""
    if not confirmation.samples:
        detail = "the rules of Compound V3 were not compared with this contract on any account yet"
        yield Reason("rules_unchecked", detail)
    liquidatable = status is RiskStatus.LIQUIDATABLE
    if view_carries(stored, snapshot, borrowing=False) is liquidatable:
        yield Reason(
            "interest_not_accrued",
            "isLiquidatable still says otherwise: it leaves out the interest since the last accrual, which a"
            " liquidation adds before it looks",
        )
    flags = book.raw.totals.pause_flags if book.raw.totals is not None else 0
    if flags & PAUSED_ABSORB and status is not RiskStatus.NO_DEBT:
        yield Reason("liquidation_blocked", "absorbing is paused: nobody is liquidated until it is taken up again")
    if flags & PAUSED_SUPPLY and status is not RiskStatus.NO_DEBT:
        yield Reason("supply_paused", "supplying is paused: neither repaying nor adding collateral goes through")
    for leg in legs:
        code, symbol = leg.position.market, leg.symbol
        if leg.row is not None and not leg.row.liquidate_factor:
            yield Reason("not_counted", f"{symbol} is not counted as collateral any more", code)
        elif leg.row is not None and not leg.row.borrow_factor:
            yield Reason("ltv_zero", f"{symbol} has a borrow factor of 0: it carries no new debt", code)
