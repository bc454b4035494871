"""Bars 8 and 9: from an empty database to every account's position, on one chain, each indexer in turn.

The clock of each runs from its first connection to the node until another connection to its database sees the last
position; starting an interpreter, imports and compilation are said beside it. Not the same work, and the text of the
figures says so: the peers add up events and so know each account at every block; ours searches the events for accounts
and reads each account once, at the head, and knows nothing of what was before. What is asked for is the same: every
account's current position, equal to the unit.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.store.postgres.embedded import EmbeddedPostgres
from benchmarks.harness import Figure, median_ratio, spread
from benchmarks.peers.chain import EventChain, event_chain
from benchmarks.peers.contestants import Indexer, Ours, Ponder, Subsquid
from benchmarks.peers.runs import Outcome, sync

DENSE_BLOCKS, DENSE_EVENTS, DENSE_ACCOUNTS = 2_000, 50, 10_000
SPARSE_BLOCKS, SPARSE_EVENTS, SPARSE_ACCOUNTS = 10_000, 2, 2_000
ROUNDS = 3
"""Runs take seconds to minutes, so few: each contestant in turn."""
_MEMORY_GOAL = 1.25


def dense(postgres: EmbeddedPostgres, folder: Path, scale: float) -> list[Figure]:
    """Bar 8: 8a to 8c as ratios, 8m as growth of our memory when the chain gets twice as long."""
    blocks, accounts = max(60, int(DENSE_BLOCKS * scale)), max(100, int(DENSE_ACCOUNTS * scale))
    ours, subsquid = Ours(folder), Subsquid(folder)
    lifted, shipped = Ponder(folder, lifted=True), Ponder(folder)
    _say(f"a chain of {blocks} blocks with {DENSE_EVENTS} events each")
    with event_chain(blocks, DENSE_EVENTS, accounts) as chain:
        found = _rounds([ours, subsquid, lifted, shipped], chain, postgres)
        what = f"history of {chain.events:,} events in {blocks:,} blocks, {len(chain.touched):,} accounts"
        figures = [
            _figure("8a", what, subsquid, found, 3, chain),
            _figure("8b", what, lifted, found, 5, chain),
            _figure("8c", what, shipped, found, 12, chain),
        ]
        short = statistics.median(outcome.peak_bytes for outcome in found[ours.name])
        chain.mine_events(blocks)
        long = sync(ours, chain, postgres)
        detail = f"{short / 1e6:.0f} MB, then {long.peak_bytes / 1e6:.0f} MB with {chain.events:,} events"
        what = "our peak memory, a chain of twice the length / before"
        return [*figures, Figure("8m", what, long.peak_bytes / short, _MEMORY_GOAL, at_least=False, detail=detail)]


def sparse(postgres: EmbeddedPostgres, folder: Path, scale: float) -> list[Figure]:
    """Bar 9: 9a and 9b as ratios."""
    blocks, accounts = max(60, int(SPARSE_BLOCKS * scale)), max(100, int(SPARSE_ACCOUNTS * scale))
    ours, subsquid, lifted = Ours(folder), Subsquid(folder), Ponder(folder, lifted=True)
    _say(f"a chain of {blocks} blocks with {SPARSE_EVENTS} events each")
    with event_chain(blocks, SPARSE_EVENTS, accounts) as chain:
        found = _rounds([ours, subsquid, lifted], chain, postgres)
        what = f"history of {chain.events:,} events in {blocks:,} blocks, {len(chain.touched):,} accounts"
        return [
            _figure("9a", what, subsquid, found, 5, chain),
            _figure("9b", what, lifted, found, 15, chain),
        ]


def _rounds(indexers: Sequence[Indexer], chain: EventChain, postgres: EmbeddedPostgres) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = {indexer.name: [] for indexer in indexers}
    for number in range(1, ROUNDS + 1):
        for indexer in indexers:
            outcome = sync(indexer, chain, postgres)
            found[indexer.name].append(outcome)
            _say(
                f"round {number}, {indexer.name}: {outcome.seconds:.2f} s after {outcome.start_seconds:.1f} s of start,"
                f" {outcome.cpu_seconds:.1f} s of its processor time, {outcome.peak_bytes / 1e6:.0f} MB"
            )
    return found


def _figure(
    bar: str, what: str, peer: Indexer, found: Mapping[str, Sequence[Outcome]], goal: float, chain: EventChain
) -> Figure:
    ours, theirs = found[Ours.name], found[peer.name]
    whole = median_ratio(
        [one.start_seconds + one.seconds for one in theirs], [one.start_seconds + one.seconds for one in ours]
    )
    events = [chain.events / one.seconds for one in theirs]
    detail = (
        f"{peer.name} {spread([one.seconds for one in theirs], 's')}, {statistics.median(events):,.0f} events/s; "
        f"ours {spread([one.seconds for one in ours], 's')}; starting included {whole:.3g}"
    )
    ratio = median_ratio([one.seconds for one in theirs], [one.seconds for one in ours])
    return Figure(bar, f"{what}: {peer.name} / ours", ratio, goal, detail=detail)


def _say(line: str) -> None:
    print(f"    {line}", file=sys.stderr, flush=True)
