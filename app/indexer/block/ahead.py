"""Reading that begins before it is known to be needed, together with the logs that may say that it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from app.chain.reader import ChainReader
from app.domain.chain import BlockRef
from app.indexer.block.refusal import Refusal, guarded
from app.protocols.base import DeploymentState

T = TypeVar("T")


class Ahead:
    """What one block has begun early. Nothing of it outlives the `async with` block, however that ends; a failure
    is raised to whoever waits for what failed, and is nobody's if nobody does."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start `work` as soon as this task waits for something."""
        task = asyncio.create_task(work)
        self._tasks.append(task)
        return task


class StatesAhead:
    """What moves by itself (prices, indices) of deployments that will most likely be read as usual.

    No account is read with these states and no log understood by them: all is as if they had been read last.
    """

    def __init__(self) -> None:
        self.names: frozenset[str] = frozenset()
        """The deployments being read."""
        self._task: asyncio.Task[list[DeploymentState | Refusal]] | None = None

    def begin(self, ahead: Ahead, reader: ChainReader, block: BlockRef, states: Mapping[str, DeploymentState]) -> None:
        """Start reading what comes after these states, at `block`."""
        if states:
            plans = [guarded(name, partial(state.read_next, full=False)) for name, state in states.items()]
            self.names = frozenset(states)
            self._task = ahead.begin(reader.read_all(plans, block))

    async def take(self, names: Iterable[str]) -> list[DeploymentState | Refusal]:
        """Those of them that are needed after all. Waits, and raises what the reading raised, only for any."""
        wanted = self.names.intersection(names)
        if not wanted or self._task is None:
            return []
        return [value for value in await self._task if _name(value) in wanted]


def _name(value: DeploymentState | Refusal) -> str:
    return value.deployment_id if isinstance(value, Refusal) else value.deployment.id
