"""One chain read through several endpoints: each piece of work by one of them, by another where that one fails.

Only what is pinned to a block hash, or proven by one, is ever put together from two endpoints, so a failover cannot
mix two chains, and an endpoint that lags is not asked for blocks it has not shown.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from app.chain.endpoints import ChainEndpoint
from app.chain.faults import BlockGone, ExecutionReverted, NotThereYet, Pruned, Transport, Unauthorised, is_answer
from app.chain.reader import BlockTag, ChainReader
from app.chain.wire import Header
from app.domain.chain import Address, BlockRef, CallResult, ContractCall, Hash32, Log, LogFilter
from app.domain.endpoint import EndpointHealth, EndpointStatus
from app.domain.specs import ChainSpec
from app.errors import Fatal, Retryable, WaterlineError

log = logging.getLogger(__name__)

T = TypeVar("T")

_ROUNDS: Final = 3
"""How often all endpoints are gone through before a piece of work is given back as failed."""
_FIRST_PAUSE_SECONDS: Final = 0.1
_ASSURANCE_PAUSES_SECONDS: Final = (0.5, 1.5, 4.0)
"""Before all endpoints are called wrong for good they are asked again, after each of these."""
_AWAY_FOR_A_MOMENT_SECONDS: Final = 60.0
_LONGEST_WAIT_SECONDS: Final = 5.0
"""Where every endpoint throttles, the first to be free again is waited for so long at most."""


class EndpointsDown(Retryable):
    """No endpoint can be asked; the message says why of each."""


class _PlanRaised(Exception):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class ReaderPool(ChainReader):
    """Reads one chain through whichever endpoint is fit. Belongs to one event loop; `aclose` closes all connections."""

    def __init__(self, endpoints: Sequence[ChainEndpoint], spec: ChainSpec, contracts: Sequence[Address] = ()) -> None:
        """Nothing is sent yet.

        Args:
            endpoints: At least one, the preferred ones first.
            spec: The chain.
            contracts: Must have code on a good endpoint, as far as they have on any.
        """
        if not endpoints:
            raise ValueError("a chain is read through one endpoint at least")
        super().__init__(endpoints[0].reader.rpc, spec)
        self.endpoints = tuple(endpoints)
        self.spec = spec
        self._contracts = tuple(contracts)
        self._expected: set[Address] = set()
        """Contracts found at some endpoint."""
        self.is_followed = False
        """Whether heads are being followed just now: then `statuses` is worth telling."""

    @property
    def label(self) -> str:
        """The endpoints, as they may be shown."""
        return ", ".join(endpoint.name for endpoint in self.endpoints)

    async def aclose(self) -> None:
        for endpoint in self.endpoints:
            await endpoint.aclose()

    def statuses(self) -> list[EndpointStatus]:
        """All endpoints as they are now."""
        best = max(endpoint.head_number for endpoint in self.endpoints)
        return [endpoint.status(best if best >= 0 else None) for endpoint in self.endpoints]

    async def verify(self) -> None:
        """Check every endpoint; those that fail are left out until a later check finds them right.

        Raises:
            Fatal: none is right, and all are wrong in a way that does not pass: another chain, no access. Asked more
                than once: behind one address there may be a node that has nothing yet.
            EndpointsDown: none can be used now.
        """
        for pause in (*_ASSURANCE_PAUSES_SECONDS, None):
            faults = [fault for fault in await asyncio.gather(*map(self.check, self.endpoints)) if fault is not None]
            if len(faults) < len(self.endpoints):
                for contract in sorted(set(self._contracts) - self._expected):
                    log.error("chain=%s no contract at %s on any endpoint", self.spec.name, contract)
                return
            if not all(isinstance(fault, Fatal) for fault in faults):
                raise self.down()
            if pause is None or all(isinstance(fault, Unauthorised) for fault in faults):
                raise faults[0]
            await asyncio.sleep(pause)

    async def check(self, endpoint: ChainEndpoint) -> WaterlineError | None:
        """Find out whether one endpoint is what it should be. None: it is, and in use; else what is wrong."""
        before = endpoint.health
        try:
            self._expected |= (found := await endpoint.check(self._contracts))
            if missing := self._expected - found:
                raise Transport(f"no contract at {min(missing)}, where other endpoints have one")
        except WaterlineError as fault:
            if endpoint.is_in_use():
                endpoint.failed(fault)
            if endpoint.health is not before:
                log.warning("chain=%s endpoint=%r %s: %s", self.spec.name, endpoint.name, endpoint.health, fault)
            return fault
        if before is not EndpointHealth.HEALTHY:
            log.info("chain=%s endpoint=%r healthy", self.spec.name, endpoint.name)
        return None

    def down(self) -> EndpointsDown:
        """Why nothing can be read, of each endpoint."""
        each = "; ".join(f"{endpoint.name} {endpoint.health}: {endpoint.trouble}" for endpoint in self.endpoints)
        return EndpointsDown(f"no endpoint can be used: {each}")

    # ------------------------------------------------------------------------------------------ reads

    async def fetch_header(self, at: int | BlockTag | Hash32) -> Header | None:
        found: Header | None = None

        async def fetch(endpoint: ChainEndpoint) -> None:
            nonlocal found
            found = await endpoint.reader.fetch_header(at)
            if found is None and at not in ("safe", "finalized"):
                raise NotThereYet(f"{endpoint.name} does not have block {at!s}")

        try:
            await self._anywhere(fetch, at if isinstance(at, int) else None)
        except NotThereYet:
            return None
        return found

    async def fetch_block_logs(self, header: Header, log_filter: LogFilter) -> list[Log]:
        return await self._anywhere(
            lambda endpoint: endpoint.reader.fetch_block_logs(header, log_filter), header.block.number
        )

    async def fetch_logs(self, log_filter: LogFilter, from_block: int, to_block: int) -> list[Log]:
        """As of any reader. Ranges are asked by number: only of endpoints that have shown the last block."""
        return await self._anywhere(
            lambda endpoint: endpoint.reader.fetch_logs(log_filter, from_block, to_block), to_block, shown=True
        )

    async def call_all(
        self, calls: Sequence[ContractCall], block: BlockRef, feed: Callable[[list[CallResult]], None]
    ) -> bool:
        """As of any reader; what one endpoint could not answer any more, the next one does."""
        fed = 0

        def take(results: list[CallResult]) -> None:
            nonlocal fed
            try:
                feed(results)
            except Exception as error:  # a plan's own, whatever it is: no endpoint is to blame
                raise _PlanRaised(error) from error
            fed += len(results)

        by_number: list[ChainEndpoint] = []

        async def run(endpoint: ChainEndpoint) -> None:
            before = fed
            try:
                if await endpoint.reader.call_all(calls[fed:] if fed else calls, block, take):
                    by_number.append(endpoint)
            except WaterlineError as fault:
                if isinstance(fault, Pruned):
                    endpoint.refused_state(block.number)
                if fed > before and not endpoint.reader.proven_by_hash:
                    by_number.append(endpoint)
                raise

        try:
            await self._anywhere(run, block.number, state=True)
        except _PlanRaised as wrapped:
            raise wrapped.error  # noqa: B904 - as if it had never been wrapped
        for endpoint in by_number:  # what it said at a height is true only if it has this block there
            await endpoint.reader.recheck(block)
        return False

    async def _anywhere(
        self,
        work: Callable[[ChainEndpoint], Awaitable[T]],
        block: int | None,
        *,
        shown: bool = False,
        state: bool = False,
    ) -> T:
        """Have one endpoint do the work, the next where it fails; several rounds where only failures came.

        Answers (a block it lacks, say) are asked for once from each.

        Args:
            work: Must be right to repeat.
            block: The highest block it is about; None where any endpoint will do.
            shown: Only by endpoints that have shown `block`; otherwise those come first.
            state: It reads state: endpoints that have thrown that block's away come last.

        Raises:
            What the last endpoint raised; answers before failures.
            EndpointsDown: none can be asked.
        """
        answer: WaterlineError | None = None
        failure: WaterlineError | None = None
        for round_ in range(_ROUNDS):
            failure = None
            for endpoint in self._in_order(block, shown=shown, state=state):
                try:
                    result = await work(endpoint)
                except ExecutionReverted:
                    raise
                except WaterlineError as fault:
                    endpoint.failed(fault)
                    if is_answer(fault):
                        answer = _worse(answer, fault)
                    else:
                        failure = fault
                    continue
                endpoint.worked()
                return result
            if answer is not None and failure is None:
                raise self._unless_others_may_have_it(answer)
            if shown and failure is None and any(endpoint.is_in_use() for endpoint in self.endpoints):
                raise NotThereYet(f"no endpoint in use has shown block {block}")
            if round_ + 1 < _ROUNDS:
                await asyncio.sleep(self._pause_seconds(round_))
        if isinstance(answer, Pruned) and failure is not None:
            raise failure  # what failed may have the state: gone for one endpoint is not gone
        raise answer or failure or self.down()

    def _unless_others_may_have_it(self, answer: WaterlineError) -> WaterlineError:
        """`answer`; but state that is gone is not believed to be while an endpoint is away for a moment only."""
        away = [one for one in self.endpoints if one.health is EndpointHealth.DOWN or one.rest_seconds()]
        if isinstance(answer, Pruned) and any(one.answered_within(_AWAY_FOR_A_MOMENT_SECONDS) for one in away):
            return self.down()
        return answer

    def _in_order(self, block: int | None, *, shown: bool, state: bool) -> list[ChainEndpoint]:
        """The endpoints to ask, best first. Those at rest only where no other is left, throttled ones not even then."""
        fit = [endpoint for endpoint in self.endpoints if endpoint.is_in_use()]
        if block is not None and shown and len(self.endpoints) > 1:
            fit = [endpoint for endpoint in fit if endpoint.head_number >= block]
        awake = [endpoint for endpoint in fit if not endpoint.rest_seconds()]

        def rank(endpoint: ChainEndpoint) -> tuple[bool, bool, bool, int]:
            behind = block is not None and endpoint.head_number < block
            pruned = state and block is not None and not endpoint.has_state(block)
            return behind, pruned, endpoint.is_spoiled, endpoint.number

        return sorted(awake, key=rank)

    def _pause_seconds(self, round_: int) -> float:
        """Between rounds: growing, spread out, and long enough for one endpoint to have rested if that is soon."""
        pause = _FIRST_PAUSE_SECONDS * 2.0**round_ * (1 + random.random() / 2)  # nothing depends on the value
        rests = [endpoint.rest_seconds() for endpoint in self.endpoints if endpoint.is_in_use()]
        soonest = min(rests, default=0.0)
        return max(pause, soonest) if soonest <= _LONGEST_WAIT_SECONDS else pause


def _worse(before: WaterlineError | None, fault: WaterlineError) -> WaterlineError:
    """The answer to give when endpoints answer differently: one that may pass by itself, before one that stays."""
    if before is None or isinstance(fault, BlockGone | NotThereYet) or isinstance(before, Fatal):
        return fault
    return before
