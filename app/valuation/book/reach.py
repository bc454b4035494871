"""Which of some chosen accounts may be liquidatable under other factors: after a move of prices, or of time.

Wider than the book's own line by what the exact rule rounds on the way, so that nobody is left out whom it would find;
how much wider is of no importance, because the exact rule is asked about everybody who is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from app.domain.legs import Factor
from app.valuation.book.arrays import Flags, Floats
from app.valuation.book.chosen import ChosenAt, Part
from app.valuation.book.factors import FactorTable
from app.valuation.book.kernel import ONE_BPS, value_pairs

SLACK = 1e-3
"""Of the requirement. Moved prices are rounded to whole units: a price has to have a thousand of them for that."""
_DUST = 100
"""Roundings of amounts and values that are allowed for, a term, besides."""


def reached_under(chosen: ChosenAt, vectors: Sequence[Floats]) -> ChosenAt:
    """Whoever may be liquidatable now, or under one of these vectors of factors."""
    table = np.array([chosen.screen.factors, *vectors])

    def test(part: Part) -> Flags:
        found: Flags = np.zeros(part.rows.size, np.bool_)
        if not part.bucket.shape.debts:
            return found
        for line in range(len(table)):
            values = value_pairs(part.bucket, part.rows, table, np.full(part.rows.size, line))
            room = values.capacity - values.requirement
            found |= (values.requirement > 0) & (
                room <= _allowance(chosen, part, values.collateral, values.requirement)
            )
        return found

    return chosen.where(test)


def reached_by_one_price(
    chosen: ChosenAt, table: FactorTable, distance: float, is_moved: Callable[[str, str], bool]
) -> ChosenAt:
    """Whoever may be liquidatable after a move of one price by at most `distance`, of the markets for which `is_moved`
    says yes, all others as they are.

    What is left of an account's capacity changes by no more than the move times all that hangs on the price.
    """
    market_of = table.market_columns(is_moved)
    falls = any(side == 1 for _, side in market_of)
    pace = distance if not falls else distance / (1 - distance) if distance < 1 else np.inf

    def test(part: Part) -> Flags:
        if not part.bucket.shape.debts:
            return np.zeros(part.rows.size, np.bool_)
        values = part.values(chosen.screen)
        room = values.capacity - values.requirement
        at_stake = _most_on_one_price(chosen, part, market_of)
        with np.errstate(invalid="ignore"):
            most = np.where(at_stake > 0, pace * at_stake, 0.0)
        allowed = _allowance(chosen, part, values.collateral, values.requirement) * (1 + min(distance, 10.0))
        found: Flags = (values.requirement > 0) & (room <= most + allowed)
        return found

    return chosen.where(test)


def touching(chosen: ChosenAt, table: FactorTable, is_one: Callable[[str, str], bool]) -> ChosenAt:
    """Whoever has something that hangs on the price of one of these markets."""
    rises, falls = table.moved_by(is_one)
    hangs = rises | falls

    def test(part: Part) -> Flags:
        found: Flags = np.zeros(part.rows.size, np.bool_)
        for columns in (*part.bucket.supply_columns, *part.bucket.debt_columns):
            found |= hangs[columns.take(part.rows)]
        return found

    return chosen.where(test)


def factors_after(table: FactorTable, now: Floats, later: Mapping[str, Iterable[Factor]]) -> Floats:
    """The factors as they are, with those of some deployments as stated."""
    found = now.copy()
    for deployment_id, factors in later.items():
        for factor in factors:
            found[table.column(deployment_id, factor.name)] = np.nan if factor.value is None else factor.value
    return found


def _allowance(chosen: ChosenAt, part: Part, collateral: Floats, requirement: Floats) -> Floats:
    shape = part.bucket.shape
    dust = chosen.screen.widest_steps[part.ledgers()] * (_DUST * (shape.supplies + shape.debts + 1))
    found: Floats = SLACK * requirement + dust
    return found + 2 * ONE_BPS * collateral if shape.is_truncated else found


def _most_on_one_price(chosen: ChosenAt, part: Part, market_of: Mapping[tuple[int, int], int]) -> Floats:
    """By account: the largest sum of the sizes of its terms that hang on the same price."""
    width = len(chosen.screen.factors)
    numbers = np.full((2, width), -1, np.int32)
    for (column, side), number in market_of.items():
        numbers[side, column] = number
    factors, rows = np.abs(chosen.screen.factors), part.rows
    bucket = part.bucket
    terms = [
        (columns.take(rows), np.abs(sizes.take(rows)))
        for columns, sizes in (
            *zip(bucket.supply_columns, bucket.capacity, strict=True),
            *zip(bucket.debt_columns, bucket.requirement, strict=True),
        )
    ]
    hung = [(numbers[side][columns], factors[columns] * sizes) for columns, sizes in terms for side in (0, 1)]
    most = np.zeros(rows.size)
    for market, _ in hung:
        total = np.zeros(rows.size)
        for other, size in hung:
            total += np.where((other == market) & (market >= 0), size, 0.0)
        most = np.maximum(most, total)
    return most
