"""The joint move of several prices, all by the same factor, at which an account's verdict turns.

Collateral, capacity and requirement are linear in the multiplier of a joint move (in its inverse where the measure
itself is what moves), so the turn is at one quotient, worked out from the account's legs. What is answered is settled
by the protocol's exact integer rule on a grid of millionths: at the multiplier stated the verdict is another one than
now, one millionth nearer to now it is the present one.

Because of linearity an account has one turn, either by a fall or by a rise. Exact integers may flicker around it by
their own rounding, and by 1 bp of the collateral in versions that truncate the average threshold: then a nearer turn
may exist inside that width. A perp's maker is not linear, and adapters may give no legs: then both ends of the range
are looked at and a turn is found by bisection; a verdict that turns and turns back inside the range is overlooked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.domain.account import AccountSnapshot
from app.domain.legs import Factor, Leg
from app.domain.market import Market, ValueUnit
from app.domain.risk import RiskAssessment, RiskStatus
from app.domain.units import WAD
from app.protocols.base import PricedState
from app.protocols.boundary import least
from app.valuation.groups import OTHER, STABLE, VOLATILE, AssetGroups
from app.valuation.shocks import UNKNOWN_MEASURES, USD, exponents, prices_of, scaled, with_prices

GRID = 10**6
"""Steps of the multiplier in 1."""
STEP_WAD = WAD // GRID
LOWEST = 1
"""Steps: a fall of 99.9999 %."""
HIGHEST = 10 * GRID
"""Steps: a rise of 900 %."""

_SPREAD = 8
"""By how much the distance from the closed form grows until the exact rule shows both verdicts."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Where the verdict turns."""

    multiplier_wad: int
    """Of all moved prices together; a whole number of millionths."""
    turns_to: RiskStatus
    """What the account is there: LIQUIDATABLE where it is healthy now, what it gets back to where it is not."""

    @property
    def distance_wad(self) -> int:
        """multiplier - 1: negative = a fall, positive = a rise."""
        return self.multiplier_wad - WAD


@dataclass(frozen=True, slots=True)
class JointMove:
    """What a joint move of one group does to an account."""

    group: str
    """A group's name, or `VOLATILE`."""
    markets: tuple[str, ...]
    """The account's markets whose assets belong to it, by code."""
    measure_moves: bool
    """Whether what the account's values are counted in belongs to it too."""
    turns: tuple[Turn, ...]
    """Nearest first; empty when nothing between a fall of 99.9999 % and a rise of 900 % turns the verdict."""


def joint_moves(
    priced: PricedState,
    factors: Mapping[str, Factor],
    snapshot: AccountSnapshot,
    assessment: RiskAssessment,
    markets: Mapping[str, Market],
    unit: ValueUnit,
    groups: AssetGroups,
) -> tuple[JointMove, ...] | None:
    """One for every group the account is in, and for all volatile assets together.

    Args:
        factors: `priced.factors()` by name, made once for all accounts.
        assessment: what `priced` says of the account now.
        markets: of the deployment, by code; symbols are from there.

    Returns:
        None without a verdict (no debt, unknown), and where it is not known what values are counted in.
    """
    prices = prices_of(assessment)
    return joint_moves_at(priced, factors, snapshot, assessment.status, prices, markets, unit, groups)


def joint_moves_at(
    priced: PricedState,
    factors: Mapping[str, Factor],
    snapshot: AccountSnapshot,
    status: RiskStatus,
    prices: Mapping[str, int],
    markets: Mapping[str, Market],
    unit: ValueUnit,
    groups: AssetGroups,
    *,
    only: str | None = None,
) -> tuple[JointMove, ...] | None:
    """`joint_moves` of an account whose verdict and prices are known without an assessment. `only`: this group alone,
    if the account is in it."""
    if status not in (RiskStatus.HEALTHY, RiskStatus.LIQUIDATABLE) or unit.currency in UNKNOWN_MEASURES:
        return None
    held = {code: markets[code] for code in prices}
    search = _Search(priced, factors, snapshot, prices, status is RiskStatus.LIQUIDATABLE)
    known: dict[tuple[tuple[str, int], ...], tuple[Turn, ...]] = {}
    found = []
    for group, moved, measure_moves in _sets(held, unit, groups):
        if only not in (None, group):
            continue
        exponent_of = exponents(moved, held, unit, measure_moves=measure_moves)
        key = tuple(sorted(exponent_of.items()))
        if key not in known:
            known[key] = search.turns(exponent_of) if exponent_of else ()
        found.append(JointMove(group, moved, measure_moves, known[key]))
    return tuple(found)


def _sets(
    held: Mapping[str, Market], unit: ValueUnit, groups: AssetGroups
) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """Group, the account's markets in it, whether the measure is in it."""
    by_group: dict[str, list[str]] = {}
    for code, market in held.items():
        by_group.setdefault(groups.group_of(market.symbol), []).append(code)
    in_dollars = unit.currency == USD and unit.asset is None
    measure = None if in_dollars else groups.group_of(unit.currency or "")
    for group in sorted(by_group):
        if group != OTHER:  # such assets do not move together
            yield group, tuple(sorted(by_group[group])), group == measure
    volatile = sorted(code for group, codes in by_group.items() if group != STABLE for code in codes)
    if volatile:
        yield VOLATILE, tuple(volatile), measure not in (None, STABLE)


class _Search:
    """The way from now to a turn, for one account."""

    def __init__(
        self,
        priced: PricedState,
        factors: Mapping[str, Factor],
        snapshot: AccountSnapshot,
        prices: Mapping[str, int],
        is_liquidatable: bool,
    ) -> None:
        self.priced, self.snapshot, self.prices, self.now = priced, snapshot, prices, is_liquidatable
        self.factors = factors
        legs = priced.legs(snapshot) if factors else None
        self.legs: Sequence[Leg] | None = legs

    def turns(self, exponent_of: Mapping[str, int]) -> tuple[Turn, ...]:
        """Every turn that a joint move has, nearest first."""
        statuses: dict[int, RiskStatus] = {}

        def status(steps: int) -> RiskStatus:
            found = statuses.get(steps)
            if found is None:
                found = statuses[steps] = self._status(exponent_of, steps)
            return found

        def turned(steps: int) -> bool:
            return (status(steps) is RiskStatus.LIQUIDATABLE) != self.now

        estimate = self._estimate(exponent_of)
        places = [_bracketed(turned, estimate)] if estimate is not None else [_below(turned, LOWEST), _above(turned)]
        if estimate is not None and places == [None]:  # what the floats see the exact rule does not: look everywhere
            places = [_below(turned, LOWEST), _above(turned)]
        found = [
            Turn(steps * STEP_WAD, status(steps))
            for steps in places
            if steps is not None and status(steps) is not RiskStatus.UNKNOWN
        ]
        return tuple(sorted(found, key=lambda turn: abs(turn.distance_wad)))

    def _status(self, exponent_of: Mapping[str, int], steps: int) -> RiskStatus:
        prices = {
            market: scaled(self.prices[market], steps * STEP_WAD if exponent > 0 else GRID * WAD // steps)
            for market, exponent in exponent_of.items()
        }
        return with_prices(self.priced, prices).health(self.snapshot).status

    def _estimate(self, exponent_of: Mapping[str, int]) -> int | None:
        """Steps of the closed form's turn, inside the range; None without legs, or where it has none in it."""
        if self.legs is None:
            return None
        stays = moves = 0.0
        inverse = any(exponent < 0 for exponent in exponent_of.values())
        for leg in self.legs:
            factor = self.factors.get(leg.factor)
            value = 1.0 if not leg.factor else None if factor is None else factor.value
            if value is None:
                return None
            part = (leg.capacity - leg.requirement) * value
            rises = factor.rises_with if factor is not None else None
            if rises is not None and rises in exponent_of:
                moves += part
            else:
                stays += part
        if not moves or not stays or (stays > 0) == (moves > 0):
            return None
        multiplier = -moves / stays if inverse else -stays / moves
        return round(multiplier * GRID) if LOWEST <= multiplier * GRID <= HIGHEST else None


def _bracketed(turned: Callable[[int], bool], estimate: int) -> int | None:
    """The turn nearest to the estimate; None where the exact rule has none between now and the end of the range."""
    is_fall = estimate <= GRID
    width = 1
    near, far = estimate, estimate
    while True:
        near = min(GRID, estimate + width) if is_fall else max(GRID, estimate - width)
        far = max(LOWEST, estimate - width) if is_fall else min(HIGHEST, estimate + width)
        if turned(far) and not turned(near):
            break
        if far in (LOWEST, HIGHEST) and near == GRID:
            return None
        width *= _SPREAD
    return _below(turned, far, near) if is_fall else least(turned, near, far)


def _below(turned: Callable[[int], bool], lowest: int, highest: int = GRID) -> int | None:
    """The highest steps at which the verdict is turned, below now."""
    found = least(lambda away: turned(highest - away), 0, highest - lowest)
    return None if found is None else highest - found


def _above(turned: Callable[[int], bool]) -> int | None:
    """The lowest steps at which the verdict is turned, above now."""
    return least(turned, GRID, HIGHEST)
