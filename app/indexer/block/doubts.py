"""States that cannot be of the block they were read at: a node that moved on, or changed its mind, while it answered.

Seen on a node that answered a call about its newest block with the state of the block it was just making. The pin of a
call cannot tell; what gives it away is interest that was accrued after the block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial

from app.chain.faults import BlockGone
from app.domain.chain import BlockRef
from app.indexer.block.refusal import Refusal, asked
from app.protocols.base import DeploymentState

MOST_TIMES = 3
"""A deployment that contradicts its blocks so many times running is set aside: asking again does not help."""


class Doubts:
    """How often each deployment's state contradicted its block without a consistent one in between."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()

    def check(self, block: BlockRef, states: Mapping[str, DeploymentState]) -> dict[str, str]:
        """Deployments to be set aside, and why; usually none.

        Raises:
            BlockGone: a state is of a later block than it was asked of; reading it again is likely to help.
        """
        hopeless: dict[str, str] = {}
        passing: list[str] = []
        for name, state in states.items():
            found = asked(name, partial(_factors, state, block))
            if not isinstance(found, Refusal) or not isinstance(found.reason, ValueError):
                self._times.pop(name, None)  # what else may be wrong with it shows where it is asked for
                continue
            self._times[name] += 1
            if self._times[name] < MOST_TIMES:
                passing.append(name)
            else:
                hopeless[name] = f"its state contradicts its block: {found.reason}"
        if passing:
            raise BlockGone(f"block {block.number}: what was read of {', '.join(passing)} is of a later block")
        return hopeless


def _factors(state: DeploymentState, block: BlockRef) -> object:
    """Everything that is accrued to the block."""
    return state.at(block.timestamp, block.number).factors()
