"""Sums over a reading: how many accounts are where, and what is held and owed, deployment by deployment."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from app.book.reading import Reading
from app.domain.account import AccountKey
from app.domain.risk import Health, RiskStatus
from app.domain.units import WAD
from app.valuation.book import Ledger, LedgerTotals

BAND_EDGES = (1.0, 1.02, 1.05, 1.1, 1.25, 1.5, 2.0, 3.0)
"""Edges of the bands of health: the first is below 1.0, the last from 3.0 up."""


@dataclass(frozen=True, slots=True)
class LedgerSums:
    """The accounts of one deployment that are counted in the same unit. Counts go by the contracts' verdicts; bands and
    sums are the book's floats, in whole units of value, without the accounts that are unknown."""

    ledger: Ledger
    liquidatable: int
    unknown: int
    healthy: int
    no_debt: int
    bands: tuple[int, ...]
    """Indebted accounts by health, between `BAND_EDGES`."""
    collateral: float
    capacity: float
    requirement: float

    @property
    def counts(self) -> dict[RiskStatus, int]:
        """By status."""
        return {
            RiskStatus.LIQUIDATABLE: self.liquidatable,
            RiskStatus.UNKNOWN: self.unknown,
            RiskStatus.HEALTHY: self.healthy,
            RiskStatus.NO_DEBT: self.no_debt,
        }

    @property
    def utilization(self) -> float | None:
        """Requirement / capacity; 0 when nothing is owed, None when there is no capacity for what is."""
        if not self.requirement:
            return 0.0
        return self.requirement / self.capacity if self.capacity > 0 else None


def ledger_sums(reading: Reading) -> list[LedgerSums]:
    """Every ledger that has accounts, by deployment and measure."""
    totals, bands = reading.screen.totals(), reading.screen.bands_by_ledger(BAND_EDGES)
    corrections: dict[Ledger, Counter[RiskStatus]] = {}
    for key, health in reading.confirmed.items():
        if key not in reading.exact_only:
            _correct(corrections.setdefault(_ledger(reading, key), Counter()), reading, key, health.status)
    sums = {
        ledger: _sums(reading, ledger, total, bands[ledger], corrections.get(ledger, Counter()))
        for ledger, total in totals.items()
    }
    exact: dict[Ledger, list[Health]] = {}
    for key in reading.exact_only:
        exact.setdefault(_ledger(reading, key), []).append(reading.confirmed[key])
    for ledger, healths in exact.items():
        sums[ledger] = _with_exact(sums.get(ledger) or _empty(ledger), healths)
    return sorted(sums.values(), key=lambda one: (one.ledger.deployment_id, repr(one.ledger.unit)))


def _ledger(reading: Reading, key: AccountKey) -> Ledger:
    return Ledger(key.deployment_id, reading.value_unit(key))


def _correct(counts: Counter[RiskStatus], reading: Reading, key: AccountKey, exact: RiskStatus) -> None:
    """Take an account from where floats put it to where the contract does. (What floats call healthy or liquidatable is
    counted as one.)"""
    screened = RiskStatus.HEALTHY if key in reading.exposed else RiskStatus.NO_DEBT
    counts[screened] -= 1
    counts[exact] += 1


def _sums(
    reading: Reading, ledger: Ledger, total: LedgerTotals, bands: tuple[int, ...], moved: Counter[RiskStatus]
) -> LedgerSums:
    if ledger.deployment_id in reading.unvalued:
        return LedgerSums(ledger, 0, total.accounts, 0, 0, (0,) * (len(BAND_EDGES) + 1), 0.0, 0.0, 0.0)
    return LedgerSums(
        ledger,
        moved[RiskStatus.LIQUIDATABLE],
        total.unknown + moved[RiskStatus.UNKNOWN],
        total.indebted + moved[RiskStatus.HEALTHY],
        total.accounts - total.unknown - total.indebted + moved[RiskStatus.NO_DEBT],
        bands,
        total.collateral,
        total.capacity,
        total.requirement,
    )


def _empty(ledger: Ledger) -> LedgerSums:
    return LedgerSums(ledger, 0, 0, 0, 0, (0,) * (len(BAND_EDGES) + 1), 0.0, 0.0, 0.0)


def _with_exact(sums: LedgerSums, healths: Iterable[Health]) -> LedgerSums:
    """The sums with accounts of which only the contract's numbers are known. Those of a perp say neither capacity nor
    requirement: it counts as its collateral."""
    counts, bands = Counter(sums.counts), list(sums.bands)
    unit = 10**sums.ledger.unit.decimals
    collateral, capacity, requirement = sums.collateral, sums.capacity, sums.requirement
    for health in healths:
        counts[health.status] += 1
        if health.status is RiskStatus.UNKNOWN:
            continue
        collateral += (health.collateral_value or 0) / unit
        if health.health_factor_wad is None:
            continue
        bands[bisect_right(BAND_EDGES, health.health_factor_wad / WAD)] += 1
        owed = (health.debt_value or 0) / unit
        requirement, capacity = requirement + owed, capacity + owed * health.health_factor_wad / WAD
    return LedgerSums(
        sums.ledger,
        counts[RiskStatus.LIQUIDATABLE],
        counts[RiskStatus.UNKNOWN],
        counts[RiskStatus.HEALTHY],
        counts[RiskStatus.NO_DEBT],
        tuple(bands),
        collateral,
        capacity,
        requirement,
    )
