"""Puts what is known of a chain's endpoints where others see it: the store, and Prometheus."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from app.chain.pool import ReaderPool
from app.domain.chain import ChainId
from app.domain.endpoint import EndpointHealth, EndpointStatus
from app.errors import WaterlineError
from app.store.endpoints import load_endpoints, note_endpoints
from app.store.postgres.engine import Database

log = logging.getLogger(__name__)

_EVERY_SECONDS = 1.0
_AT_LEAST_EVERY_SECONDS = 5.0
_AFTERWARDS_SECONDS = 30.0
"""So long after heads were followed last, endpoints are still told of; whoever stands by tells nothing."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class EndpointMetrics:
    """The metric families, registered once a process. Endpoints are labelled by number and host, never by URL."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.requests = Counter(
            "waterline_rpc_requests", "Requests to nodes, every attempt counted",
            ("chain", "endpoint", "method", "outcome"), registry=registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "waterline_rpc_request_duration_seconds", "Time of one attempt", ("chain", "endpoint", "method"),
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.healthy = Gauge(
            "waterline_rpc_endpoint_healthy", "1 while reads may go to the endpoint", ("chain", "endpoint"),
            registry=registry,
        )  # fmt: skip
        self.lag = Gauge(
            "waterline_rpc_endpoint_lag_blocks", "Blocks behind the best endpoint", ("chain", "endpoint"),
            registry=registry,
        )  # fmt: skip

    def counter(self, chain_id: ChainId) -> Callable[[str, str, str, float], None]:
        """What an endpoint of one chain counts its attempts with."""
        chain = str(chain_id)

        def count(endpoint: str, method: str, outcome: str, seconds: float) -> None:
            self.requests.labels(chain, endpoint, method, outcome).inc()
            self.seconds.labels(chain, endpoint, method).observe(seconds)

        return count

    def note(self, status: EndpointStatus) -> None:
        """How one endpoint is now."""
        labels = (str(status.chain_id), f"#{status.number} {status.host}")
        self.healthy.labels(*labels).set(status.health is EndpointHealth.HEALTHY)
        if status.lag_blocks is not None:
            self.lag.labels(*labels).set(status.lag_blocks)


async def recall_limits(pool: ReaderPool, database: Database) -> None:
    """Begin with what was learned before of the same host, at the same place of the setting if it is still there.

    Raises:
        Retryable: the database is out of reach.
    """
    async with database.read() as session:
        known = [one.status for one in await load_endpoints(session, pool.chain_id)]
    for endpoint in pool.endpoints:
        same_host = [one for one in known if one.host == endpoint.host]
        if same_host:
            endpoint.adopt(min(same_host, key=lambda one: one.number != endpoint.number).limits)


class EndpointRecorder:
    """Keeps the rows of one chain's endpoints, while this process is the one that follows the chain."""

    def __init__(self, pool: ReaderPool, database: Database, metrics: EndpointMetrics | None = None) -> None:
        self._pool = pool
        self._database = database
        self._metrics = metrics
        self._written: list[tuple[EndpointHealth, str | None]] = []
        self._wrote_at = 0.0
        self._followed_at = float("-inf")

    async def run(self) -> None:
        """Until cancelled. A database that cannot be written to is tried again; nothing else waits for it."""
        while True:
            try:
                await self.record()
            except WaterlineError as failure:
                log.debug("chain=%d endpoints not written: %s", self._pool.chain_id, failure)
            await asyncio.sleep(_EVERY_SECONDS)

    async def record(self) -> None:
        """Write the rows if they say something new or are due.

        Raises:
            Retryable: the database could not be written to.
        """
        now = time.monotonic()
        if self._pool.is_followed:
            self._followed_at = now
        statuses = self._pool.statuses()
        if self._metrics is not None:
            for status in statuses:
                self._metrics.note(status)
        says = [(status.health, status.trouble) for status in statuses]
        due = says != self._written or now - self._wrote_at >= _AT_LEAST_EVERY_SECONDS
        if not due or now - self._followed_at > _AFTERWARDS_SECONDS:
            return
        async with self._database.write() as session:
            await note_endpoints(session, statuses, int(time.time()))
        self._written, self._wrote_at = says, now
