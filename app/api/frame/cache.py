"""A bounded cache in which a value is made once however many ask for it at the same moment."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlightCache(Generic[K, V]):
    """Keeps the most recently used values up to `capacity`, counted in `weigh(value)` (1 each by default).

    For values that never change under their key. A failure reaches everyone who waits for it and is not kept.
    A caller that goes away does not stop the making: others may be waiting, and the next one profits.
    """

    def __init__(self, capacity: int, weigh: Callable[[V], int] = lambda _: 1) -> None:
        self._capacity = capacity
        self._weigh = weigh
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._weight = 0
        self._flights: dict[K, asyncio.Task[V]] = {}

    @property
    def weight(self) -> int:
        """The sum of the weights of what is kept."""
        return self._weight

    async def get(self, key: K, make: Callable[[], Awaitable[V]]) -> V:
        """The value under `key`, made by `make` if it is not kept. Raises what `make` raises."""
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept[0]
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(self._fly(key, make))
            flight.add_done_callback(_look_at)
            self._flights[key] = flight
        return await asyncio.shield(flight)

    async def aclose(self) -> None:
        """Stop everything still being made."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _fly(self, key: K, make: Callable[[], Awaitable[V]]) -> V:
        try:
            value = await make()
        finally:
            del self._flights[key]
        weight = self._weigh(value)
        self._kept[key] = (value, weight)
        self._weight += weight
        while self._weight > self._capacity and len(self._kept) > 1:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._weight -= dropped
        return value


def _look_at(task: asyncio.Task[V]) -> None:
    """Whoever waited has the exception; without a waiter it would be reported as never retrieved."""
    if not task.cancelled():
        task.exception()
