"""What is asked about one rule, and what is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from app.domain.watch import Measured, Member, Rule, Subject

Facts: TypeAlias = dict[str, str | int | None]
"""What a value rests on, for people and for checking."""


def because(code: str, detail: str) -> Facts:
    """Why there is no value: `code` is stable for programs, `detail` is for people."""
    return {"status": "unknown", "reason": code, "detail": detail}


@dataclass(frozen=True, slots=True)
class Asked:
    """One rule, and on whom."""

    rule: Rule
    members: Sequence[Member]
    """Of the list. The same object at every block as long as the list is the same: accounts are looked up once then."""
    must: frozenset[Subject]
    """Subjects with an open episode: they are always in the answer."""


@dataclass(frozen=True, slots=True)
class Found:
    """What came of it."""

    rule_id: int
    measured: tuple[Measured, ...]
    """Every subject whose value may have reached a level or may not be clear, and all that must be here. A value of
    None says that it is not known, or that there is no such account any more; inputs say why. Whoever is not here is
    calm or unknown."""
    subjects: int
    """Accounts, and members without any; or markets."""
    unknown: int
    """How many of these nothing can be said of."""


class Inputs(Mapping[str, str | int | None]):
    """Facts that are worked out when somebody looks: of most values nobody ever does."""

    __slots__ = ("_facts", "_make")

    def __init__(self, make: Callable[[], Facts]) -> None:
        self._make: Callable[[], Facts] | None = make
        self._facts: Facts = {}

    def __getitem__(self, name: str) -> str | int | None:
        return self._known()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def __repr__(self) -> str:
        return repr(self._known())

    def _known(self) -> Facts:
        if self._make is not None:
            self._facts, self._make = self._make(), None
        return self._facts
