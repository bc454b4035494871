"""Bar 16: the state of a wallet at an old block in a store with ten million rows of history, and the other questions
about the past. Filling takes some minutes; the disk has to have 4 GB of room.

`python -m benchmarks.history [--scale 0.1]`: with a scale the store is smaller, for trying it out; the figures then
say nothing about the bar.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import psycopg

from app.store.account_changes import load_change_blocks
from app.store.accounts import load_account_history, load_wallet
from app.store.blocks import load_block, load_spaced
from app.store.markets import load_records_at
from app.store.postgres.engine import Database
from app.store.postgres.session import ReadSession, Row
from app.store.postgres.types import driver_adapters
from benchmarks.harness import ROUNDS, Figure, median_ratio, report
from benchmarks.history.questions import Comparable, Question, ask_naively, comparable, draw
from benchmarks.history.world import WHOLE, Population, populate
from benchmarks.store_world import server

A_ROUND = 500
"""Questions of each side in a round; another round before them does not count."""
OTHERS = 500
POINTS = 50

Ask: TypeAlias = Callable[[Question], Awaitable[object]]


async def states(database: Database, url: str, people: Population) -> list[Figure]:
    """A wallet at an old block, number of the block to values: ours and the naive way in turn, answers compared."""
    ours: list[list[float]] = []
    theirs: list[list[float]] = []
    naive = await psycopg.AsyncConnection[Row].connect(url, autocommit=True, context=driver_adapters())
    async with naive, database.read() as session:

        async def at_block(question: Question) -> Comparable:
            block = await load_block(session, question.chain_id, question.block_number)
            assert block is not None
            return comparable(await load_wallet(session, question.wallet, {question.chain_id: block}))

        async def naively(question: Question) -> Comparable:
            block = await load_block(session, question.chain_id, question.block_number)
            assert block is not None
            return await ask_naively(naive, question, block.id)

        for turn in range(ROUNDS + 1):
            questions = draw(people, A_ROUND, seed=turn)
            found, seconds = await _timed(questions, at_block)
            wanted, naive_seconds = await _timed(questions, naively)
            assert found == wanted, "the two ways do not agree"
            if turn:
                ours.append(seconds)
                theirs.append(naive_seconds)
    mine, other = [second for each in ours for second in each], [second for each in theirs for second in each]
    detail = f"ours {_spread(mine)}; DISTINCT ON {_spread(other)}"
    worst = [_percentile(each, 0.99) for each in theirs], [_percentile(each, 0.99) for each in ours]
    return [
        Figure("16", "ms, a wallet at an old block, p50", _percentile(mine, 0.5) * 1e3, 1, False, detail),
        Figure("16p", "... p99", _percentile(mine, 0.99) * 1e3, 10, False),
        Figure("16d", "... DISTINCT ON over the same index, p99 over p99", median_ratio(*worst), 1),
    ]


async def others(database: Database, people: Population) -> None:
    """What else is asked about the past, each in a session of its own. No goals were set for these."""

    async def changes(question: Question) -> None:
        async with database.read() as session:
            await load_change_blocks(session, question.key, 0, question.block_number, POINTS)

    async def series(question: Question) -> None:
        async with database.read() as session:
            await load_account_history(session, question.key, question.chain_id, 0, question.block_number, POINTS)

    async def records(question: Question) -> None:
        async with database.read() as session:
            await _records(session, question)

    for what, ask in (
        (f"an account's newest {POINTS} changes", changes),
        (f"an account's states at {POINTS} blocks and {POINTS} changes", series),
        (f"all market numbers of a deployment at {POINTS} blocks", records),
    ):
        await _timed(draw(people, OTHERS // 10, seed=100), ask)
        _, seconds = await _timed(draw(people, OTHERS, seed=101), ask)
        print(f"no bar: {what}: {_spread(seconds)}", flush=True)


async def _records(session: ReadSession, question: Question) -> None:
    blocks = await load_spaced(session, question.chain_id, question.first_block, question.block_number, POINTS)
    await load_records_at(session, question.key.deployment_id, blocks)


async def _timed(questions: Sequence[Question], ask: Ask) -> tuple[list[object], list[float]]:
    """The answers, and how many seconds each took."""
    answers, seconds = [], []
    for question in questions:
        started = time.perf_counter()
        answers.append(await ask(question))
        seconds.append(time.perf_counter() - started)
    return answers, seconds


def _percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


def _spread(seconds: Sequence[float]) -> str:
    parts = [f"p{share * 100:.0f} {_percentile(seconds, share) * 1e3:.3g}" for share in (0.5, 0.95, 0.99)]
    worst = max(seconds) * 1e3
    return f"{', '.join(parts)}, worst {worst:.3g}, mean {statistics.fmean(seconds) * 1e3:.3g} ms"


async def measure(url: str, people: Population) -> None:
    """Ask everything of a filled store."""
    database = Database(url)
    try:
        report(await states(database, url, people))
        await others(database, people)
    finally:
        await database.dispose()


def main(scale: float) -> None:
    """Fill a store and print one line a figure."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is ended and its files are removed
    with server() as url:
        started = time.monotonic()
        people = populate(url, WHOLE.scaled(scale))
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        assert row is not None
        print(f"filled in {time.monotonic() - started:.0f} s: {row[0] / 1e9:.2f} GB", flush=True)
        asyncio.run(measure(url, people))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    main(parser.parse_args().scale)
