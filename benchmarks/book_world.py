"""A population for the book's benchmarks: lending accounts as a large Aave market has them, seeded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.account import AccountKey
from app.domain.chain import Address
from app.domain.legs import Factor
from app.domain.market import ValueUnit
from app.valuation.book import Book

DEPLOYMENT = "aave-v3-benchmark"
RESERVES = 40
MOVED = frozenset(f"reserve-{number}" for number in range(6))
"""The markets whose prices move together: in them is about a third of all value (they are held most)."""


@dataclass(frozen=True, slots=True)
class Legs:
    """Three legs an account on average, in the order of the accounts."""

    accounts: int
    owners: NDArray[np.intp]
    names: list[str]
    factors: NDArray[np.intp]
    """Place in `names`."""
    values: NDArray[np.float64]
    """By name: value of the factor."""
    collateral: NDArray[np.float64]
    capacity: NDArray[np.float64]
    requirement: NDArray[np.float64]

    def factor_list(self) -> list[Factor]:
        """As an adapter would state them."""
        markets = [name.partition(":")[2] for name in self.names]
        stated = zip(self.names, self.values.tolist(), markets, strict=True)
        return [Factor(name, value, rises_with=market) for name, value, market in stated]


def make_legs(accounts: int, seed: int = 1) -> Legs:
    """1 to 4 reserves held, 1 to 3 owed, reserves by popularity; health factors from 0.98 to 4."""
    random = np.random.default_rng(seed)
    prices = random.lognormal(3, 2, RESERVES)
    thresholds = random.integers(60, 95, RESERVES) / 100
    popularity = 1 / np.arange(2, RESERVES + 2)
    popularity /= popularity.sum()
    held_each = random.choice([1, 2, 3, 4], accounts, p=[0.45, 0.35, 0.15, 0.05])
    owed_each = random.choice([1, 2, 3], accounts, p=[0.8, 0.15, 0.05])
    holders, debtors = np.repeat(np.arange(accounts), held_each), np.repeat(np.arange(accounts), owed_each)
    held = random.choice(RESERVES, holders.size, p=popularity)
    owed = random.choice(RESERVES, debtors.size, p=popularity)
    value = random.lognormal(8, 2, holders.size)
    capacity = np.bincount(holders, weights=value * thresholds[held], minlength=accounts)
    utilization = random.uniform(0.25, 1.02, accounts)
    debt = (capacity * utilization / owed_each)[debtors]
    nothing_held, nothing_owed = np.zeros(debtors.size), np.zeros(holders.size)
    owners = np.concatenate([holders, debtors])
    order = np.argsort(owners, kind="stable")
    amounts = value / prices[held]
    names = [f"{side}:reserve-{number}" for side in ("supply", "debt") for number in range(RESERVES)]
    return Legs(
        accounts,
        owners[order],
        names,
        np.concatenate([held, owed + RESERVES])[order],
        np.concatenate([prices, prices * 1.07]),
        np.concatenate([amounts, nothing_held])[order],
        np.concatenate([amounts * thresholds[held], nothing_held])[order],
        np.concatenate([nothing_owed, debt / (prices[owed] * 1.07)])[order],
    )


def make_keys(accounts: int) -> list[AccountKey]:
    """One wallet an account."""
    return [AccountKey(DEPLOYMENT, Address(number.to_bytes(20, "big"))) for number in range(accounts)]


def make_book(legs: Legs, keys: list[AccountKey]) -> Book:
    """A book of them, in a deployment that truncates the average threshold."""
    book = Book()
    book.declare(DEPLOYMENT, ValueUnit("USD", 8, 8), truncates_threshold=True)
    book.set_factors(DEPLOYMENT, legs.factor_list(), {})
    book.load_columns(
        DEPLOYMENT,
        keys,
        legs.owners,
        legs.names,
        legs.factors,
        legs.collateral,
        legs.capacity,
        legs.requirement,
    )
    return book
