"""`make simulate-alerts`: many seeds, whose failures are told and counted; `--bugs`: whether defects would be found."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from tests.simulation.store import Server, start_server
from tests.simulation_watch.bugs import BUGS, catch
from tests.simulation_watch.run import History, Told
from tests.simulation_watch.stored import StoredHistory, make_watched_place

_CHUNK = 50
SEEDS_A_BUG = 200
"""A defect that so many seeds do not show is missed."""


def main() -> int:
    """Run what the command line says; 0 if all held."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation_watch", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="how many seeds (default %(default)s)")
    parser.add_argument("--first-seed", type=int, default=1, help="the first of them (default %(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default %(default)s)")
    parser.add_argument("--stored", action="store_true", help="on a real Postgres, in this process: seconds a seed")
    parser.add_argument("--bugs", action="store_true", help="put known defects into the code: each must be caught")
    asked = parser.parse_args()
    seeds = range(asked.first_seed, asked.first_seed + asked.runs)
    if asked.bugs:
        return catch_bugs(seeds[:SEEDS_A_BUG])
    return asyncio.run(simulate_stored(seeds)) if asked.stored else simulate(seeds, asked.workers)


def run_seed(seed: int) -> tuple[int, Told | str]:
    """What a seed did, or what is wrong with it."""
    try:
        return seed, History(seed).run()
    except Exception as error:  # whatever it ends with is told
        return seed, f"{type(error).__name__}: {error}"


def simulate(seeds: range, workers: int) -> int:
    """Run the seeds; the last line counts them."""
    count = _Count(len(seeds))
    with ProcessPoolExecutor(workers) as pool:
        for seed, told in pool.map(run_seed, seeds, chunksize=_CHUNK):
            count.add(seed, told)
    return count.tell()


async def simulate_stored(seeds: range) -> int:
    """Run the seeds on Postgres, one after the other."""
    count = _Count(len(seeds))
    logging.disable(logging.CRITICAL)  # the driver complains of every connection that dies
    with tempfile.TemporaryDirectory(prefix="waterline-watched-") as directory:
        Path(directory).chmod(0o711)
        server = start_server(Path(directory))
        place = make_watched_place(Server(server.url), "watched")
        try:
            for seed in seeds:
                try:
                    count.add(seed, await StoredHistory(seed, place).run_stored())
                except Exception as error:  # whatever it ends with is told
                    count.add(seed, f"{type(error).__name__}: {error}", "--stored ")
        finally:
            await place.close()
            server.stop()
    return count.tell()


class _Count:
    """Counts seeds and what they did."""

    def __init__(self, seeds: int) -> None:
        self._seeds, self._failed = seeds, 0
        self._started = time.monotonic()
        self._totals = dict.fromkeys(asdict(Told()), 0)

    def add(self, seed: int, told: Told | str, how: str = "") -> None:
        """One seed has come to its end."""
        if isinstance(told, str):
            self._failed += 1
            print(f"seed {seed} failed: {told[:2000]}")
            print(f"  again: python -m tests.simulation_watch {how}--runs 1 --first-seed {seed}", flush=True)
            return
        for name, count in asdict(told).items():
            self._totals[name] += count

    def tell(self) -> int:
        """Say it; 0 if all held."""
        print(", ".join(f"{count:,} {name}" for name, count in self._totals.items()))
        seconds = time.monotonic() - self._started
        print(f"{self._seeds - self._failed} of {self._seeds} seeds held, {self._failed} failed, in {seconds:.0f} s")
        return 1 if self._failed else 0


def catch_bugs(seeds: range) -> int:
    """Run each defect's seeds until one shows it."""
    missed = 0
    for bug in BUGS:
        found = catch(bug, seeds)
        missed += found is None
        print(f"{bug}: " + (f"MISSED in {len(seeds)} seeds" if found is None else f"seed {found[0]}: {found[1][:120]}"))
    print(f"{len(BUGS) - missed} of {len(BUGS)} defects caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
