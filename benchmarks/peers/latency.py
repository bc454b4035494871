"""Bar 10 beside Ponder: from a mined block with 50 events to its rows being visible to another connection.

Ours is `waterline index` on the same chain, told of blocks by WebSocket. If all followed the chain at once they would
steal time from each other, so each has its blocks alone, one indexer after the other. The watcher asks the database
over and over with a millisecond between, so it takes part of a core from all alike.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from contextlib import closing
from pathlib import Path

from app.errors import Fatal
from app.store.postgres.embedded import EmbeddedPostgres
from benchmarks.harness import Figure, spread
from benchmarks.peers.chain import Account, EventChain, Holding, Pair, event_chain
from benchmarks.peers.contestants import Indexer, Ours, Ponder
from benchmarks.peers.runs import MINED_EVERY_SECONDS, fresh_database, require_equal
from benchmarks.peers.watch import Observer

EVENTS = 50
BLOCKS = 25
_WARM_UP = 5
_HISTORY_BLOCKS = 60
_ACCOUNTS = 1_000
_WAIT_SECONDS = 60
_LOOK_SECONDS = 0.001
_PAUSE_SECONDS = (0.3, 1.3)
"""Between two blocks, drawn anew each time: no rhythm that a poll could fall in with."""


def realtime(postgres: EmbeddedPostgres, folder: Path) -> list[Figure]:
    """Bar 10: 10p in milliseconds, 10a and 10b as ratios of medians."""
    with event_chain(_HISTORY_BLOCKS, EVENTS, _ACCOUNTS) as chain:
        pushed = Ponder(folder, web_socket=chain.node.ws_url)
        ours = _follow(Ours(folder), chain, postgres)
        by_socket = _follow(pushed, chain, postgres)
        by_poll = _follow(Ponder(folder), chain, postgres)
    p50 = statistics.median(ours)
    p95 = statistics.quantiles(ours, n=20)[-1]
    what = f"ms from mined to visible, p50, {EVENTS} events on Morpho Blue"
    detail = f"ours {spread(ours, 'ms')}"
    return [
        Figure("10p", what, p50, 15, at_least=False, detail=f"{detail}, p95 {p95:.3g}"),
        Figure(
            "10a",
            "Ponder told by WebSocket / ours, medians",
            statistics.median(by_socket) / p50,
            4,
            detail=f"Ponder {spread(by_socket, 'ms')}; {detail}",
        ),
        Figure(
            "10b",
            "Ponder with its default poll of 1 s / ours, medians",
            statistics.median(by_poll) / p50,
            30,
            detail=f"Ponder {spread(by_poll, 'ms')}; {detail}",
        ),
    ]


def _follow(indexer: Indexer, chain: EventChain, postgres: EmbeddedPostgres) -> list[float]:
    """Milliseconds of each of `BLOCKS` blocks, after the history and a few that do not count."""
    with fresh_database(postgres) as (url, sockets):
        indexer.prepare(url)
        with closing(Observer(url)) as database, indexer.running(chain, url, sockets) as process:
            started = time.perf_counter()
            with chain.mining(MINED_EVERY_SECONDS):  # whoever is told of blocks begins with the first one told
                while not indexer.is_done(database, chain):
                    if process.poll() is not None or time.perf_counter() - started > 10 * _WAIT_SECONDS:
                        raise Fatal(f"{indexer.name} did not get through the history")
                    time.sleep(0.05)
            found = []
            rng = random.Random(3)
            for _ in range(_WARM_UP + BLOCKS):
                time.sleep(rng.uniform(*_PAUSE_SECONDS))
                found.append(_one_block(indexer, chain, database))
            require_equal(indexer.name, indexer.holdings(database), chain.expected())
    print(f"    {indexer.name}: {spread(found[_WARM_UP:], 'ms')}", file=sys.stderr, flush=True)
    return found[_WARM_UP:]


def _one_block(indexer: Indexer, chain: EventChain, database: Observer) -> float:
    """Milliseconds from the node's answer to evm_mine to all of the block's positions being there."""
    accounts = chain.rng.sample(list(chain.accounts), EVENTS)
    chain.queue_events(accounts)
    mined = chain.mine()
    while not indexer.shows(database, accounts[-1]):
        time.sleep(_LOOK_SECONDS)
        if time.perf_counter() - mined > _WAIT_SECONDS:
            raise Fatal(f"{indexer.name} did not show a block within {_WAIT_SECONDS} s")
    seen = time.perf_counter()
    _require_all(indexer, database, accounts)
    return (seen - mined) * 1000


def _require_all(indexer: Indexer, database: Observer, accounts: list[Account]) -> None:
    """A block is visible as a whole: with its last account all others."""
    wanted: dict[Pair, Holding] = {account.pair: account.holding for account in accounts if any(account.holding)}
    found = indexer.holdings(database)
    require_equal(indexer.name, {pair: found[pair] for pair in wanted if pair in found}, wanted)
