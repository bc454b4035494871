"""What one block's readings come to: the lines of the board, changes of status, totals, snapshots. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from app.book import LedgerSums, Moved, Reading
from app.domain.account import AccountKey
from app.domain.market import ValueUnit
from app.domain.risk import Health, RiskStatus
from app.domain.units import WAD
from app.store.risk import BoardLine, RiskSnapshot, StatusChange, Totals
from app.valuation.assess import UNKNOWN_HEALTH, risk_order


def board_lines(reading: Reading, most: int, most_unknown: int) -> list[BoardLine]:
    """Every liquidatable account, then unknown ones, then healthy ones: `most` in all, unless more are liquidatable.

    Accounts of deployments that cannot be valued at all are left out: they would be all there is to see.
    """
    ranked = sorted(
        (risk_order(health.status, health.health_factor_wad), key)
        for key, health in reading.confirmed.items()
        if health.status in (RiskStatus.LIQUIDATABLE, RiskStatus.HEALTHY)
    )
    keys = [key for _, key in ranked]
    doomed = sum(reading.confirmed[key].status is RiskStatus.LIQUIDATABLE for key in keys)
    room = max(0, most - doomed)
    unknown = sorted(reading.unknown)[: min(room, most_unknown)]
    chosen = [*keys[:doomed], *unknown, *keys[doomed : doomed + room - len(unknown)]]
    return [_line(reading, key) for key in chosen]


def _line(reading: Reading, key: AccountKey) -> BoardLine:
    unit = reading.value_unit(key)
    health = reading.confirmed.get(key, UNKNOWN_HEALTH)
    return BoardLine(key, health, unit.currency, unit.decimals, key in reading.confirmed)


def status_changes(
    before: Reading, after: Reading, moved: Moved, of_deployments: Mapping[str, set[AccountKey]]
) -> dict[AccountKey, tuple[RiskStatus | None, RiskStatus]]:
    """By account: the verdict before and after, where they differ. An account not known before counts when there is
    more to it than that it owes nothing.

    `of_deployments`: all accounts of the deployments that could be valued at only one of the two blocks.
    """
    suspects = {*moved.before, *before.confirmed, *after.confirmed, *(before.unknown ^ after.unknown)}
    for keys in of_deployments.values():
        suspects |= keys
    found: dict[AccountKey, tuple[RiskStatus | None, RiskStatus]] = {}
    for key in suspects:
        was = moved.before[key] if key in moved.before else before.status(key)
        now = after.status(key)
        if was is not now and not (was is None and now is RiskStatus.NO_DEBT):
            found[key] = (was, now)
    return found


def turned(before: Reading, after: Reading) -> set[str]:
    """Deployments that could be valued at only one of the two blocks."""
    return set(before.unvalued) ^ set(after.unvalued)


def as_changes(
    changes: Mapping[AccountKey, tuple[RiskStatus | None, RiskStatus]], healths: Mapping[AccountKey, Health]
) -> list[StatusChange]:
    """The changes as they are stored, in the order of their accounts."""
    return [
        StatusChange(key, *changes[key], healths[key].health_factor_wad if key in healths else None)
        for key in sorted(changes)
    ]


def measure_of(unit: ValueUnit) -> str:
    """Names what values are counted in."""
    return str(unit.asset) if unit.asset is not None else unit.currency or ""


def as_totals(sums: Iterable[LedgerSums]) -> dict[tuple[str, str], Totals]:
    """By deployment and measure. What is not known to be one token is counted, not added up."""
    found: dict[tuple[str, str], Totals] = {}
    for one in sums:
        unit = one.ledger.unit
        is_sum = unit.currency is not None and unit.decimals > 0
        name = (one.ledger.deployment_id, measure_of(unit))
        values = (one.collateral, one.capacity, one.requirement) if is_sum else (None, None, None)
        counts = (one.liquidatable, one.unknown, one.healthy, one.no_debt)
        totals = Totals(*name, unit.currency, *counts, one.bands, *values)
        found[name] = _added(found[name], totals) if name in found else totals
    return found


def _added(one: Totals, other: Totals) -> Totals:
    """Two ledgers that differ in how prices are written only."""

    def total(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else a + b

    return replace(
        one,
        liquidatable=one.liquidatable + other.liquidatable,
        unknown=one.unknown + other.unknown,
        healthy=one.healthy + other.healthy,
        no_debt=one.no_debt + other.no_debt,
        bands=tuple(a + b for a, b in zip(one.bands, other.bands, strict=True)),
        collateral=total(one.collateral, other.collateral),
        capacity=total(one.capacity, other.capacity),
        requirement=total(one.requirement, other.requirement),
    )


def emptied(totals: Totals) -> Totals:
    """The same measure without an account."""
    bands = (0,) * len(totals.bands)
    return replace(
        totals, liquidatable=0, unknown=0, healthy=0, no_debt=0, bands=bands, collateral=0.0, capacity=0.0,
        requirement=0.0,
    )  # fmt: skip


def counts_of(totals: Totals) -> tuple[int, int, int, int]:
    """Accounts by status."""
    return totals.liquidatable, totals.unknown, totals.healthy, totals.no_debt


def has_moved(before: Totals, now: Totals, share: float) -> bool:
    """Whether a sum has moved by more than `share` of itself."""
    pairs = ((before.collateral, now.collateral), (before.requirement, now.requirement))
    return any(
        (a is None) != (b is None) or (a is not None and b is not None and abs(b - a) > share * max(abs(a), abs(b)))
        for a, b in pairs
    )


def snapshots_of_all(reading: Reading) -> list[RiskSnapshot]:
    """Everybody who owes something or has a position, and is known."""
    found = [
        RiskSnapshot(one.key, one.collateral, one.requirement, _number(one.health))
        for one in reading.screen.valued()
        if one.key.deployment_id not in reading.unvalued
    ]
    exposed = (RiskStatus.HEALTHY, RiskStatus.LIQUIDATABLE)
    return found + _exact_snapshots(
        reading, (key for key in reading.exact_only if reading.confirmed[key].status in exposed)
    )


def snapshots_of(reading: Reading, keys: Sequence[AccountKey]) -> list[RiskSnapshot]:
    """These accounts, without those that are unknown."""
    known = [key for key in keys if reading.status(key) is not RiskStatus.UNKNOWN]
    in_book = [key for key in known if key not in reading.exact_only]
    found = [
        RiskSnapshot(one.key, one.collateral, one.requirement, _number(one.health))
        for one in reading.screen.valued(in_book)
        if not math.isnan(one.collateral) and not math.isnan(one.requirement)
    ]
    return found + _exact_snapshots(reading, (key for key in known if key in reading.exact_only))


def _exact_snapshots(reading: Reading, keys: Iterable[AccountKey]) -> list[RiskSnapshot]:
    found = []
    for key in keys:
        health, unit = reading.confirmed[key], 10 ** reading.value_unit(key).decimals
        factor = None if health.health_factor_wad is None else health.health_factor_wad / WAD
        found.append(RiskSnapshot(key, (health.collateral_value or 0) / unit, (health.debt_value or 0) / unit, factor))
    return found


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
