"""Bars 6, 6b, 7: a million accounts revalued at a block, and what a move of prices would make liquidatable.

The floor is what the memory allows: one thread reads every column of the book and writes four results an account.
The other sides are numpy and polars over one table of legs, as one would write them; all give the same health factors,
with Aave's truncation of the average threshold. The depth curve is held against revaluing everybody at every step, by
the book's own fast revaluation and by the plain one, and has to count the very same accounts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.legs import Leg
from app.valuation.book import MOVES, Book, Screen, Shock
from benchmarks.book_world import MOVED, Legs, make_book, make_keys, make_legs
from benchmarks.harness import ROUNDS, Contestant, Figure, Sample, interleave, median_ratio, report, spread

try:
    import polars

    HAS_POLARS = True
except ImportError:  # 180 MB that nothing else here needs
    HAS_POLARS = False

ACCOUNTS = 1_000_000
GROWTH = (10_000, 100_000, 1_000_000, 5_000_000)
CHANGED = 1_000
PLAIN_STEPS = 5
"""Of the plain revaluations, 35 ms each: all steps cost the same, so some are timed and counted for all."""


def is_moved(_: str, market: str) -> bool:
    """Which prices the curve is about."""
    return market in MOVED


@dataclass(slots=True)
class World:
    """What all contestants work on."""

    legs: Legs
    book: Book
    screen: Screen
    columns: list[NDArray[np.int64]]
    """Every column of the book that revaluation reads, as words."""
    health: NDArray[np.float64]
    """By account, from the last plain revaluation."""

    @classmethod
    def make(cls, accounts: int) -> World:
        legs = make_legs(accounts)
        book = make_book(legs, make_keys(accounts))
        columns = []
        for bucket in book._population.buckets:
            for array in (bucket.supply_columns, bucket.collateral, bucket.capacity):
                columns.append(array.reshape(-1)[: array.size // 2 * 2].view(np.int64))
            for array in (bucket.debt_columns, bucket.requirement):
                columns.append(array.reshape(-1)[: array.size // 2 * 2].view(np.int64))
        return cls(legs, book, book.reprice(), columns, np.zeros(0))

    @property
    def touched_mb(self) -> float:
        """Read and written by one revaluation."""
        return (sum(column.nbytes for column in self.columns) + 4 * self.screen.health.nbytes) / 1e6

    def reprice(self) -> int:
        self.screen = self.book.reprice(recycle=self.screen)
        return self.legs.accounts

    def stream(self) -> int:
        """The floor. Or-ing words is the fastest way numpy has to read memory."""
        seen = 0
        for column in self.columns:
            seen |= int(np.bitwise_or.reduce(column))
        for array in (self.screen.collateral, self.screen.capacity, self.screen.requirement, self.screen.health):
            array.fill(seen)
        return self.legs.accounts

    def plain(self, values: NDArray[np.float64] | None = None) -> int:
        """One table of legs, summed by account with bincount."""
        legs = self.legs
        factors = (legs.values if values is None else values)[legs.factors]
        collateral, capacity, requirement = (
            np.bincount(legs.owners, weights=factors * coefficients, minlength=legs.accounts).astype(float, copy=False)
            for coefficients in (legs.collateral, legs.capacity, legs.requirement)
        )
        self.health = _health(collateral, capacity, requirement)
        return legs.accounts


def _health(
    collateral: NDArray[np.float64], capacity: NDArray[np.float64], requirement: NDArray[np.float64]
) -> NDArray[np.float64]:
    truncated = np.floor(capacity / collateral * 10_000 + 1e-8) * collateral / 10_000
    health: NDArray[np.float64] = truncated / requirement
    return health


def polars_contestant(legs: Legs) -> tuple[Contestant, Callable[[], NDArray[np.float64]]]:
    """The same by polars, with all its threads; and the health factors it found last."""
    table = polars.DataFrame(
        {
            "account": legs.owners.astype(np.uint32),
            "factor": legs.factors.astype(np.uint32),
            "collateral": legs.collateral,
            "capacity": legs.capacity,
            "requirement": legs.requirement,
        }
    )
    found: list[polars.DataFrame] = []

    def run() -> int:
        values = polars.lit(polars.Series(legs.values))
        factor = values.gather(polars.col("factor"))
        names = ("collateral", "capacity", "requirement")
        sums = (
            table.lazy()
            .select("account", *(polars.col(name) * factor for name in names))
            .group_by("account")
            .agg(polars.col(name).sum() for name in names)
        )
        held, carried, owed = (polars.col(name) for name in names)
        truncated = (carried / held * 10_000 + 1e-8).floor() * held / 10_000
        found[:] = [sums.with_columns(health=truncated / owed).collect()]
        return legs.accounts

    return run, lambda: found[0].sort("account")["health"].to_numpy()


def by_account(world: World) -> NDArray[np.float64]:
    """The book's health factors in the order of the accounts."""
    health = np.empty(world.legs.accounts)
    health[world.screen._gather_ids()] = world.screen.health
    return health


def measure_revaluation(world: World, rounds: int) -> list[Figure]:
    """Bars 6 and 6b."""
    contestants: dict[str, Contestant] = {"floor": world.stream, "ours": world.reprice, "plain": world.plain}
    world.reprice()
    world.plain()
    ours = by_account(world)
    np.testing.assert_allclose(ours, world.health, 1e-9)
    if not HAS_POLARS:
        print("bar 6b: not measured, polars is not installed: pip install --group bench", flush=True)
    else:
        contestants["polars"], found = polars_contestant(world.legs)
        contestants["polars"]()
        np.testing.assert_allclose(ours, found(), 1e-9)
    wall = {name: _wall(samples) for name, samples in interleave(contestants, rounds).items()}
    about = f"{world.legs.accounts:,} accounts of {world.legs.owners.size:,} legs revalued"
    times = ", ".join(f"{name} {spread([s * 1e3 for s in seconds], 'ms')}" for name, seconds in wall.items())
    figures = [
        Figure(
            "6",
            f"{about}: ours / one thread streaming the same {world.touched_mb:.0f} MB",
            median_ratio(wall["ours"], wall["floor"]),
            3,
            at_least=False,
            detail=times,
        ),
        Figure("6n", f"{about}: numpy over a table of legs / ours", median_ratio(wall["plain"], wall["ours"]), 2),
    ]
    if HAS_POLARS:
        figures.append(Figure("6b", f"{about}: polars group_by / ours", median_ratio(wall["polars"], wall["ours"]), 10))
    return figures


def measure_curve(world: World, rounds: int) -> list[Figure]:
    """Bar 7, and the equality of every count."""
    world.reprice()
    curve = world.book.liquidation_curve(is_moved, MOVES, world.screen)
    spare = world.book.reprice()

    def shocked(multiplier: float) -> Screen:
        return world.book.shocked(Shock(lambda _, market: multiplier if market in MOVED else 1.0), recycle=spare)

    for move, count, debt in zip(MOVES, curve.counts.tolist(), curve.debt_by_ledger[0].tolist(), strict=True):
        health = shocked(move).health
        hit = health < 1
        assert np.count_nonzero(hit) == count, move
        np.testing.assert_allclose(spare.requirement[hit].sum(), debt, 1e-9)
    moved = np.array([name.partition(":")[2] in MOVED for name in world.legs.names])

    def ours() -> int:
        world.book.liquidation_curve(is_moved, MOVES, world.screen)
        return len(MOVES)

    def revalued() -> int:
        for move in MOVES:
            np.count_nonzero(shocked(move).health < 1)
        return len(MOVES)

    def plain() -> int:
        for move in MOVES[:: len(MOVES) // PLAIN_STEPS][:PLAIN_STEPS]:
            world.plain(np.where(moved, world.legs.values * move, world.legs.values))
            np.count_nonzero(world.health < 1)
        return PLAIN_STEPS

    samples = interleave({"ours": ours, "revalued": revalued, "plain": plain}, rounds)
    cost = {name: [sample.wall_us for sample in found] for name, found in samples.items()}
    about = f"depth curve of {len(MOVES)} steps over {world.legs.accounts:,} accounts"
    detail = f"ours {spread([s.wall_seconds * 1e3 for s in samples['ours']], 'ms')}, all {len(MOVES)} counts equal"
    return [
        Figure("7", f"{about}: plain numpy revaluations / ours", median_ratio(cost["plain"], cost["ours"]), 40),
        Figure(
            "7r",
            f"{about}: the book's own revaluations / ours",
            median_ratio(cost["revalued"], cost["ours"]),
            20,
            detail=detail,
        ),
    ]


def measure_growth(largest: int, rounds: int) -> list[Figure]:
    """How time and memory grow with the population, what changes cost, and loading: linear or better."""
    per_account = []
    for accounts in [count for count in GROWTH if count <= largest]:
        legs, keys = make_legs(accounts), make_keys(accounts)
        started = time.perf_counter()
        book = make_book(legs, keys)
        loaded = time.perf_counter() - started
        screen = book.reprice()
        times = []
        for _ in range(rounds):
            started = time.perf_counter()
            screen = book.reprice(recycle=screen)
            times.append(time.perf_counter() - started)
        per_account.append(statistics.median(times) / accounts * 1e9)
        step = accounts // CHANGED
        owned = [[Leg("supply:reserve-1", 1.0, 0.8, 0.0), Leg("debt:reserve-2", 0, 0, 0.5 + n)] for n in range(CHANGED)]
        started = time.perf_counter()
        for number, own in enumerate(owned):
            book.set_account(keys[number * step], own)
        changed = time.perf_counter() - started
        print(
            f"    {accounts:>9,} accounts: revalued in {spread([t * 1e3 for t in times], 'ms')}, "
            f"loaded in {loaded:.2f} s, {CHANGED:,} changed in {changed * 1e3:.3g} ms, "
            f"{book.nbytes / accounts:.0f} bytes an account in arrays",
            flush=True,
        )
    what = f"nanoseconds an account, {largest:,} accounts / {GROWTH[0]:,}"
    detail = ", ".join(f"{ns:.3g} ns" for ns in per_account)
    return [Figure("6g", what, per_account[-1] / per_account[0], 1.5, at_least=False, detail=detail)]


def _wall(samples: list[Sample]) -> list[float]:
    return [sample.wall_seconds for sample in samples]


def run(accounts: int = ACCOUNTS, largest: int = GROWTH[-1], rounds: int = ROUNDS) -> list[Figure]:
    """Bars 6, 6b, 7."""
    world = World.make(accounts)
    figures = [*measure_revaluation(world, rounds), *measure_curve(world, rounds)]
    return [*figures, *measure_growth(largest, rounds)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--largest", type=int, default=GROWTH[-1])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    report(run(given.accounts, given.largest, given.rounds))
