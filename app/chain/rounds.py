"""One round of many read plans: their calls in a row, and the results back to whom they belong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from app.domain.chain import CallResult, ContractCall, ReadPlan

T = TypeVar("T")


@dataclass(slots=True)
class Asked:
    """What plans ask in one round: parallel lists, because a tuple for each plan is work for the collector."""

    places: list[int] = field(default_factory=list)
    """Which plans."""
    counts: list[int] = field(default_factory=list)
    """How many calls each."""
    calls: list[ContractCall] = field(default_factory=list)
    """All of them, in the order of the plans."""


class Round(Generic[T]):
    """Sends plans their results as these arrive, and collects what the plans ask for next."""

    def __init__(self, plans: Sequence[ReadPlan[T]], asked: Asked, values: dict[int, T]) -> None:
        self._plans = plans
        self._asked = asked
        self._values = values
        self._fed = 0
        self._held: list[CallResult] = []
        self.next = Asked()

    def feed(self, results: list[CallResult]) -> None:
        """Resume every plan whose results are complete; keep what belongs to the one after them."""
        held = self._held + results if self._held else results
        size, start = len(held), 0
        plans, places, counts, later = self._plans, self._asked.places, self._asked.counts, self.next
        for at in range(self._fed, len(places)):
            end = start + counts[at]
            if end > size:
                break
            self._fed += 1
            place = places[at]
            try:
                wanted = plans[place].send(held[start:end])
            except StopIteration as stop:
                self._values[place] = stop.value
            else:
                later.places.append(place)
                later.counts.append(len(wanted))
                later.calls += wanted
            start = end
        self._held = held[start:]
