"""Small random populations, and the book's arithmetic written down once more, one account at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from app.domain.account import AccountKey
from app.domain.chain import Address
from app.domain.legs import CONSTANT, Factor, Leg
from app.domain.market import ValueUnit
from app.valuation.book import Book

USD = ValueUnit("USD", 8, 8)
ETH = ValueUnit("ETH", 18, 18)
POOL, PERPS = "pool", "perps"
"""Deployments: the first truncates the average threshold and is counted in dollars, the second has signed legs."""

MARKETS = ("weth", "wbtc", "dai")


def key(number: int, deployment_id: str = POOL) -> AccountKey:
    return AccountKey(deployment_id, Address(number.to_bytes(20, "big")))


def factors(values: Mapping[str, float | None], **moved_by: tuple[str | None, str | None]) -> list[Factor]:
    """Factors; `moved_by`: (rises with, falls with) by name, by itself where not given."""
    return [Factor(name, value, *moved_by.get(name, (name, None))) for name, value in values.items()]


def book_of(accounts: Mapping[AccountKey, Sequence[Leg] | None], values: Mapping[str, float | None]) -> Book:
    """A book with both deployments at the same factors."""
    book = Book()
    book.declare(POOL, USD, truncates_threshold=True)
    book.declare(PERPS, ETH)
    for deployment_id in (POOL, PERPS):
        book.set_factors(deployment_id, factors(values, inverse=(None, "dai")))
    for account, legs in accounts.items():
        book.set_account(account, legs)
    return book


@dataclass(frozen=True, slots=True)
class Plain:
    """One account by a plain loop; all None when a factor is not known, health None without a requirement."""

    collateral: float | None
    capacity: float | None
    requirement: float | None
    health: float | None


def plain_value(legs: Sequence[Leg] | None, values: Mapping[str, float | None], *, truncates: bool) -> Plain:
    """What `reprice` has to say of the account."""
    collateral = capacity = requirement = 0.0
    if legs is None:
        return Plain(None, None, None, None)
    for leg in legs:
        value = 1.0 if leg.factor == CONSTANT else values.get(leg.factor)
        if value is None:
            return Plain(None, None, None, None)
        collateral += leg.collateral * value
        capacity += leg.capacity * value
        requirement += leg.requirement * value
    if truncates and any(leg.requirement for leg in legs) and collateral:
        thresholds = {round(leg.capacity / leg.collateral * 10_000, 4) for leg in legs if leg.collateral}
        if len(thresholds) > 1 or any(threshold % 1 for threshold in thresholds):
            capacity = min(capacity, math.floor(capacity / collateral * 10_000) * collateral / 10_000)
    return Plain(collateral, capacity, requirement, capacity / requirement if requirement > 0 else None)


amounts = st.floats(0.001, 1e6)
thresholds = st.sampled_from([0.5, 0.75, 0.8, 0.825, 0.8333])
names = st.sampled_from([*MARKETS, "inverse", CONSTANT])


@st.composite
def lending_legs(draw: st.DrawFn) -> list[Leg]:
    """Up to six legs: collateral with a threshold, or debt."""
    legs = []
    for _ in range(draw(st.integers(0, 6))):
        name, amount = draw(names), draw(amounts)
        if draw(st.booleans()):
            legs.append(Leg(name, amount, amount * draw(thresholds), 0.0))
        else:
            legs.append(Leg(name, 0.0, 0.0, amount))
    return legs


@st.composite
def perp_legs(draw: st.DrawFn) -> list[Leg]:
    """Constant equity and positions, long and short, each of which needs margin."""
    equity = draw(st.floats(-1e4, 1e6))
    legs = [Leg(CONSTANT, equity, equity, 0.0)]
    for name in draw(st.lists(st.sampled_from(MARKETS), max_size=3)):
        size = draw(st.floats(-1e3, 1e3).filter(lambda size: abs(size) > 1e-3))
        legs.append(Leg(name, size, size, abs(size) * 0.0625))
    return legs


accounts = st.one_of(
    st.builds(lambda number, legs: (key(number), legs), st.integers(1, 40), st.none() | lending_legs()),
    st.builds(lambda number, legs: (key(number, PERPS), legs), st.integers(1, 40), perp_legs()),
)
populations = st.lists(accounts, max_size=25).map(dict)
known_values = st.fixed_dictionaries({name: st.floats(0.01, 1e5) for name in (*MARKETS, "inverse")})
values_with_gaps = st.fixed_dictionaries({name: st.none() | st.floats(0.01, 1e5) for name in (*MARKETS, "inverse")})
