"""A deployment whose contracts are not what they should be, told apart from a node that does not answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from app.domain.chain import ReadPlan
from app.errors import Fatal, Refused

T = TypeVar("T")

_LONGEST = 500
"""Characters of a reason that are kept: names in it come from contracts, which may make them of any length."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A plan's end when its adapter would not go on: this one deployment cannot be read."""

    deployment_id: str
    text: str
    """The adapter's own words. Plans know no URL, so neither does this."""


def guarded(deployment_id: str, plan: ReadPlan[T]) -> ReadPlan[T | Refusal]:
    """`plan`, with what it raises about its deployment as its value. What its driver raises is not caught."""
    try:
        return (yield from plan)
    except (Fatal, Refused) as reason:
        return Refusal(deployment_id, str(reason).replace("\0", "")[:_LONGEST])
