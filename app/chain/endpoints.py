"""One endpoint of a chain: its reader, its health, its error budget, and what each kind of failure does to them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from app.chain.faults import (
    MethodMissing,
    NotThereYet,
    Pruned,
    QuotaSpent,
    RangeTooWide,
    ResponseTooLarge,
    Throttled,
    Unauthorised,
    WrongChain,
    is_answer,
)
from app.chain.reader import ChainReader
from app.chain.rpc import RetryPolicy, Rpc
from app.chain.sockets import SocketPost
from app.chain.transport import Post, describe_endpoint
from app.chain.wire import Header
from app.domain.chain import Address
from app.domain.endpoint import EndpointHealth, EndpointStatus, LearnedLimits
from app.domain.specs import ChainSpec
from app.errors import Fatal, WaterlineError

CountRequest: TypeAlias = Callable[[str, str, str, float], None]
"""(endpoint, method, outcome, seconds) of every attempt, for metrics."""

POOLED: Final = RetryPolicy(attempts=2, total_seconds=20.0, sits_out_quotas=False)
"""One endpoint of several is not tried for long: another is asked."""
_SMOOTHING: Final = 0.1
"""Weight of the newest request in the averages."""
_SHORTEST_PATIENCE_SECONDS: Final = 1.0
_PATIENCE: Final = 20.0
"""An attempt may take so many times what the method took of late: hanging connections are given up early."""
_FIRST_REST_SECONDS: Final = 0.25
_LONGEST_REST_SECONDS: Final = 15.0
_REFUSED_REST_SECONDS: Final = 120.0
_DOWN_AFTER: Final = 3
"""Failures in a row after which an endpoint is checked before it is read from again."""
_SPOILED_SHARE: Final = 0.25
"""Share of failing requests from which endpoints further down the list are preferred."""
_OUTCOMES: Final[tuple[tuple[type[WaterlineError], str], ...]] = (
    (Throttled, "throttled"),
    (Unauthorised, "refused"),
    (QuotaSpent, "refused"),
    (MethodMissing, "unsupported"),
    (RangeTooWide, "too_much"),
    (ResponseTooLarge, "too_much"),
    (NotThereYet, "not_there_yet"),
    (Pruned, "pruned"),
)


@dataclass(frozen=True, slots=True)
class EndpointUrls:
    """How one endpoint is reached. Never printed."""

    url: str
    """For reads: http(s), or ws(s)."""
    ws_url: str | None = None
    """For heads; None: they are polled."""

    def __repr__(self) -> str:
        return f"EndpointUrls({describe_endpoint(self.url, _SCHEMES).label})"


_SCHEMES: Final = ("http", "https", "ws", "wss")


class ChainEndpoint:
    """One endpoint. Times are seconds of the event loop's clock."""

    def __init__(
        self,
        number: int,
        urls: EndpointUrls,
        spec: ChainSpec,
        *,
        alone: bool,
        count: CountRequest | None = None,
        post: Post | None = None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            number: Its place in the setting, from 1.
            urls: Its addresses.
            spec: The chain it should serve.
            alone: It is the only one: it is tried for longer, and asked even while it should rest.
            count: For metrics.
            post: Takes the network's place in tests.

        Raises:
            Refused: a URL is not one.
        """
        self.number = number
        self.ws_url = urls.ws_url
        self.host = describe_endpoint(urls.url, _SCHEMES).label.partition("://")[2]
        self.name = f"#{number} {self.host}"
        self._spec = spec
        self._alone = alone
        self._count = count
        self._socket = SocketPost(urls.url) if post is None and urls.url.lower().startswith("ws") else None
        policy = None if alone else POOLED
        self._rpc = Rpc(urls.url, post=post or self._socket, policy=policy, watch=self)
        self.reader = ChainReader(self._rpc, spec)
        self.health = EndpointHealth.UNTRIED
        self.head: Header | None = None
        self.answered_at: float | None = None
        self.trouble: str | None = None
        self._rests_until = 0.0
        self._failures = 0
        self._error_share = 0.0
        self._latency: dict[str, float] = {}
        self._state_blocks: int | None = None

    def __repr__(self) -> str:
        return f"ChainEndpoint({self.name})"

    async def aclose(self) -> None:
        """Close its connections."""
        await self.reader.aclose()
        if self._socket is not None:
            await self._socket.aclose()

    # ------------------------------------------------------------------------------------------ as asked

    @property
    def head_number(self) -> int:
        """Its newest known block; -1 before it has shown one."""
        return self.head.block.number if self.head is not None else -1

    @property
    def is_spoiled(self) -> bool:
        """Whether so many requests fail that others are preferred."""
        return self._error_share > _SPOILED_SHARE

    def is_in_use(self) -> bool:
        """Whether it was found to be what it should be, and nothing speaks against reading from it just now."""
        return self.health in (EndpointHealth.HEALTHY, EndpointHealth.RESTING)

    def is_failing(self) -> bool:
        """Whether the newest piece of work failed, or it is not in use at all."""
        return self._failures > 0 or not self.is_in_use()

    def is_worth_following(self) -> bool:
        """Whether its heads may be asked for without checking it first."""
        return self.is_in_use() or self.health is EndpointHealth.LAGGING

    def answered_within(self, seconds: float) -> bool:
        """Whether it has answered anything of late."""
        return self.answered_at is not None and _now() - self.answered_at <= seconds

    def rest_seconds(self) -> float:
        """How long it is still to be left alone."""
        return max(0.0, self._rests_until - _now())

    def has_state(self, number: int) -> bool:
        """Whether it may still have the state of a block, by what it once refused."""
        if self._state_blocks is None or self.head is None:
            return True
        return self.head_number - number < self._state_blocks

    def status(self, best_head: int | None) -> EndpointStatus:
        """What may be shown."""
        head = self.head_number if self.head is not None else None
        lag = max(0, best_head - head) if best_head is not None and head is not None else None
        latencies = self._latency.values()
        return EndpointStatus(
            chain_id=self._spec.chain_id,
            number=self.number,
            host=self.host,
            health=self.health,
            head_number=head,
            lag_blocks=lag,
            error_share=self._error_share,
            latency_seconds=sum(latencies) / len(latencies) if latencies else None,
            trouble=None if self.health is EndpointHealth.HEALTHY else self.trouble,
            limits=replace(self.reader.limits, state_blocks=self._state_blocks),
        )

    def adopt(self, limits: LearnedLimits) -> None:
        """Begin with what was learned before."""
        self.reader.adopt(limits)
        self._state_blocks = limits.state_blocks

    # ------------------------------------------------------------------------------------------ as it goes

    def patience_seconds(self, method: str) -> float:
        """How long one attempt may take."""
        usual = self._latency.get(method)
        if usual is None or self._alone:
            return POOLED.attempt_seconds
        return max(_SHORTEST_PATIENCE_SECONDS, _PATIENCE * usual)

    def tried(self, method: str, seconds: float, fault: WaterlineError | None) -> None:
        """Note one attempt. Answers that are no fault of the endpoint's do not touch its error budget."""
        failed = fault is not None and not is_answer(fault)
        self._error_share += _SMOOTHING * (failed - self._error_share)
        self._latency[method] = seconds + (1 - _SMOOTHING) * (self._latency.get(method, seconds) - seconds)
        if not failed:
            self.answered_at = _now()
            self._is_rested()
        if self._count is not None:
            self._count(self.name, method, _outcome(fault), seconds)

    def worked(self) -> None:
        """A piece of work succeeded."""
        self._failures = 0
        if self.health in (EndpointHealth.RESTING, EndpointHealth.UNTRIED):
            self.health, self.trouble = EndpointHealth.HEALTHY, None

    def failed(self, fault: WaterlineError) -> None:
        """A piece of work failed for good here: rest it, longer each time in a row, by what the failure means."""
        if is_answer(fault):
            return
        self.trouble = str(fault)
        if isinstance(fault, WrongChain):
            self._rest(EndpointHealth.WRONG_CHAIN, _REFUSED_REST_SECONDS)
        elif isinstance(fault, Fatal | QuotaSpent):
            self._rest(EndpointHealth.REFUSED, _REFUSED_REST_SECONDS)
        else:
            self._failures += 1
            pause = min(_FIRST_REST_SECONDS * 2.0 ** min(self._failures - 1, 10), _LONGEST_REST_SECONDS)
            asked = fault.retry_after if isinstance(fault, Throttled) else None
            down = self._failures >= _DOWN_AFTER and not isinstance(fault, Throttled)
            self._rest(
                EndpointHealth.DOWN if down or not self.is_in_use() else EndpointHealth.RESTING,
                max(pause, asked or 0.0),
            )

    def refused_state(self, number: int) -> None:
        """It does not have the state of a block any more: older ones are asked of others."""
        if self.head is not None:
            self._state_blocks = min(self._state_blocks or self.head_number, max(1, self.head_number - number))

    def showed(self, head: Header) -> None:
        """Its newest head."""
        self.head, self.answered_at = head, _now()
        self._is_rested()

    def lags(self, trouble: str) -> None:
        """It is behind, although it answers: nothing is read from it until `catches_up`."""
        self.health, self.trouble = EndpointHealth.LAGGING, trouble

    def caught_up(self) -> None:
        """It shows what the others show again."""
        if self.health is EndpointHealth.LAGGING:
            self.health, self.trouble = EndpointHealth.HEALTHY, None

    async def check(self, contracts: Sequence[Address]) -> set[Address]:
        """Find out whether it serves this chain, with Multicall3, and is not syncing; then it is in use.

        Returns:
            Those of `contracts` that have code there.

        Raises:
            WrongChain, NotThereYet (it syncs) or another class of `app.chain.faults`; noted here already.
        """
        try:
            await self.reader.verify()
            if await self.reader.fetch_syncing():
                self._rest(EndpointHealth.SYNCING, _LONGEST_REST_SECONDS)
                self.trouble = "the node is syncing"
                raise NotThereYet(f"{self.name}: the node is syncing")
            found = {contract for contract in contracts if await self.reader.has_code(contract)}
        except WaterlineError as fault:
            if self.health is not EndpointHealth.SYNCING:
                self.failed(fault)
            raise
        self.health, self.trouble, self._failures, self._rests_until = EndpointHealth.HEALTHY, None, 0, 0.0
        return found

    def _is_rested(self) -> None:
        if self.health is EndpointHealth.RESTING and not self.rest_seconds():
            self.health, self.trouble = EndpointHealth.HEALTHY, None

    def _rest(self, health: EndpointHealth, seconds: float) -> None:
        # spread out upwards only: never sooner than the endpoint asked for; nothing depends on the value
        self.health = health
        self._rests_until = max(self._rests_until, _now() + seconds * (1 + random.random() / 4))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _outcome(fault: WaterlineError | None) -> str:
    """The metric's label."""
    if fault is None:
        return "ok"
    return next(
        (name for kind, name in _OUTCOMES if isinstance(fault, kind)), "answer" if is_answer(fault) else "error"
    )
