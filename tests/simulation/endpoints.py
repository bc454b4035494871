"""One or two spoiled endpoints behind a pool, in simulated time: rests and patience pass by steps, not by waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest.mock import patch

from app.chain.endpoints import ChainEndpoint, EndpointUrls
from app.chain.merge import _Merger
from app.chain.pool import ReaderPool
from app.chain.reader import Header
from app.chain.rpc import RetryPolicy
from app.domain.specs import ChainSpec
from app.errors import WaterlineError
from tests.fakes.protocol import POOL
from tests.simulation.chain import SimulatedChain
from tests.simulation.clock import Steps
from tests.simulation.node import SimulatedNode
from tests.simulation.store import Place

T = TypeVar("T")

_POLL_SECONDS = 0.3
_HASTY = RetryPolicy(attempts=2, first_pause_seconds=0, longest_pause_seconds=0, sits_out_quotas=False)


class SimulatedEndpoints:
    """Several nodes of one chain, each with faults of its own, read as one."""

    def __init__(self, model: SimulatedChain, steps: Steps, place: Place, count: int) -> None:
        names = [f"endpoint {number}" for number in range(1, count + 1)]
        self._nodes = [SimulatedNode(model, steps, name=name) for name in names]
        for node in self._nodes:
            node.is_pooled = True
        self._steps = steps
        self._place = place
        self._pool: ReaderPool | None = None
        self._troubled = False

    @property
    def troubled(self) -> bool:
        return self._troubled

    @troubled.setter
    def troubled(self, troubled: bool) -> None:
        self._troubled = troubled
        for node in self._nodes:
            node.troubled = troubled

    def calm(self) -> None:
        """From now on nothing but the truth."""
        self._troubled = False
        for node in self._nodes:
            node.calm()

    def draw_pruning(self) -> None:
        """Have every node throw states away from now on."""
        for node in self._nodes:
            node.draw_pruning()

    def make_reader(self, spec: ChainSpec) -> ReaderPool:
        """A pool as a new process has it."""
        for node in self._nodes:
            node.draw_traits()
        alone = len(self._nodes) == 1
        self._pool = ReaderPool(
            [
                ChainEndpoint(number, EndpointUrls(f"http://node{number}.example"), spec, alone=alone, post=node.post)
                for number, node in enumerate(self._nodes, 1)
            ],
            spec,
            (POOL,),
        )
        return self._pool

    async def heads(self) -> AsyncGenerator[Header, None]:
        """What `follow_pool` gives, with each endpoint asked in turn instead of by a task of its own: when an answer
        of the database comes must change nothing."""
        assert self._pool is not None
        pool = self._pool
        ((floor,),) = self._place.rows("SELECT coalesce(max(number), -1) FROM blocks")
        merger = _Merger(pool, _POLL_SECONDS, floor, {})
        while True:
            for endpoint, node in zip(pool.endpoints, self._nodes, strict=True):
                self._ask(pool, merger, endpoint, node)
            merger._mark_lagging()
            due = merger._merge.due(self._steps.now())
            if due is not None and at_once(merger._is_plausible(*due)):
                merger._merge.follow(due[1])
                merger._mark_lagging()
                yield due[1]
            else:
                merger._require_answers()
                if (followed := merger._merge.followed) is not None:
                    yield followed  # nothing is new: whoever takes heads goes on with something else
            self._steps.count("head")
            self._steps.pass_seconds(_POLL_SECONDS)

    def _ask(self, pool: ReaderPool, merger: _Merger, endpoint: ChainEndpoint, node: SimulatedNode) -> None:
        if endpoint.rest_seconds():
            merger._merge.withdraw(endpoint.number)
            return
        if not endpoint.is_worth_following() and at_once(pool.check(endpoint)) is not None:
            merger._merge.withdraw(endpoint.number)
            return
        try:
            head = node.newest()
        except WaterlineError as fault:
            endpoint.failed(fault)
            merger._merge.withdraw(endpoint.number)
            return
        endpoint.showed(head)
        merger._merge.show(endpoint.number, head)


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives, with nobody else having a turn meanwhile. It may wait for nothing but its turn."""
    while True:
        try:
            waits_for = work.send(None)
        except StopIteration as end:
            value: T = end.value
            return value
        assert waits_for is None, f"{work} waits for {waits_for}"


def done_at_once(work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
    """The outcome of `work`, which has been done: as a task that was quicker than everybody else."""
    outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    try:
        outcome.set_result(at_once(work))
    except WaterlineError as fault:
        outcome.set_exception(fault)
        outcome.exception()  # it may be dropped before anybody asks
    return outcome


class _AsyncioWithoutWaiting(SimpleNamespace):
    """The module, but sleeping takes simulated time."""

    def __init__(self, steps: Steps) -> None:
        async def sleep(seconds: float) -> None:
            steps.pass_seconds(seconds)
            await asyncio.sleep(0)

        super().__init__(sleep=sleep)

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)


@contextmanager
def simulated_time(steps: Steps) -> Iterator[None]:
    """The pool's clock goes by steps, and nothing it does depends on true chance or true waiting. Logs that are asked
    for ahead are there at once, and so as old as they can be when their turn comes."""
    module = _AsyncioWithoutWaiting(steps)
    with ExitStack() as patches:
        for name, value in {
            "app.chain.endpoints._now": steps.now,
            "app.chain.merge._now": steps.now,
            "app.chain.endpoints.random": SimpleNamespace(random=lambda: 0.5),
            "app.chain.endpoints.POOLED": _HASTY,
            "app.chain.endpoints._SHORTEST_PATIENCE_SECONDS": 60.0,
            "app.chain.pool.asyncio": module,
            "app.chain.rpc.asyncio": module,
            "app.chain.reader.asyncio": module,
            "app.indexer.between.logs_ahead._begun": done_at_once,
        }.items():
            patches.enter_context(patch(name, value))
        yield
