"""`python -m devnet.setup`, with a progress display: downloads, then the compilation, and how long it took."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from devnet.cache import DevnetUnavailable, cache_root
from devnet.comet import COMET
from devnet.compile import AAVE_V3_6, MORPHO_BLUE, OWN_CONTRACTS, compiled
from devnet.fetch import anvil_binary, fetch_all, pinned_packages


def main(console: Console | None = None) -> int:
    """Make everything the devnet needs present; 0 when it is, 1 with one sentence when it cannot be."""
    console = console or Console(stderr=True)
    started = time.perf_counter()
    try:
        set_up(console)
    except DevnetUnavailable as error:
        console.print(f"[bold red]devnet:[/] {error}", highlight=False, soft_wrap=True)
        return 1
    seconds = time.perf_counter() - started
    console.print(f"devnet ready in {seconds:.1f} s (cache: {cache_root()})", highlight=False, soft_wrap=True)
    return 0


def set_up(console: Console) -> None:
    """Fetch every package that fits this machine and compile what has to be compiled.

    Raises:
        DevnetUnavailable: as soon as one step fails.
    """
    packages = [package for package in pinned_packages().values() if package.fits_here]
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("fetching contracts and tools", total=len(packages))
        fetch_all(packages, lambda _: progress.advance(task))
        anvil_binary()
        units = (OWN_CONTRACTS, AAVE_V3_6, MORPHO_BLUE, COMET)
        task = progress.add_task("compiling contracts (about half a minute, once)", total=len(units))
        for unit in units:
            compiled(unit)
            progress.advance(task)


if __name__ == "__main__":
    raise SystemExit(main())
