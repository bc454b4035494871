"""Simulated time: it passes by steps, which are requests and transactions, never by seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any

MOST_STEPS = 6_000
"""A life that takes more steps gets nowhere."""
_SECONDS_OF_A_STEP = 0.02


class Stuck(AssertionError):
    """The indexer works and works and does not arrive."""


class Steps:
    """Counts steps. At a chosen one it arms the death of whoever lives."""

    def __init__(self) -> None:
        self.taken = 0
        self._left = MOST_STEPS
        self._armed_at: int | None = None
        self.is_armed = False
        self._passed_seconds = 0.0

    def now(self) -> float:
        """Simulated seconds since the beginning."""
        return self._passed_seconds + self.taken * _SECONDS_OF_A_STEP

    def pass_seconds(self, seconds: float) -> None:
        """Somebody waited."""
        self._passed_seconds += seconds

    def begin_life(self, death_in_steps: int | None) -> None:
        """A new process; it meets its end after so many steps."""
        self._left = MOST_STEPS
        self.is_armed = False
        self._armed_at = None if death_in_steps is None else self.taken + death_in_steps

    def count(self, what: str) -> None:
        """One more step."""
        self.taken += 1
        self._left -= 1
        if self._left < 0:
            raise Stuck(f"{MOST_STEPS} steps in one life, the last one a {what}, and no end of it")
        if self._armed_at is not None and self.taken >= self._armed_at:
            self.is_armed = True


class Mortal:
    """Runs a coroutine; once its death is armed, it dies at one of the next things it waits for."""

    def __init__(self, running: Coroutine[Any, Any, None], steps: Steps, awaits: int, die: Callable[[], None]) -> None:
        self._running = running
        self._steps = steps
        self._awaits = awaits
        self._die = die

    def __await__(self) -> Generator[Any, Any, None]:
        inner = self._running.__await__()
        given: Any = None
        error: BaseException | None = None
        while True:
            try:
                waits_for = inner.send(given) if error is None else inner.throw(error)
            except StopIteration:
                return
            if self._steps.is_armed:
                self._awaits -= 1
                if self._awaits < 0:
                    self._steps.begin_life(None)
                    self._die()
                    task = asyncio.current_task()
                    assert task is not None
                    task.cancel()
            given, error = None, None
            try:
                given = yield waits_for
            except BaseException as raised:
                error = raised
