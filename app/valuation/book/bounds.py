"""How far the book's floats may be from the contract's own integers, account by account.

A contract rounds three times a term: the amount to whole units of the token, its value to whole units of value, and
(some) the average threshold to whole bps. With Q the value of one unit of the token (`FactorTable.steps`) and u one
unit of value, a term is off by at most Q + u, besides the floats' own rounding. So capacity lies in K ± e and
requirement in R ± e with

    e = sum over terms of (Q + u + FLOAT_ERROR x |term|) + u

and health in [(K - e) / (R + e), (K + e) / (R - e)]. Where the average threshold, uncertain by its own share of e, may
fall on either side of a whole bps, K may be 1 bp of collateral higher or lower.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.domain.units import BPS
from app.valuation.book.arrays import Flags, Floats, Positions
from app.valuation.book.bucket import Bucket
from app.valuation.book.kernel import ONE_BPS, Values

FLOAT_ERROR = 1e-13
"""Relative error of a term or a sum of up to hundreds of them: each step adds 1.1e-16."""
NEAR = 0.01
"""Health this close to a line, relatively, is looked at with its own bounds; so is whoever's bounds may be wider."""


def health_bounds(
    bucket: Bucket, rows: Positions, factors: Floats, steps: Floats, ledger_steps: Floats
) -> tuple[Floats, Floats]:
    """The interval the contract's own health factor is in, for some accounts; NaN without a requirement or unknown.

    The upper end is infinite where rounding may leave no requirement at all.
    """
    unit = ledger_steps[bucket.ledgers[rows]]
    collateral, capacity, requirement = np.zeros(rows.size), np.zeros(rows.size), np.zeros(rows.size)
    capacity_error, requirement_error = unit.copy(), unit.copy()
    for term in range(bucket.shape.supplies):
        columns = bucket.supply_columns[term].take(rows)
        carried = factors[columns] * bucket.capacity[term].take(rows)
        held = factors[columns] * bucket.collateral[term].take(rows)
        is_used = (bucket.collateral[term].take(rows) != 0) | (bucket.capacity[term].take(rows) != 0)
        collateral, capacity = collateral + held, capacity + carried
        larger = np.maximum(np.abs(carried), np.abs(held))
        capacity_error += np.where(is_used, steps[columns] + unit, 0.0) + FLOAT_ERROR * larger
    for term in range(bucket.shape.debts):
        columns = bucket.debt_columns[term].take(rows)
        owed = factors[columns] * bucket.requirement[term].take(rows)
        requirement = requirement + owed
        is_used = bucket.requirement[term].take(rows) != 0
        requirement_error += np.where(is_used, steps[columns] + unit, 0.0) + FLOAT_ERROR * np.abs(owed)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if bucket.shape.is_truncated:
            average = capacity / collateral * BPS
            doubt = BPS * capacity_error / collateral
            lowest, highest = np.floor(average - doubt), np.floor(average + doubt)
            low = np.where(collateral > 0, np.maximum(lowest, 0) * collateral * ONE_BPS, capacity) - capacity_error
            high = np.where(collateral > 0, highest * collateral * ONE_BPS, capacity) + capacity_error
        else:
            low, high = capacity - capacity_error, capacity + capacity_error
        most, least = requirement + requirement_error, requirement - requirement_error
        lower = low / np.where(low > 0, most, least)
        upper = high / np.where(high > 0, least, most)
        # at worst nothing is owed after rounding: no health factor, which is above every line
        lower = np.where((low <= 0) & (least <= 0), -np.inf, lower)
        upper = np.where(least <= 0, np.inf, upper)
    known = requirement > 0
    return np.where(known, lower, np.nan), np.where(known, upper, np.nan)


def coarse_values(bucket: Bucket, widest_steps: Floats) -> Floats:
    """By ledger: with capacity and requirement above this, bounds are well within `NEAR` of health.

    `widest_steps`: by ledger, the largest Q + u of its deployment.
    """
    terms = max(bucket.shape.supplies, bucket.shape.debts) + 1
    return widest_steps * (terms * 8 / NEAR)


def in_doubt(
    bucket: Bucket, rows: Positions | slice, values: Values, lines: Sequence[float], widest_steps: Floats
) -> Flags:
    """By account of those in `rows`, whose `values` these are: whether its bounds may touch a line. Near one, or so
    small that bounds are wide, or thresholds so low that one bp is much, or sums that may cancel out."""
    if bucket.is_signed:
        return np.ones(values.health.size, np.bool_)
    doubtful = np.zeros(values.health.size, np.bool_)
    for line in lines:
        doubtful |= np.abs(values.health - line) <= NEAR * abs(line)
    coarse = coarse_values(bucket, widest_steps)[bucket.ledgers[rows]]
    doubtful |= (values.requirement > 0) & ((values.requirement < coarse) | (values.capacity < coarse))
    if bucket.shape.is_truncated:
        doubtful |= values.capacity < 4 * NEAR * values.collateral
    return doubtful
