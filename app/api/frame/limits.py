"""How much is answered to whom: token buckets by key and by client address, in the memory of this process.

Several serving processes count by themselves: together they answer so many times as much. The least recently seen
buckets are forgotten beyond a bound; one that has not been seen for a minute is full again anyway.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from math import ceil

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.frame.problems import TOO_MANY_REQUESTS, ApiProblem, problem_response

Clock = Callable[[], float]

WINDOW_SECONDS = 60
FAILURES_PER_MINUTE = 10
"""Wrong keys that are looked up for one address."""
_MOST_BUCKETS = 20_000
_UNLIMITED = frozenset({"/health", "/ready", "/metrics"})
_IPV6_PREFIX_BITS = 64
"""Of an address: what one subscriber has, and can change his address within."""


class Allowance:
    """So many at once, and so many a second after that: a token bucket."""

    def __init__(self, burst: int, per_second: float, clock: Clock = time.monotonic) -> None:
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._left = float(burst)
        self._at = clock()

    @property
    def left(self) -> int:
        """How many are allowed at this moment."""
        self._refill()
        return int(self._left)

    def seconds_until(self, count: int) -> int:
        """Whole seconds until `count` are allowed at once, rounded up."""
        self._refill()
        return max(0, ceil((count - self._left) / self._per_second)) if self._per_second else WINDOW_SECONDS

    def take(self) -> bool:
        """Whether one more is allowed now; it counts then."""
        self._refill()
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now


class Buckets:
    """An allowance a name, each of so many a minute, at most `most` of them."""

    def __init__(self, per_minute: int, clock: Clock = time.monotonic, most: int = _MOST_BUCKETS) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._most = most
        self._by_name: OrderedDict[str, Allowance] = OrderedDict()

    def of(self, name: str) -> Allowance:
        """The allowance of a name, full when it has not been seen lately."""
        found = self._by_name.get(name)
        if found is None:
            found = self._by_name[name] = Allowance(self.per_minute, self.per_minute / WINDOW_SECONDS, self._clock)
            if len(self._by_name) > self._most:
                self._by_name.popitem(last=False)
        self._by_name.move_to_end(name)
        return found


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """How many requests a minute; 0: as many as they like."""

    per_address: int = 0
    per_key: int = 0
    failures_per_address: int = FAILURES_PER_MINUTE


NO_LIMITS = LimitOptions()
"""Only wrong keys are counted."""


@dataclass
class Limits:
    """The buckets of one process."""

    options: LimitOptions
    clock: Clock = time.monotonic
    addresses: Buckets = field(init=False)
    keys: Buckets = field(init=False)
    failures: Buckets = field(init=False)

    def __post_init__(self) -> None:
        self.addresses = Buckets(self.options.per_address, self.clock)
        self.keys = Buckets(self.options.per_key, self.clock)
        self.failures = Buckets(self.options.failures_per_address, self.clock)

    def take_failure(self, address: str) -> None:
        """Count a wrong key that came from an address.

        Raises:
            ApiProblem: there were too many of late.
        """
        allowance = self.failures.of(address)
        if not allowance.take():
            raise too_many("too many wrong keys came from this address", "failures", self.failures, allowance)

    def is_locked_out(self, address: str) -> bool:
        """Whether so many wrong keys came from an address that further ones are not looked at."""
        return self.failures.of(address).left < 1


def too_many(detail: str, policy: str, buckets: Buckets, allowance: Allowance) -> ApiProblem:
    """The problem of whom an allowance is used up."""
    wait = {"Retry-After": str(max(1, allowance.seconds_until(1)))}
    return ApiProblem(TOO_MANY_REQUESTS, detail, wait | rate_headers(policy, buckets, allowance))


def rate_headers(policy: str, buckets: Buckets, allowance: Allowance) -> dict[str, str]:
    """What is allowed and what is left, as draft-ietf-httpapi-ratelimit-headers has it since its revision 08: quota and
    window in seconds; remaining and seconds until all of it is there again."""
    full = allowance.seconds_until(buckets.per_minute)
    return {
        "RateLimit-Policy": f'"{policy}";q={buckets.per_minute};w={WINDOW_SECONDS}',
        "RateLimit": f'"{policy}";r={allowance.left};t={full}',
    }


def client_address(connection: HTTPConnection) -> str:
    """Who asks: the peer's address, or the one a trusted proxy names (the server has put it in place already). Of IPv6
    the first 64 bits: one subscriber has all of the rest."""
    host = connection.client.host if connection.client else ""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host or "unknown"
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        if mapped is not None:
            return str(mapped)
        return str(IPv6Address(int(address) >> _IPV6_PREFIX_BITS << _IPV6_PREFIX_BITS)) + f"/{_IPV6_PREFIX_BITS}"
    return str(address)


class Limiter:
    """A layer that counts every request but those of probes, against its key where that is known to be good, else
    against its address."""

    def __init__(self, app: ASGIApp, limits: Limits, known_key: Callable[[HTTPConnection], str | None]) -> None:
        """
        Args:
            known_key: the id of a request's key, where it was found good lately.
        """
        self._app = app
        self._limits = limits
        self._known_key = known_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _UNLIMITED:
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        key_id = self._known_key(connection)
        policy, buckets = ("key", self._limits.keys) if key_id else ("address", self._limits.addresses)
        if not buckets.per_minute:
            await self._app(scope, receive, send)
            return
        allowance = buckets.of(key_id or client_address(connection))
        if not allowance.take():
            problem = too_many(f"more than {buckets.per_minute} requests a minute", policy, buckets, allowance)
            await problem_response(Request(scope), problem)(scope, receive, send)
            return
        headers = rate_headers(policy, buckets, allowance)

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = MutableHeaders(scope=message)
                for name, value in headers.items():
                    found.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_limits)
