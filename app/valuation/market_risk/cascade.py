"""What liquidations do to prices, and those prices to others: an estimate, by a model that is stated and simple.

Prices start where a shock puts them. Whoever is below the line there has collateral sold; that moves prices down by the
impact model; whoever is below the line then sells too, and so on to rest:

    price      = present price x shock x impact(all that was sold of its pool)
    sold       = of each account ever below the line: its collateral, all kinds alike, up to close_factor x (1 + bonus)
                 of its debt at the prices of the round, valued at present prices
    linear:      impact = 1 - 1 % x sold / depth
    square root: impact = 1 - 1 % x sqrt(sold / depth)

`depth` is US dollars per 1 % move. Assets of one group share one pool; in `OTHER` each symbol has its own. What has no
depth does not move. Sold is counted in quantity (at present prices), so lower prices never sell less, and both series
only grow: prices fall round by round to the first level that explains itself. Without impact that is the first round,
and its accounts are those of the plain curve.

Left out: that a liquidation makes its account safer again (each counts once, whatever `close_factor`), what liquidators
buy to repay, recovery, other traders, fees, time; closing of perps (they are counted, and sell nothing).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from enum import StrEnum

import numpy as np

from app.valuation.book.arrays import Flags, Floats, Positions
from app.valuation.book.screen import Screen
from app.valuation.groups import BTC, ETH, OTHER, AssetGroups
from app.valuation.market_risk.market import Multiplier, RiskMarket
from app.valuation.shocks import Shock

DEFAULT_DEPTH_USD: Mapping[str, float] = {ETH: 50e6, BTC: 100e6, OTHER: 1e6}
"""Round assumptions, not measurements; stable assets are taken not to move."""
LOWEST_IMPACT = 0.01
"""No sale takes more than 99 % off a price: past that the models say nothing."""
AT_REST = 1e-9
"""Relative move of every price in a round below which nothing goes on."""


class ImpactModel(StrEnum):
    """How a price answers to what is sold."""

    LINEAR = "linear"
    SQUARE_ROOT = "square_root"


@dataclass(frozen=True, slots=True)
class Impact:
    """What the estimate rests on. `depth_usd`: above 0, by group, or by symbol in capitals of what is in `OTHER`; what
    is left out does not move."""

    depth_usd: Mapping[str, float] = field(default_factory=lambda: DEFAULT_DEPTH_USD)
    model: ImpactModel = ImpactModel.LINEAR
    close_factor: float = 0.5
    """Part of an account's debt that is repaid, above 0 and at most 1."""
    bonus: float = 0.05
    """What liquidators get on top of what they repay, at least 0."""
    max_rounds: int = 100

    def pool(self, symbol: str, groups: AssetGroups) -> str | None:
        """Where sales of an asset go; None where they move nothing."""
        group, own = groups.group_of(symbol), symbol.upper()
        if group != OTHER:
            return group if group in self.depth_usd else None
        return own if own in self.depth_usd or OTHER in self.depth_usd else None

    def depth_of(self, pool: str) -> float:
        """US dollars per 1 % move."""
        found = self.depth_usd.get(pool)
        return self.depth_usd[OTHER] if found is None else found

    def of(self, sold_usd: float, depth_usd: float) -> float:
        """What a price is multiplied by."""
        parts = sold_usd / depth_usd
        return max(LOWEST_IMPACT, 1 - 0.01 * (parts if self.model is ImpactModel.LINEAR else math.sqrt(parts)))


@dataclass(frozen=True, slots=True)
class CascadeSums:
    """Accounts below the line, with values in US dollars at the prices of the moment. Perps are only counted."""

    accounts: int
    perp_accounts: int
    unconverted: int
    """Lending accounts among `accounts` that are in no sum, and sell nothing."""
    debt: float
    collateral: float
    bad_debt: float
    """Debt above collateral, account by account, of all lending accounts."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """Before the first sale, and at rest."""

    at_shock: CascadeSums
    at_rest: CascadeSums
    rounds: int
    is_at_rest: bool
    """False: still moving after `max_rounds`, so this is less than where it would end."""
    sold_usd: Mapping[str, float]
    """By pool: a group's name, or a symbol of `OTHER`."""
    impact: Mapping[str, float]
    """By pool: what its prices are multiplied by, besides the shock."""


def cascade(markets: Sequence[RiskMarket], shock: Shock, impact: Impact | None = None) -> Cascade:
    """The estimate over all these markets, whose sales meet in the same pools. Equal inputs give equal results.

    Raises:
        ValueError: no round is allowed.
    """
    impact = impact or Impact()
    sides = [_Side(market, shock, impact) for market in markets]
    pools = sorted({pool for side in sides for pool in side.pools})
    drops, sold = dict.fromkeys(pools, 1.0), dict.fromkeys(pools, 0.0)
    first, is_at_rest, rounds = None, False, 0
    for rounds in range(1, impact.max_rounds + 1):
        for side in sides:
            side.move(drops)
        first = first or _total(side.sums(drops) for side in sides)
        sales = [side.sales() for side in sides]
        sold = {pool: max(before, sum(one.get(pool, 0.0) for one in sales)) for pool, before in sold.items()}
        after = {pool: impact.of(amount, impact.depth_of(pool)) for pool, amount in sold.items()}
        is_at_rest = all(drops[pool] - after[pool] <= AT_REST * drops[pool] for pool in pools)
        if is_at_rest or rounds == impact.max_rounds:
            break
        drops = after
    if first is None:
        raise ValueError("max_rounds has to be at least 1")
    return Cascade(first, _total(side.sums(drops) for side in sides), rounds, is_at_rest, sold, drops)


def _total(sums: Iterable[CascadeSums]) -> CascadeSums:
    found = [astuple(one) for one in sums]
    return CascadeSums(*(sum(column) for column in zip(*found, strict=True))) if found else _NOTHING


_NOTHING = CascadeSums(0, 0, 0, 0.0, 0.0, 0.0)


class _Side:
    """One market in the estimate: where its accounts stand at the prices of the round."""

    def __init__(self, market: RiskMarket, shock: Shock, impact: Impact) -> None:
        self._market, self._impact = market, impact
        self._shock = market.multiplier(shock)
        self._ledgers = market.row_ledgers(market.screen)
        self._is_perp = market.is_perp_row(self._ledgers)
        self._below: Flags = np.zeros(self._ledgers.size, np.bool_)
        self._screen: Screen | None = None
        self._start_rates = self._by_row(market.ledger_rates())
        columns = market.book.groups_by_column(lambda d, code: self._pool(market.symbol(d, code)))
        self.pools = sorted({rises for rises, _ in columns if rises is not None})
        number = {pool: place for place, pool in enumerate(self.pools)}
        self._pool_of_column = np.array([len(number) if rises is None else number[rises] for rises, _ in columns])

    @property
    def _now(self) -> Screen:
        assert self._screen is not None
        return self._screen

    def move(self, drops: Mapping[str, float]) -> None:
        """To the prices of a round; whoever is below the line stays among those that sell."""
        self._screen = self._market.book.shocked(self._market.book_shock(self._multiplier(drops)), self._screen)
        with np.errstate(invalid="ignore"):
            self._below |= self._screen.health < 1

    def sums(self, drops: Mapping[str, float]) -> CascadeSums:
        """At the prices of the round, which `drops` are those of."""
        screen, lending = self._now, ~self._is_perp
        rates = self._by_row(self._market.ledger_rates(self._multiplier(drops)))
        valued = lending & ~np.isnan(rates)
        chosen = self._below & valued
        shortfall = np.fmax(screen.requirement[valued] - screen.collateral[valued], 0.0) * rates[valued]
        return CascadeSums(
            int(np.count_nonzero(self._below & lending)),
            int(np.count_nonzero(self._below & self._is_perp)),
            int(np.count_nonzero(self._below & lending & np.isnan(rates))),
            float((screen.requirement[chosen] * rates[chosen]).sum()),
            float((screen.collateral[chosen] * rates[chosen]).sum()),
            float(np.nansum(shortfall)),
        )

    def sales(self) -> dict[str, float]:
        """By pool: US dollars, at present prices, of what the accounts below the line sell."""
        screen, present = self._now, self._market.screen.factors
        sold = np.zeros(len(self.pools) + 1)
        sellers = self._below & ~self._is_perp & ~np.isnan(self._start_rates)
        owed = self._impact.close_factor * (1 + self._impact.bonus) * screen.requirement
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.where(screen.collateral > 0, np.fmin(owed / screen.collateral, 1.0), 0.0)
        for columns, places, held in self._holdings(sellers):
            worth = held * present[columns] * self._start_rates[places] * part[places]
            sold += np.bincount(self._pool_of_column[columns], weights=worth, minlength=sold.size)
        return dict(zip(self.pools, sold.tolist(), strict=False))

    def _holdings(self, sellers: Flags) -> Iterator[tuple[Positions, Positions, Floats]]:
        """Column, row and coefficient of what these accounts hold, one term of a bucket at a time."""
        for bucket, start in self._now.spans():
            rows = np.flatnonzero(sellers[start : start + bucket.count])
            for term in range(bucket.shape.supplies if rows.size else 0):
                columns = bucket.supply_columns[term].take(rows).astype(np.intp)
                yield columns, rows + start, bucket.collateral[term].take(rows)

    def _multiplier(self, drops: Mapping[str, float]) -> Multiplier:
        def multiplier(symbol: str) -> float:
            pool = self._pool(symbol)
            return self._shock(symbol) * (1.0 if pool is None else drops.get(pool, 1.0))

        return multiplier

    def _by_row(self, rates: Floats) -> Floats:
        return rates[self._ledgers] if self._ledgers.size else np.zeros(0)

    def _pool(self, symbol: str) -> str | None:
        return self._impact.pool(symbol, self._market.groups)
