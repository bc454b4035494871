"""The book with what market risk needs besides: what each ledger's unit is worth in US dollars, which assets move."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from app.domain.chain import Address
from app.domain.market import Market, ValueUnit
from app.domain.units import WAD
from app.valuation.book import Book, Ledger, Screen
from app.valuation.book import Shock as BookShock
from app.valuation.book.arrays import Flags, Floats, Positions
from app.valuation.groups import STABLE, VOLATILE, AssetGroups
from app.valuation.shocks import UNKNOWN_MEASURES, USD, Shock

Multiplier: TypeAlias = Callable[[str], float]
"""Symbol of an asset -> what its price in US dollars is multiplied by, above 0."""


@dataclass(frozen=True, slots=True)
class JointMove:
    """Prices in US dollars that move by the same factor; all others stay."""

    is_moved: Callable[[str, str], bool]
    """(deployment id, market code)."""
    measure_moves: Callable[[ValueUnit], bool]
    """Whether what a ledger is counted in is one of them."""


@dataclass(frozen=True, slots=True)
class RiskMarket:
    """Everybody in the book, at one block a chain. Immutable as long as the book is left alone."""

    book: Book
    screen: Screen
    """Of `book.reprice()`, at present prices."""
    rates: Mapping[Ledger, float]
    """US dollars that one whole unit of a ledger's value is worth; ledgers that cannot be converted are left out."""
    perps: frozenset[str]
    """Deployments whose requirement is maintenance margin and no debt."""
    markets: Mapping[tuple[str, str], Market]
    """By deployment id and market code."""
    groups: AssetGroups

    def symbol(self, deployment_id: str, code: str) -> str:
        """Of a market; its code where nothing describes it."""
        market = self.markets.get((deployment_id, code))
        return code if market is None else market.symbol

    def of_group(self, group: str) -> JointMove:
        """Every asset of a group; of all that is not stable for `VOLATILE`."""

        def belongs(symbol: str) -> bool:
            own = self.groups.group_of(symbol)
            return own != STABLE if group == VOLATILE else own == group

        return JointMove(
            lambda deployment_id, code: belongs(self.symbol(deployment_id, code)),
            lambda unit: has_token_measure(unit) and belongs(unit.currency or ""),
        )

    def of_asset(self, asset: Address) -> JointMove:
        """One token, in every deployment that has a market for it. Hand in the deployments of one chain only: the same
        address may be another token elsewhere."""

        def is_moved(deployment_id: str, code: str) -> bool:
            market = self.markets.get((deployment_id, code))
            return market is not None and market.asset == asset

        return JointMove(is_moved, lambda unit: unit.asset == asset)

    def multiplier(self, shock: Shock) -> Multiplier:
        """What a shock does to an asset's price in US dollars."""
        return lambda symbol: shock.multiplier_wad(symbol, self.groups) / WAD

    def book_shock(self, multiplier: Multiplier) -> BookShock:
        """The same in the book's terms. Prices counted in a token that moves too are the book's own affair: their
        factors fall with it."""
        return BookShock(lambda deployment_id, code: multiplier(self.symbol(deployment_id, code)))

    def row_ledgers(self, screen: Screen) -> Positions:
        """Number of each row's ledger."""
        parts = [bucket.ledgers[: bucket.count] for bucket, _ in screen.spans()]
        return np.concatenate(parts).astype(np.intp) if parts else np.zeros(0, np.intp)

    def ledger_rates(self, multiplier: Multiplier = lambda _: 1.0) -> Floats:
        """By number of the ledger: US dollars of one unit once prices have moved; NaN where not convertible."""
        found = [self.rates.get(one, np.nan) * measure_multiplier(one.unit, multiplier) for one in self.ledgers]
        return np.array(found, float)

    @property
    def ledgers(self) -> Sequence[Ledger]:
        """By number."""
        return self.book.ledgers

    def is_perp_row(self, ledgers: Positions) -> Flags:
        """By row: whether it is a perp account's."""
        of_ledger = np.array([one.deployment_id in self.perps for one in self.ledgers], np.bool_)
        found: Flags = of_ledger[ledgers] if ledgers.size else np.zeros(0, np.bool_)
        return found


def has_token_measure(unit: ValueUnit) -> bool:
    """Whether values are counted in a token, whose own price in US dollars may move."""
    return unit.currency not in UNKNOWN_MEASURES and not (unit.currency == USD and unit.asset is None)


def measure_multiplier(unit: ValueUnit, multiplier: Multiplier) -> float:
    """What the unit itself is multiplied by in US dollars."""
    return multiplier(unit.currency or "") if has_token_measure(unit) else 1.0
