"""The loop: it goes on after failures that pass, and ends with those that do not."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from app.alerts.timers import TimerOptions, Timers, together
from app.errors import Fatal, Retryable
from app.store.postgres.engine import Database


async def test_what_fails_and_passes_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = 0

    async def turn(now: int) -> None:
        nonlocal turns
        turns += 1
        if turns == 1:
            raise Retryable("the database is away")
        raise Fatal("the database is another one")

    async with Timers(Database("postgresql://nowhere/x"), TimerOptions(first_pause_seconds=0.01)) as timers:
        monkeypatch.setattr(timers, "_take_turn", turn)
        with pytest.raises(Fatal):
            await timers.run()
    assert turns == 2


async def test_together_ends_everything_with_the_first_failure_and_when_cancelled() -> None:
    ended: list[str] = []

    async def wait(name: str) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)  # an ending that takes a moment, and must not be cut short
            ended.append(name)

    async def fail() -> None:
        await asyncio.sleep(0)
        raise Fatal("no")

    with pytest.raises(Fatal):
        await together(wait("a"), fail())
    task = asyncio.create_task(together(wait("b"), wait("c")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert sorted(ended) == ["a", "b", "c"]
