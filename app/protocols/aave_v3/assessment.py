"""Everything there is to say about one account."""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.account import AccountSnapshot
from app.domain.risk import PositionRisk, Reason, RiskAssessment, RiskStatus
from app.domain.units import WAD
from app.protocols.aave_v3.account_data import available_borrows, average_bps, health_factor_wad, utilization_wad
from app.protocols.aave_v3.accrual import Accrued
from app.protocols.aave_v3.legs import Leg, add_up, read_legs
from app.protocols.aave_v3.liquidation import liquidation_prices
from app.protocols.aave_v3.raw import NO_EMODE
from app.protocols.calibration import Confirmation

_SENTINEL_HEALTH_WAD = 95 * WAD // 100
"""Below this health factor the sentinel does not hold liquidations off."""


def assess(accrued: Accrued, confirmation: Confirmation, snapshot: AccountSnapshot) -> RiskAssessment:
    """The account's numbers, verdict and liquidation prices; UNKNOWN with the reasons when a needed read failed."""
    legs, missing = read_legs(accrued, snapshot)
    if confirmation.failed:
        missing.insert(0, _unconfirmed(accrued, confirmation))
    if missing:
        return RiskAssessment(RiskStatus.UNKNOWN, tuple(missing))
    totals, rules = add_up(legs), accrued.rules
    factor = health_factor_wad(rules, totals.collateral, totals.debt, totals.weighted) if totals.debt else None
    status = RiskStatus.NO_DEBT
    if factor is not None:
        status = RiskStatus.LIQUIDATABLE if factor < WAD else RiskStatus.HEALTHY
    ltv = average_bps(totals.collateral, totals.lendable)
    prices = liquidation_prices(rules, legs, totals) if totals.debt else {}
    return RiskAssessment(
        status=status,
        reasons=tuple(_reasons(accrued, confirmation, snapshot, legs, factor)),
        collateral_value=totals.collateral,
        debt_value=totals.debt,
        available_borrows_value=available_borrows(rules, totals.collateral, totals.debt, ltv),
        liquidation_threshold_bps=average_bps(totals.collateral, totals.weighted),
        max_ltv_bps=ltv,
        health_factor_wad=factor,
        utilization_wad=utilization_wad(totals.debt, totals.weighted),
        debt_to_collateral_wad=-(-totals.debt * WAD // totals.collateral) if totals.collateral else None,
        positions=tuple(
            PositionRisk(
                market=leg.reserve.code,
                supplied_assets=leg.supplied_assets,
                borrowed_assets=leg.borrowed_assets,
                is_collateral=leg.position.is_collateral,
                price=leg.terms.price or None,
                supplied_value=leg.supplied_value,
                borrowed_value=leg.borrowed_value,
                liquidation_threshold_bps=leg.threshold_bps,
                max_ltv_bps=leg.ltv_bps,
                liquidation_price=prices.get(leg.reserve.code),
            )
            for leg in legs
        ),
    )


def _unconfirmed(accrued: Accrued, confirmation: Confirmation) -> Reason:
    rules = accrued.rules.name
    return Reason(
        "rules_unconfirmed",
        f"no known rounding rules give the contract's own numbers: the best, {rules}, fit {confirmation.matches}"
        f" of {confirmation.samples} accounts compared",
    )


def _reasons(
    accrued: Accrued,
    confirmation: Confirmation,
    snapshot: AccountSnapshot,
    legs: list[Leg],
    factor: int | None,
) -> Iterator[Reason]:
    """What qualifies a known verdict."""
    if not confirmation.samples:
        yield Reason(
            "rules_unchecked",
            f"the rules of {accrued.rules.name}, as pool revision {accrued.raw.roots.revision} suggests, were not"
            " compared with the contract on any account yet",
        )
    yield from _blocks(accrued, legs, factor)
    emode = snapshot.params[0]
    for leg in legs:
        if leg.is_counted and leg.ltv_bps == 0 and leg.supplied_assets:
            detail = f"{leg.reserve.symbol} has LTV 0: it carries no new debt and must be withdrawn first"
            yield Reason("ltv_zero", detail, leg.reserve.code)
        elif leg.position.is_collateral and not leg.is_counted:
            detail = f"{leg.reserve.symbol} has a liquidation threshold of 0 and is not counted as collateral"
            yield Reason("not_counted", detail, leg.reserve.code)
    if emode != NO_EMODE:
        yield Reason("emode", f"the account is in eMode {emode}")
    if accrued.rules.isolation_mode:
        yield from _isolation(accrued, legs)


def _blocks(accrued: Accrued, legs: list[Leg], factor: int | None) -> Iterator[Reason]:
    """What keeps liquidators, or everybody, from acting."""
    raw = accrued.raw
    for leg in legs:
        reserve = leg.reserve
        configuration = raw.configurations[reserve.code]
        if configuration is None or not (leg.position.is_collateral or leg.position.borrowed_raw):
            continue
        if configuration.paused or not configuration.active:
            state = "paused" if configuration.paused else "not active"
            detail = f"{reserve.symbol} is {state}: it can be neither seized nor repaid"
            yield Reason("liquidation_blocked", detail, reserve.code)
        elif reserve.grace_until is not None and reserve.grace_until >= accrued.timestamp:
            detail = f"{reserve.symbol} is in a grace period without liquidations until {reserve.grace_until}"
            yield Reason("liquidation_blocked", detail, reserve.code)
        if configuration.frozen:
            yield Reason("frozen", f"{reserve.symbol} is frozen: no new supply or debt", reserve.code)
    waits = factor is None or factor >= _SENTINEL_HEALTH_WAD
    if accrued.rules.isolation_mode and raw.liquidation_allowed is False and waits:
        yield Reason(
            "liquidation_blocked",
            "the price sentinel allows no liquidation at a health factor of 0.95 or more",
        )


def _isolation(accrued: Accrued, legs: list[Leg]) -> Iterator[Reason]:
    """Isolation mode (one collateral with a debt ceiling) and siloed borrowing, until 3.6."""
    collateral = [leg for leg in legs if leg.position.is_collateral]
    debts = [leg for leg in legs if leg.position.borrowed_raw]
    for leg in collateral if len(collateral) == 1 else ():
        configuration = accrued.raw.configurations[leg.reserve.code]
        if configuration is not None and configuration.debt_ceiling:
            detail = f"{leg.reserve.symbol} is isolated collateral: only some assets, up to its debt ceiling"
            yield Reason("isolation_mode", detail, leg.reserve.code)
    for leg in debts if len(debts) == 1 else ():
        configuration = accrued.raw.configurations[leg.reserve.code]
        if configuration is not None and configuration.siloed:
            detail = f"{leg.reserve.symbol} is siloed: no other asset can be borrowed beside it"
            yield Reason("siloed_borrowing", detail, leg.reserve.code)
