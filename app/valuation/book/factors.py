"""All factors of all deployments as one vector; what a move of prices makes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from app.domain.legs import CONSTANT, Factor
from app.valuation.book.arrays import Flags, Floats, grown

CONSTANT_COLUMN = 0
"""Of the factor that is always 1; also what unused places of an account point to, with coefficients of 0."""
UNKNOWN_COLUMN = 1
"""Of a factor that never is known: what an account that could not be read hangs on."""

GroupOf: TypeAlias = Callable[[str, str], str | None]
"""(deployment id, market code) -> name of the group whose prices move together; None for those that stay."""


@dataclass(frozen=True, slots=True)
class Shock:
    """A move of prices: every market's price times its multiplier, everything else as it is."""

    multiplier: Callable[[str, str], float]
    """(deployment id, market code) -> above 0; 1 for what stays."""

    @classmethod
    def of_markets(cls, multipliers: Mapping[tuple[str, str], float]) -> Shock:
        """By deployment id and market code; what is not named stays."""
        return cls(lambda deployment_id, market: multipliers.get((deployment_id, market), 1.0))

    @classmethod
    def of_groups(cls, group_of: GroupOf, multipliers: Mapping[str, float]) -> Shock:
        """By group; markets of no group and groups that are not named stay."""

        def multiplier(deployment_id: str, market: str) -> float:
            group = group_of(deployment_id, market)
            return 1.0 if group is None else multipliers.get(group, 1.0)

        return cls(multiplier)


class FactorTable:
    """Columns by (deployment, factor name). A column once given stays; its value is NaN while it is not known."""

    def __init__(self) -> None:
        self._columns: dict[tuple[str, str], int] = {}
        self._names: list[tuple[str, str]] = [("", CONSTANT), ("", "unknown")]
        self._rises: list[str | None] = [None, None]
        self._falls: list[str | None] = [None, None]
        self._values: Floats = np.array([1.0, math.nan])
        self._steps: Floats = np.zeros(2)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def values(self) -> Floats:
        """By column, NaN where not known. A view: read it, keep no part of it."""
        return self._values[: len(self)]

    @property
    def steps(self) -> Floats:
        """By column: value of the least amount that the contract's own rounding can be off by, 0 where not stated."""
        return self._steps[: len(self)]

    def column(self, deployment_id: str, name: str) -> int:
        """The factor's column; a name never heard of gets one, whose value is not known."""
        if name == CONSTANT:
            return CONSTANT_COLUMN
        column = self._columns.get((deployment_id, name))
        if column is None:
            column = self._columns[deployment_id, name] = len(self)
            self._names.append((deployment_id, name))
            self._rises.append(None)
            self._falls.append(None)
            if len(self) > len(self._values):
                self._values = grown(self._values, 2 * len(self))
                self._steps = grown(self._steps, 2 * len(self))
            self._values[column] = math.nan
        return column

    def name(self, column: int) -> str:
        """Inverse of `column`, without the deployment."""
        return self._names[column][1]

    def groups(self, column: int, group_of: GroupOf) -> tuple[str | None, str | None]:
        """The groups of prices this factor rises with and falls with."""
        deployment_id, rises, falls = self._names[column][0], self._rises[column], self._falls[column]
        return (
            None if rises is None else group_of(deployment_id, rises),
            None if falls is None else group_of(deployment_id, falls),
        )

    def markets(self) -> Iterable[tuple[str, str]]:
        """(deployment id, market code) of every price that moves some factor, each once."""
        found: dict[tuple[str, str], None] = {}
        for (deployment_id, _), rises, falls in zip(self._names, self._rises, self._falls, strict=True):
            found.update({(deployment_id, market): None for market in (rises, falls) if market is not None})
        return found

    def set(self, deployment_id: str, factors: Sequence[Factor], steps: Mapping[str, float]) -> None:
        """State all factors of one deployment. Those it had and that are not named are not known any more.

        Raises:
            ValueError: a name twice or reserved, a value that is no finite number. Nothing was changed then.
        """
        names = {factor.name for factor in factors}
        if len(names) != len(factors) or CONSTANT in names:
            raise ValueError(f"{deployment_id}: factors have to have different names, none of them empty")
        for factor in factors:
            if factor.value is not None and not math.isfinite(factor.value):
                raise ValueError(f"{deployment_id}: factor {factor.name} is {factor.value}; what is not known is None")
        for (owner, name), column in self._columns.items():
            if owner == deployment_id and name not in names:
                self._values[column] = math.nan
        for factor in factors:
            column = self.column(deployment_id, factor.name)
            self._values[column] = math.nan if factor.value is None else factor.value
            self._steps[column] = steps.get(factor.name, 0.0)
            self._rises[column], self._falls[column] = factor.rises_with, factor.falls_with

    def shocked(self, shock: Shock) -> Floats:
        """`values` after the shock.

        Raises:
            ValueError: a multiplier that is not a finite number above 0.
        """
        multipliers: dict[tuple[str, str | None], float] = {}
        for market in self.markets():
            multiplier = multipliers[market] = shock.multiplier(*market)
            if not 0 < multiplier < math.inf:
                raise ValueError(f"a price's multiplier has to be above 0, not {multiplier} for {market}")
        owners = [deployment_id for deployment_id, _ in self._names]
        rise = [multipliers.get(market, 1.0) for market in zip(owners, self._rises, strict=True)]
        fall = [multipliers.get(market, 1.0) for market in zip(owners, self._falls, strict=True)]
        after: Floats = self.values * np.array(rise) / np.array(fall)
        return after

    def moved_by(self, is_moved: Callable[[str, str], bool]) -> tuple[Flags, Flags]:
        """By column: whether it rises, and whether it falls, with the price of a market that is moved."""
        moved = {market for market in self.markets() if is_moved(*market)}
        owners = [deployment_id for deployment_id, _ in self._names]
        rises = [market in moved for market in zip(owners, self._rises, strict=True)]
        falls = [market in moved for market in zip(owners, self._falls, strict=True)]
        return np.array(rises), np.array(falls)

    def market_columns(self, is_moved: Callable[[str, str], bool]) -> dict[tuple[int, int], int]:
        """By column and side (0: it rises, 1: it falls): the number of the market whose price it does that with, where
        that market is moved."""
        numbers = {market: number for number, market in enumerate(m for m in self.markets() if is_moved(*m))}
        owners = [deployment_id for deployment_id, _ in self._names]
        sides = (self._rises, self._falls)
        return {
            (column, side): numbers[owner, market]
            for side, markets in enumerate(sides)
            for column, (owner, market) in enumerate(zip(owners, markets, strict=True))
            if market is not None and (owner, market) in numbers
        }
