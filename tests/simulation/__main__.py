"""`make simulate`: many seeds, whose failures are told, kept and counted; `--bugs`: whether defects would be found."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.simulation.bugs import BUGS
from tests.simulation.run import Told
from tests.simulation.workers import Outcome, SeedRunner, seed_runner

KEPT = Path(__file__).parents[1] / "indexer" / "seeds.txt"
SEEDS_A_BUG = 20
"""A defect that so many seeds do not show is missed."""


def main() -> int:
    """Run what the command line says; 0 if all held."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many (default %(default)s)")
    parser.add_argument("--first-seed", type=int, default=1, help="the first of them (default %(default)s)")
    parser.add_argument("--bugs", action="store_true", help="put known defects into the code: each must be caught")
    asked = parser.parse_args()
    console = Console(soft_wrap=True)
    with seed_runner() as runner:
        seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
        if asked.bugs:
            return catch_bugs(runner, asked.first_seed, console)
        return simulate(runner, seeds, console)


def simulate(runner: SeedRunner, seeds: range, console: Console) -> int:
    """Run the seeds; the last line counts them."""
    columns = (TextColumn("seeds"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    failed: list[Outcome] = []
    told: list[Told] = []
    done = 0
    with Progress(*columns, TextColumn("{task.fields[rate]}"), console=console) as progress:
        task = progress.add_task("seeds", total=len(seeds), rate="")
        try:
            for outcome in runner.run(seeds):
                done += 1
                if outcome.told is not None:
                    told.append(outcome.told)
                if outcome.complaint is not None:
                    failed.append(outcome)
                    tell(outcome, console)
                elapsed = progress.tasks[0].elapsed or 0.0
                progress.update(task, advance=1, rate=f"{done / elapsed:.2f}/s" if elapsed else "")
        except KeyboardInterrupt:
            console.print(f"interrupted: {len(seeds) - done} seeds were not run", highlight=False)
        seconds = progress.tasks[0].elapsed or 0.0
    steps, deaths = sum(one.steps for one in told), sum(one.deaths for one in told)
    print(
        f"{steps:,} requests and transactions, {deaths:,} deaths, {sum(one.branches for one in told):,} reorgs or more"
    )
    print(f"{done - len(failed)} of {done} seeds held, {len(failed)} failed, in {seconds:.0f} s")
    return 1 if failed or done < len(seeds) else 0


def tell(outcome: Outcome, console: Console) -> None:
    """Say what failed and how to see it again, and keep the seed."""
    console.print(f"seed {outcome.seed} failed: {outcome.complaint}", markup=False, highlight=False)
    console.print(f"  again: make simulate SEEDS=1 FIRST_SEED={outcome.seed}", markup=False, highlight=False)
    if outcome.seed not in kept_seeds():
        with KEPT.open("a") as file:
            file.write(f"{outcome.seed}  # cause not known yet\n")


def kept_seeds() -> list[int]:
    """Seeds that failed once."""
    lines = (line.partition("#")[0].strip() for line in KEPT.read_text().splitlines())
    return [int(line) for line in lines if line]


def catch_bugs(runner: SeedRunner, first_seed: int, console: Console) -> int:
    """Run each defect's seeds until one shows it."""
    missed = 0
    for bug in BUGS:
        caught = False
        for tried, outcome in enumerate(runner.run(range(first_seed, first_seed + SEEDS_A_BUG), bug), start=1):
            if outcome.complaint is not None:
                said = outcome.complaint.partition("\n")[0][:200]
                line = f"{bug}: caught by seed {outcome.seed}, the {tried}. that ended: {said}"
                console.print(line, markup=False, highlight=False)
                caught = True
                break
        if not caught:
            missed += 1
            console.print(f"{bug}: MISSED in {SEEDS_A_BUG} seeds", markup=False, highlight=False)
    print(f"{len(BUGS) - missed} of {len(BUGS)} defects caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
