"""Runs the parts of Waterline as child processes and ends them all together.

`waterline up` and `waterline demo` are one command to a user but several processes: a chain's indexer must not
share an interpreter with the API, and a crash of one must not take the others down.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import signal
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

logger = logging.getLogger(__name__)

EXIT_REFUSED = 2
"""A child's exit status when its input is at fault: starting it again would not help."""
EXIT_FATAL = 3
"""A child's exit status when going on would store or serve something false."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STOP_SECONDS = 15
_RESTART_PAUSES = (1, 2, 4, 8, 16)
"""Seconds before each restart in a row; a child that ends once more after the last one is given up."""
_STEADY_SECONDS = 30
"""A child that ran this long starts again with the shortest pause."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One process to run."""

    name: str
    argv: Sequence[str]
    environ: Mapping[str, str]
    """The child's whole environment."""
    vital: bool
    """Whether all the rest must end when this one cannot be kept running."""


class Supervisor:
    """Starts children, restarts those that crash, and ends them all in the reverse order of their start.

    Use as `async with Supervisor() as children:`; leaving the block ends every child. SIGINT and SIGTERM are
    caught from entering it on, so that there is no moment in which a signal would leave a child or a file behind.
    """

    def __init__(self) -> None:
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._watchers: list[asyncio.Task[None]] = []
        self._ended = asyncio.Event()
        self._status = 0

    async def __aenter__(self) -> Self:
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._end, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        # The handlers stay for as long as the loop: a second Ctrl-C must not end the cleaning up that follows this.
        await self._stop()

    async def start(self, spec: ChildSpec) -> None:
        """Start one child and watch it from now on. No two may have the same name."""
        if spec.name in self._processes:
            raise ValueError(f"there is a child {spec.name!r} already")
        await self._spawn(spec)
        self._watchers.append(asyncio.create_task(self._watch(spec), name=f"watch {spec.name}"))

    async def run(self, work: Coroutine[None, None, None]) -> int:
        """Do `work` (start children, announce them), then wait for the end: a signal (0) or a vital child's status.

        If the end comes first, `work` is cancelled. An exception of `work` is raised here.
        """
        working = asyncio.create_task(work)
        ended = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait((working, ended), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                await working
                await ended
            return self._status
        finally:
            for task in (working, ended):
                task.cancel()
            await asyncio.gather(working, ended, return_exceptions=True)

    async def _stop(self) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        for name, process in reversed(self._processes.items()):
            if process.returncode is not None:
                continue
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _STOP_SECONDS)
            except TimeoutError:
                logger.warning("child=%s did not end within %ss: killed", name, _STOP_SECONDS)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def _end(self, status: int) -> None:
        if not self._ended.is_set():
            self._status = status
            self._ended.set()

    async def _spawn(self, spec: ChildSpec) -> asyncio.subprocess.Process:
        # A session of its own: Ctrl-C in the terminal reaches the supervisor only, which ends the children in order.
        process = await asyncio.create_subprocess_exec(
            *spec.argv, env=dict(spec.environ), start_new_session=True, preexec_fn=_end_with_parent
        )
        self._processes[spec.name] = process
        return process

    async def _watch(self, spec: ChildSpec) -> None:
        failures = 0
        while True:
            started = time.monotonic()
            status = await self._processes[spec.name].wait()
            failures = 1 if time.monotonic() - started > _STEADY_SECONDS else failures + 1
            if status in (EXIT_REFUSED, EXIT_FATAL) or failures > len(_RESTART_PAUSES):
                logger.error("child=%s ended for good, status=%s", spec.name, status)
                if spec.vital:
                    self._end(status or 1)
                return
            pause = _RESTART_PAUSES[failures - 1]
            logger.warning("child=%s ended, status=%s: starting it again in %ss", spec.name, status, pause)
            await asyncio.sleep(pause)
            await self._spawn(spec)


def _end_with_parent() -> None:
    """On Linux, have the kernel send SIGTERM to this process when its parent dies, however the parent dies."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
