"""The book: every account of every deployment in memory, revalued as a whole at each block.

Floats throughout: the book ranks, screens and answers what-if about populations. What is shown of one account, alerted
or called liquidatable is for the adapter's integers; `Screen.to_confirm` says for whom that could make a difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.domain.account import AccountKey
from app.domain.chain import Address
from app.domain.legs import Factor, Leg
from app.domain.market import ValueUnit
from app.valuation.book.arrays import Floats, Indices, Positions
from app.valuation.book.bucket import Debt, Supply
from app.valuation.book.chosen import Chosen, ChosenAt, choose
from app.valuation.book.curve import LiquidationCurve, liquidation_curve
from app.valuation.book.factors import UNKNOWN_COLUMN, FactorTable, GroupOf, Shock
from app.valuation.book.kernel import Scratch
from app.valuation.book.loading import LegColumns, append_accounts
from app.valuation.book.moves import liquidation_moves
from app.valuation.book.population import Ledger, Population, shape_of
from app.valuation.book.reach import factors_after, reached_by_one_price, reached_under, touching
from app.valuation.book.screen import Screen

MOVES = tuple(step / 100 for step in range(50, 151))
"""-50 % to +50 % by whole percents."""


@dataclass(frozen=True, slots=True)
class _Rules:
    unit: ValueUnit
    truncates_threshold: bool


class Book:
    """Accounts of many deployments. Not thread-safe; no clock, no I/O; the same calls give the same answers."""

    def __init__(self) -> None:
        self._table = FactorTable()
        self._population = Population()
        self._rules: dict[str, _Rules] = {}
        self._widest: dict[str, float] = {}
        self._scratch = Scratch()

    def __len__(self) -> int:
        return len(self._population)

    def __contains__(self, key: AccountKey) -> bool:
        return key in self._population

    def __iter__(self) -> Iterator[AccountKey]:
        return iter(self._population)

    @property
    def nbytes(self) -> int:
        """Of the arrays; keys and the dict over them are not counted."""
        return self._population.nbytes

    @property
    def markets(self) -> list[tuple[str, str]]:
        """(deployment id, market code) of every price that moves some factor."""
        return list(self._table.markets())

    @property
    def ledgers(self) -> Sequence[Ledger]:
        """By number, in order of appearance."""
        return self._population.ledgers

    def groups_by_column(self, group_of: GroupOf) -> list[tuple[str | None, str | None]]:
        """By column of `Screen.factors`: the groups of prices it rises with and falls with."""
        return [self._table.groups(column, group_of) for column in range(len(self._table))]

    def declare(self, deployment_id: str, unit: ValueUnit, *, truncates_threshold: bool = False) -> None:
        """Make a deployment known, or state its rules anew: its accounts are sorted in again if need be.

        `unit`: what its accounts are counted in where nothing else is said. `truncates_threshold`: whether the
        contract truncates the average liquidation threshold to whole bps before it multiplies.
        """
        before = self._rules.get(deployment_id)
        self._rules[deployment_id] = _Rules(unit, truncates_threshold)
        if before is not None and before.truncates_threshold != truncates_threshold:
            for key in [key for key in self._population if key.deployment_id == deployment_id]:
                bucket, row = self._population.place(key)
                ledger = int(bucket.ledgers[row])
                self._put(key, *bucket.terms(row), ledger)

    def set_factors(
        self, deployment_id: str, factors: Sequence[Factor], steps: Mapping[str, float] | None = None
    ) -> None:
        """State all factors of one deployment at a block; one that is not named any more is not known.

        `steps`: by factor name, the value of the least amount the contract's own rounding can be off by, in whole
        units: one unit of the token's last decimal at its price. It widens the bounds of `Screen.to_confirm`.

        Raises:
            KeyError: the deployment was not declared.
            ValueError: a name twice or reserved, a value that is no finite number. Nothing was changed then.
        """
        _ = self._rules[deployment_id]
        self._table.set(deployment_id, factors, steps or {})
        self._widest[deployment_id] = max((steps or {}).values(), default=0.0)

    def set_account(self, key: AccountKey, legs: Sequence[Leg] | None, unit: ValueUnit | None = None) -> None:
        """Add or replace one account. `legs` None: not known, whatever the factors. `unit`: what it is counted in,
        where that is not its deployment's.

        Raises:
            KeyError: the deployment was not declared.
            ValueError: a coefficient that is no finite number.
        """
        rules = self._rules[key.deployment_id]
        supplies: list[Supply] = []
        debts: list[Debt] = []
        for leg in legs if legs is not None else ():
            if not math.isfinite(leg.collateral + leg.capacity + leg.requirement):
                raise ValueError(f"{key}: leg on {leg.factor!r} has a coefficient that is no finite number")
            column = self._table.column(key.deployment_id, leg.factor)
            if leg.collateral or leg.capacity or not leg.requirement:
                supplies.append(Supply(column, leg.collateral, leg.capacity))
            if leg.requirement:
                debts.append(Debt(column, leg.requirement))
        if legs is None:
            supplies.append(Supply(UNKNOWN_COLUMN, 0.0, 0.0))
        self._put(key, supplies, debts, self._population.ledger_number(Ledger(key.deployment_id, unit or rules.unit)))

    def remove_account(self, key: AccountKey) -> bool:
        """Take one account out; whether it was in."""
        return self._population.drop(key)

    def legs(self, key: AccountKey) -> list[Leg] | None:
        """What the account is made of, supply and debt apart; None where it is not known.

        Raises:
            KeyError: not in the book.
        """
        bucket, row = self._population.place(key)
        supplies, debts = bucket.terms(row)
        if any(supply.column == UNKNOWN_COLUMN for supply in supplies):
            return None
        name = self._table.name
        return [
            *(Leg(name(column), collateral, capacity, 0.0) for column, collateral, capacity in supplies),
            *(Leg(name(column), 0.0, 0.0, requirement) for column, requirement in debts),
        ]

    def load(self, deployment_id: str, accounts: Iterable[tuple[AccountKey, Sequence[Leg]]]) -> None:
        """Add many accounts that are not in the book, all counted in the deployment's own unit.

        Raises: as `load_columns`.
        """
        keys: list[AccountKey] = []
        owners: list[int] = []
        legs: list[Leg] = []
        for key, own in accounts:
            owners.extend([len(keys)] * len(own))
            legs.extend(own)
            keys.append(key)
        names, collateral, capacity, requirement = zip(*legs, strict=True) if legs else ((), (), (), ())
        codes = {name: code for code, name in enumerate(dict.fromkeys(names))}
        self.load_columns(
            deployment_id,
            keys,
            np.array(owners, np.intp),
            list(codes),
            np.array([codes[name] for name in names], np.intp),
            np.array(collateral, float),
            np.array(capacity, float),
            np.array(requirement, float),
        )

    def load_columns(
        self,
        deployment_id: str,
        keys: Sequence[AccountKey],
        owners: Positions,
        names: Sequence[str],
        factors: Positions,
        collateral: Floats,
        capacity: Floats,
        requirement: Floats,
    ) -> None:
        """Add many accounts that are not in the book, from columns with one place a leg: `owners` is the account's
        place in `keys`, ascending; `factors` the place of the factor's name in `names`.

        Raises:
            KeyError: the deployment was not declared.
            ValueError: a key twice, in the book already, or of another deployment; owners not ascending; a coefficient
                that is no finite number. Nothing was changed then.
        """
        rules = self._rules[deployment_id]
        if any(key.deployment_id != deployment_id for key in keys):
            raise ValueError(f"{deployment_id}: an account of another deployment")
        if owners.size and (np.any(np.diff(owners) < 0) or owners[0] < 0 or owners[-1] >= len(keys)):
            raise ValueError(f"{deployment_id}: legs have to be in the order of their accounts")
        if not np.isfinite(collateral + capacity + requirement).all():
            raise ValueError(f"{deployment_id}: a coefficient that is no finite number")
        columns: Indices = np.array([self._table.column(deployment_id, name) for name in names], np.int32)
        legs = LegColumns(owners, columns[factors], collateral, capacity, requirement)
        ledger = self._population.ledger_number(Ledger(deployment_id, rules.unit))
        ledgers: Indices = np.full(len(keys), ledger, np.int32)
        append_accounts(self._population, keys, legs, ledgers, truncates=rules.truncates_threshold)

    def choose(self, lists: Sequence[Collection[Address]]) -> list[Chosen]:
        """The accounts of the wallets of each list; one look at everybody for all of them."""
        found = [Chosen(self._population, wallets) for wallets in lists]
        choose(self._population, found)
        return found

    def reached_under(self, chosen: ChosenAt, shocks: Sequence[Shock]) -> ChosenAt:
        """Whoever of these may be liquidatable as it is, or after one of these moves. See `app.valuation.book.reach`,
        as for the next three.

        Raises:
            ValueError: a multiplier that is not a finite number above 0.
        """
        return reached_under(chosen, [self._table.shocked(shock) for shock in shocks])

    def reached_later(self, chosen: ChosenAt, factors: Mapping[str, Sequence[Factor]]) -> ChosenAt:
        """Whoever may be liquidatable as it is, or with other factors of some deployments."""
        return reached_under(chosen, [factors_after(self._table, self._table.values, factors)])

    def reached_by_one_price(
        self, chosen: ChosenAt, distance: float, is_moved: Callable[[str, str], bool] = lambda *_: True
    ) -> ChosenAt:
        """Whoever may be liquidatable after a move of one of these markets' prices by at most `distance`."""
        return reached_by_one_price(chosen, self._table, distance, is_moved)

    def touching(self, chosen: ChosenAt, is_one: Callable[[str, str], bool]) -> ChosenAt:
        """Whoever has something that hangs on the price of one of these markets."""
        return touching(chosen, self._table, is_one)

    def reprice(self, recycle: Screen | None = None) -> Screen:
        """Everybody at the factors as they are. `recycle`: an earlier screen nobody needs any more, whose arrays are
        written over: making new ones takes as long as the arithmetic."""
        return self._screen(self._table.values.copy(), recycle)

    def shocked(self, shock: Shock, recycle: Screen | None = None) -> Screen:
        """Everybody as if prices had moved; the book stays as it is.

        Raises:
            ValueError: a multiplier that is not a finite number above 0.
        """
        return self._screen(self._table.shocked(shock), recycle)

    def liquidation_curve(
        self, is_moved: Callable[[str, str], bool], moves: Sequence[float] = MOVES, screen: Screen | None = None
    ) -> LiquidationCurve:
        """How many accounts are liquidatable when the prices of the markets for which `is_moved(deployment id, market
        code)` are multiplied by each of `moves`. `screen`: that of `reprice`, when there is one already.

        Raises:
            ValueError: `moves` that are not ascending or not above 0.
            StaleScreen: accounts or factors were changed since the screen was made.
        """
        steps = np.asarray(moves, float)
        if not steps.size or not np.isfinite(steps).all() or steps[0] <= 0 or np.any(np.diff(steps) <= 0):
            raise ValueError("moves have to be multipliers above 0, ascending")
        screen = screen or self.reprice()
        screen.require_factors(self._table.values)
        return liquidation_curve(screen, self._table, is_moved, steps, self._population.ledgers)

    def liquidation_moves(self, key: AccountKey, group_of: GroupOf) -> dict[str, float | None]:
        """By group of prices that move together: the multiplier at which the account's health is 1, all others as they
        are; the one nearest to 1 where there are two, None where there is none or it is not known.

        Raises:
            KeyError: not in the book.
        """
        bucket, row = self._population.place(key)
        return liquidation_moves(*bucket.terms(row), self._table, group_of)

    def _screen(self, factors: Floats, recycle: Screen | None) -> Screen:
        widest = [
            self._widest.get(ledger.deployment_id, 0.0) + 10.0**-ledger.unit.decimals
            for ledger in self._population.ledgers
        ]
        screen = Screen(self._population, factors, self._table.steps.copy(), np.array(widest))
        screen.fill(self._scratch, None if recycle is None else recycle.values)
        return screen

    def _put(self, key: AccountKey, supplies: Sequence[Supply], debts: Sequence[Debt], ledger: int) -> None:
        truncates = self._rules[key.deployment_id].truncates_threshold
        self._population.put(key, shape_of(supplies, debts, truncates=truncates), ledger, supplies, debts)
