"""`make simulate-alerts`: many seeds, whose failures are told and counted; `--bugs`: whether defects would be found."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict

from tests.simulation_watch.bugs import BUGS, catch
from tests.simulation_watch.run import History, Told

_CHUNK = 50
SEEDS_A_BUG = 200
"""A defect that so many seeds do not show is missed."""


def main() -> int:
    """Run what the command line says; 0 if all held."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation_watch", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="how many seeds (default %(default)s)")
    parser.add_argument("--first-seed", type=int, default=1, help="the first of them (default %(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default %(default)s)")
    parser.add_argument("--bugs", action="store_true", help="put known defects into the code: each must be caught")
    asked = parser.parse_args()
    seeds = range(asked.first_seed, asked.first_seed + asked.runs)
    return catch_bugs(seeds[:SEEDS_A_BUG]) if asked.bugs else simulate(seeds, asked.workers)


def run_seed(seed: int) -> tuple[int, Told | str]:
    """What a seed did, or what is wrong with it."""
    try:
        return seed, History(seed).run()
    except Exception as error:  # whatever it ends with is told
        return seed, f"{type(error).__name__}: {error}"


def simulate(seeds: range, workers: int) -> int:
    """Run the seeds; the last line counts them."""
    started = time.monotonic()
    failed, totals = 0, dict.fromkeys(asdict(Told()), 0)
    with ProcessPoolExecutor(workers) as pool:
        for seed, told in pool.map(run_seed, seeds, chunksize=_CHUNK):
            if isinstance(told, str):
                failed += 1
                print(f"seed {seed} failed: {told[:2000]}")
                print(f"  again: make simulate-alerts RUNS=1 FIRST_SEED={seed}")
            else:
                for name, count in asdict(told).items():
                    totals[name] += count
    print(", ".join(f"{count:,} {name}" for name, count in totals.items()))
    print(f"{len(seeds) - failed} of {len(seeds)} seeds held, {failed} failed, in {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


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
