"""The move of a group of prices at which one account's health is 1, in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence

from app.valuation.book.bucket import Debt, Supply
from app.valuation.book.factors import FactorTable, GroupOf


def liquidation_moves(
    supplies: Sequence[Supply], debts: Sequence[Debt], table: FactorTable, group_of: GroupOf
) -> dict[str, float | None]:
    """By group the account depends on, in order of its terms: the multiplier nearest to 1 at which capacity equals
    requirement.

    With the group's prices times m, capacity - requirement is d0 + d1 m + d2 / m, so m solves d1 m^2 + d0 m + d2 = 0.
    The average threshold is taken as it is, not truncated: where a contract truncates it, the account may be
    liquidatable up to 1 bp of its collateral earlier.
    """
    terms = [(supply.column, supply.capacity) for supply in supplies]
    terms += [(debt.column, -debt.requirement) for debt in debts]
    values = [(column, coefficient * float(table.values[column])) for column, coefficient in terms]
    groups: dict[str, None] = {}
    for column, _ in values:
        groups.update(dict.fromkeys(group for group in table.groups(column, group_of) if group is not None))
    if not debts:
        return dict.fromkeys(groups)
    found: dict[str, float | None] = {}
    for group in groups:
        by_power = {0: 0.0, 1: 0.0, -1: 0.0}
        for column, value in values:
            rises, falls = table.groups(column, group_of)
            by_power[(rises == group) - (falls == group)] += value
        found[group] = _nearest_to_one(by_power[1], by_power[0], by_power[-1])
    return found


def _nearest_to_one(square: float, linear: float, constant: float) -> float | None:
    """The solution above 0 of square x^2 + linear x + constant = 0 that is nearest to 1, as a ratio."""
    if not math.isfinite(square + linear + constant):
        return None
    if not square or not constant:
        above, below = (-linear, square) if square else (-constant, linear)
        return above / below if below and above / below > 0 else None
    discriminant = linear * linear - 4 * square * constant
    if discriminant < 0:
        return None
    sum_of = -(linear + math.copysign(math.sqrt(discriminant), linear)) / 2
    solutions = [m for m in (sum_of / square, constant / sum_of if sum_of else 0.0) if m > 0]
    return min(solutions, key=lambda m: abs(math.log(m)), default=None)
