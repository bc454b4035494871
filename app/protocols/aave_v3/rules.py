"""Every set of account-data rules Aave V3 and its forks have had, as plain data: a new one is a new row.

Sources: `GenericLogic`, `MathUtils`, `TokenMath` and `EModeLogic` of aave-dao/aave-v3-origin at its release tags
3.1 to 3.7, package @aave/core-v3 1.19.3 (3.0), and the repository of Spark's fork.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.units import RAY


@dataclass(frozen=True, slots=True)
class Rules:
    """The switches in which versions differ where an account's six numbers are concerned."""

    code: int
    """Stored in records: never reuse a number for other rules."""
    name: str
    polynomial_interest: bool = False
    """Debt compounds by the polynomial of 3.4; before, by the binomial of three terms."""
    directed_balances: bool = False
    """Collateral balances are floored and debts rounded up; before, both are rounded half up."""
    debt_value_up: bool = False
    """A debt's value is rounded up; before, down."""
    summed_threshold: bool = False
    """The health factor's numerator is the sum of value x threshold; before, the average threshold is first
    truncated to whole bps."""
    available_down: bool = False
    """Available borrows are rounded down; before, half up."""
    emode_bitmaps: bool = False
    """An eMode names its assets by bitmap; before, an asset names its one category."""
    counts_zero_threshold: bool = False
    """Collateral whose own threshold is 0 is counted (its eMode may give it one); before, it is skipped."""
    emode_ltv_zero: bool = False
    """An eMode lists its assets of LTV 0; before, an asset of base LTV 0 has none inside an eMode either."""
    emode_isolation: bool = False
    """An eMode may be isolated: collateral outside it then has LTV 0."""
    isolation_mode: bool = True
    """Reserves may be isolated collateral or siloed debt, and the price sentinel may hold liquidations off."""
    stable_debt: bool = False
    """Debt at a stable rate exists beside the variable one, and an eMode may have a price source of its own."""

    @property
    def supplied_addend(self) -> int:
        """Added before the division by RAY that turns scaled collateral into assets."""
        return 0 if self.directed_balances else RAY // 2

    @property
    def borrowed_addend(self) -> int:
        """Added before the division by RAY that turns scaled debt into assets."""
        return RAY - 1 if self.directed_balances else RAY // 2

    def debt_value_addend(self, unit: int) -> int:
        """Added before the division by `unit` that turns a debt into value."""
        return unit - 1 if self.debt_value_up else 0


V3_0 = Rules(300, "3.0 to 3.1", stable_debt=True)
V3_2 = Rules(320, "3.2 to 3.3", emode_bitmaps=True)
V3_4 = Rules(340, "3.4", polynomial_interest=True, emode_bitmaps=True)
V3_5 = Rules(
    350,
    "3.5",
    polynomial_interest=True,
    directed_balances=True,
    debt_value_up=True,
    summed_threshold=True,
    available_down=True,
    emode_bitmaps=True,
)
V3_6 = Rules(
    360,
    "3.6",
    polynomial_interest=True,
    directed_balances=True,
    debt_value_up=True,
    summed_threshold=True,
    available_down=True,
    emode_bitmaps=True,
    counts_zero_threshold=True,
    emode_ltv_zero=True,
)
V3_7 = Rules(
    370,
    "3.7",
    polynomial_interest=True,
    directed_balances=True,
    debt_value_up=True,
    summed_threshold=True,
    available_down=True,
    emode_bitmaps=True,
    counts_zero_threshold=True,
    emode_ltv_zero=True,
    emode_isolation=True,
    isolation_mode=False,
)
SPARK_DIRECTED = Rules(
    1300,
    "Spark, directed rounding",
    directed_balances=True,
    debt_value_up=True,
    summed_threshold=True,
    stable_debt=True,
)

ALL_RULES = (V3_7, V3_6, V3_5, V3_4, V3_2, V3_0, SPARK_DIRECTED)
"""Newest first: the order in which they are tried once the suggested ones fail."""

_BY_REVISION = {1: V3_0, 2: V3_0, 3: V3_0, 4: V3_0, 5: V3_2, 6: V3_2, 7: V3_2, 8: V3_4, 9: V3_5, 10: V3_6, 11: V3_7}
"""POOL_REVISION of the releases. 2, 3 and 5 are inferred from their neighbours; forks count on their own."""


def suggested_rules(revision: int) -> Rules:
    """What a pool of this revision most likely follows; the newest rules for one never seen."""
    return _BY_REVISION.get(revision, V3_7)


def rules_by_code(code: int) -> Rules | None:
    """The rules a stored record names; None for a code no rules have."""
    return next((rules for rules in ALL_RULES if rules.code == code), None)


def likeliest_first(first: Rules) -> tuple[Rules, ...]:
    """All rules, `first` in front."""
    return (first, *(rules for rules in ALL_RULES if rules != first))
