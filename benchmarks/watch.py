"""Bar w1: a watchlist of 100,000 wallets held against a new block, within a second of it.

The market is a large Aave one with the product's own store, book and adapter; a list of 100,000 of its wallets has a
rule on the health factor (1.05), on utilisation (0.95), on the status (liquidatable) and on the joint distance of all
that is not stable (5 %). Each round is a block with new prices and some changed accounts. The clock starts when the
book is read there, which the monitor does for its board anyway, and stops when the evaluation is written: what the
rules measure, and the episodes that come of it. What the book itself takes to move and be read is told besides.

What it costs depends on how many accounts are near their levels, because each of these is asked the exact rule: so it
is measured with few of them (2 % of all below 1.05) and with many (10 %). And each metric has the time one account
takes, of those the exact rule is asked about.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Coroutine
from dataclasses import replace
from typing import NamedTuple

from app.book import Reading
from app.domain.risk import RiskStatus
from app.domain.units import WAD
from app.domain.watch import Member, Metric, Rule, Severity
from app.store.postgres.engine import Database
from app.store.watch.members import add_members
from app.store.watch.rules import create_rule
from app.store.watch.watchlists import create_list
from app.watch.evaluate import Evaluator
from app.watch.ledger import StoredLedger
from app.watch.measures import Asked, Measures
from benchmarks.harness import Figure, report, spread
from benchmarks.store_world import server
from benchmarks.watch_world import WatchWorld

ACCOUNTS = 200_000
WATCHED = 100_000
ROUNDS = 9
NEAR = (0.02, 0.10)
SAMPLE = 300
"""Members whose every account is asked the exact rule, for the time of one."""
_PART = 20_000


class Took(NamedTuple):
    """Seconds: by the clock, and of this process' processor time, without the database's."""

    wall: float
    cpu: float


def rules() -> list[Rule]:
    """The four that a block is measured with."""
    return [
        _rule(Metric.HEALTH_FACTOR, 105 * WAD // 100, 106 * WAD // 100),
        _rule(Metric.UTILIZATION, 95 * WAD // 100, 94 * WAD // 100),
        _rule(Metric.STATUS, 1, 1, statuses=frozenset({RiskStatus.LIQUIDATABLE})),
        _rule(Metric.JOINT_DISTANCE, 5 * WAD // 100, 6 * WAD // 100, group="volatile"),
    ]


def single_rules() -> list[Rule]:
    """One of each metric, none of which any account is clear of: so everybody is asked about."""
    far = 10**40
    return [
        _rule(Metric.HEALTH_FACTOR, far, far),
        _rule(Metric.UTILIZATION, 0, 0),
        _rule(Metric.PRICE_DISTANCE, far, far),
        _rule(Metric.JOINT_DISTANCE, far, far, group="volatile"),
        _rule(Metric.SIGMA_DISTANCE, far, far, group="volatile"),
        _rule(Metric.SECONDS_TO_LIQUIDATION, far, far),
        _rule(Metric.COLLATERAL_CHANGE, -far, -far, window_seconds=1),
        _rule(Metric.DEBT_CHANGE, -far, -far, window_seconds=1),
    ]


def _rule(metric: Metric, level: int, clear_at: int, **more: object) -> Rule:
    given: dict[str, object] = {"id": 0, "watchlist_id": 0, "name": metric.value, "metric": metric, **more}
    return Rule(levels={Severity.WARNING: level}, clear_at=clear_at, **given)  # type: ignore[arg-type]


async def _with_list(world: WatchWorld, watched: int) -> None:
    members = [Member(account.key.wallet) for account in world.accounts[:watched]]
    async with world.database.write() as session:
        watchlist_id = await create_list(session, "everybody", "", 0)
        for first in range(0, watched, _PART):
            await add_members(session, watchlist_id, members[first : first + _PART], 0)
        for rule in rules():
            await create_rule(session, replace(rule, watchlist_id=watchlist_id), 0)


async def _timed(work: Coroutine[object, object, object]) -> Took:
    wall, cpu = time.perf_counter(), time.process_time()
    await work
    return Took(time.perf_counter() - wall, time.process_time() - cpu)


async def measure_blocks(url: str, accounts: int, watched: int, near: float, rounds: int) -> list[Figure]:
    """Bar w1, and the cost of one account."""
    database = Database(url)
    world = WatchWorld(database, accounts, near)
    await world.load()
    await _with_list(world, watched)
    evaluator = Evaluator(StoredLedger(database), Measures(database))
    measures = Measures(database)
    members = tuple(Member(account.key.wallet) for account in world.accounts[:watched])
    asked = [Asked(rule, members, frozenset()) for rule in rules()]
    alone: dict[Metric, list[float]] = {one.rule.metric: [] for one in asked}
    reads: list[float] = []
    measured: list[Took] = []
    evaluated: list[Took] = []
    first, near_count = 0.0, 0
    for number in range(rounds + 2):
        started = time.perf_counter()
        reading = await world.next_block()
        read = time.perf_counter() - started
        took = await _timed(evaluator.evaluate(world.keeper, reading))
        if number < 2:  # everybody is looked for, then everything that is near is read and opens an episode
            first = max(first, took.wall)
            await measures.measure(world.keeper, reading, asked, None)
            continue
        reads.append(read)
        evaluated.append(took)
        measured.append(await _timed(measures.measure(world.keeper, reading, asked, None)))
        for one in asked:
            alone[one.rule.metric].append((await _timed(_measure(measures, world, reading, one))).wall)
        near_count = sum(len(one.measured) for one in await measures.measure(world.keeper, reading, asked, None))
    await _costs(world, measures)
    await database.dispose()
    each = ", ".join(f"{metric.value} {statistics.median(times) * 1e3:.0f}" for metric, times in alone.items())
    about = f"{watched:,} wallets of {accounts:,}, {near:.0%} near: evaluated at a block, seconds"
    alone_took = spread([one.wall for one in measured], "s")
    detail = (
        f"worst {max(one.wall for one in evaluated):.2f} s, the first {first:.2f} s, of our processor"
        f" {spread([one.cpu for one in evaluated], 's')}; measuring alone {alone_took},"
        f" by rule in ms: {each}; {near_count:,} values; the book moved and read in {spread(reads, 's')} besides"
    )
    return [Figure("w1", about, statistics.median(one.wall for one in evaluated), 1, at_least=False, detail=detail)]


async def _measure(measures: Measures, world: WatchWorld, reading: Reading, asked: Asked) -> None:
    await measures.measure(world.keeper, reading, [asked], None)


async def _costs(world: WatchWorld, measures: Measures) -> None:
    members = tuple(Member(account.key.wallet) for account in world.accounts[:SAMPLE])
    keys = frozenset(account.key for account in world.accounts[:SAMPLE])
    reading = await world.keeper.read()
    told = []
    for rule in single_rules():
        asked = Asked(rule, members, keys)
        await _measure(measures, world, reading, asked)
        took = await _timed(_measure(measures, world, reading, asked))
        told.append(f"{rule.metric.value} {took.cpu / SAMPLE * 1e6:.0f}")
    print(
        f"    microseconds of processor time an account that the exact rule is asked about: {', '.join(told)}",
        flush=True,
    )


def run(accounts: int = ACCOUNTS, watched: int = WATCHED, rounds: int = ROUNDS) -> list[Figure]:
    """Bar w1, with few and with many near their levels."""
    figures = []
    for near in NEAR:
        with server() as url:
            figures += asyncio.run(measure_blocks(url, accounts, watched, near, rounds))
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--watched", type=int, default=WATCHED)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    report(run(given.accounts, given.watched, given.rounds))
