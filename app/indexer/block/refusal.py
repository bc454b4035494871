"""An adapter that will not go on with one deployment, told apart from a node that does not answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from app.domain.chain import CallResult, ReadPlan
from app.errors import WaterlineError

T = TypeVar("T")

_LONGEST = 500
"""Characters of a reason that are kept: names in it come from contracts, which may make them of any length."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an adapter's code ended with instead of an answer: this one deployment cannot be read."""

    deployment_id: str
    text: str
    """The adapter's own words, or the class of its fault. Adapters know no URL, so neither does this."""
    reason: Exception = field(compare=False)
    """What was raised, for the log."""

    @property
    def is_fault(self) -> bool:
        """Whether the adapter did not refuse on purpose: a defect of its code."""
        return not isinstance(self.reason, WaterlineError)


def guarded(deployment_id: str, make: Callable[[], ReadPlan[T]]) -> ReadPlan[T | Refusal]:
    """The plan that `make` makes, with what it raises as its value. What its driver raises is not caught."""
    try:
        plan = make()
    except Exception as reason:
        return refusal(deployment_id, reason)
    answers: Sequence[CallResult] | None = None
    try:
        while True:
            try:
                calls = next(plan) if answers is None else plan.send(answers)
            except StopIteration as end:
                value: T = end.value
                return value
            except Exception as reason:
                return refusal(deployment_id, reason)
            answers = yield calls
    finally:
        plan.close()


def asked(deployment_id: str, ask: Callable[[], T]) -> T | Refusal:
    """What an adapter's code answers, with what it raises as a value."""
    try:
        return ask()
    except Exception as reason:
        return refusal(deployment_id, reason)


def refusal(deployment_id: str, reason: Exception) -> Refusal:
    """What an adapter raised. Of a defect only the class is told: its message may hold anything."""
    if isinstance(reason, WaterlineError):
        return Refusal(deployment_id, str(reason).replace("\0", "")[:_LONGEST], reason)
    return Refusal(deployment_id, f"a fault in its adapter's code: {type(reason).__name__}", reason)
