"""Seeds run by several processes, each with two databases of its own on one server they share."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from app.errors import WaterlineError
from tests.simulation.bugs import BUGS
from tests.simulation.run import Told, run_seed
from tests.simulation.store import Place, Server, start_server

PROCESSES = 2


@dataclass(frozen=True)
class Outcome:
    """What became of one seed."""

    seed: int
    seconds: float
    told: Told | None
    complaint: str | None
    """None: it held."""


@dataclass
class _Worker:
    loop: asyncio.AbstractEventLoop
    troubled: Place
    straight: Place


_worker: _Worker | None = None


@contextmanager
def seed_runner() -> Iterator[SeedRunner]:
    """A server and processes that run seeds, for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="waterline-simulation-") as directory:
        Path(directory).chmod(0o711)  # the server may run as another user
        server = start_server(Path(directory))
        try:
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(PROCESSES, context, _begin, (server.url,)) as pool:
                yield SeedRunner(pool)
        finally:
            server.stop()


class SeedRunner:
    """Runs seeds, as many at once as there are processes."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def run(self, seeds: Iterable[int], bug: str | None = None) -> Iterator[Outcome]:
        """The outcomes, in the order they are known. What is not begun when the iterator is closed never is."""
        left = iter(seeds)
        running = {self._pool.submit(_run, seed, bug) for seed in islice(left, PROCESSES)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {self._pool.submit(_run, seed, bug) for seed in islice(left, len(done))}
            for one in done:
                yield one.result()


def _begin(url: str) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it counts what was done
    sys.unraisablehook = lambda _: None  # what the dead leave behind complains as it goes
    logging.disable(logging.CRITICAL)  # every fault is logged, and there are dozens a seed
    server, name = Server(url), f"simulation_{os.getpid()}"
    loop = asyncio.new_event_loop()
    _worker = _Worker(loop, server.make_place(f"{name}_troubled"), server.make_place(f"{name}_straight"))


def _run(seed: int, bug: str | None) -> Outcome:
    assert _worker is not None
    started = time.perf_counter()
    broken = BUGS[bug] if bug is not None else nullcontext
    told, complaint = None, None
    try:
        told = _worker.loop.run_until_complete(run_seed(seed, _worker.troubled, _worker.straight, broken))
    except Exception as error:  # whatever a seed ends with is its outcome
        if bug is not None and not isinstance(error, AssertionError | WaterlineError):
            raise  # the defect does not fit the code any more: that is no catch
        complaint = f"{type(error).__name__}: {error}"
    return Outcome(seed, time.perf_counter() - started, told, complaint)
