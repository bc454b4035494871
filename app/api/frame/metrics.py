"""Prometheus metrics of the read side: base units in the names, chains and protocols as labels, never a wallet."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import Scope

from app.api.schemas.status import ChainStatusView

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class RequestMetrics:
    """Counts requests by route template, so that no address becomes a label."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ["method", "route", "status"]
        self._requests = Counter("waterline_http_requests", "Requests answered.", labels, registry=self.registry)
        self._seconds = Histogram(
            "waterline_http_request_duration_seconds",
            "Time from request to the end of its answer.",
            ["route"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=self.registry,
        )

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Note one answered request."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in ("GET", "HEAD", "OPTIONS") else "other"
        self._requests.labels(method, route, str(status)).inc()
        if route != "/v1/stream":
            self._seconds.labels(route).observe(seconds)


def exposition(requests: RequestMetrics, chains: Sequence[ChainStatusView], subscribers: int, reachable: bool) -> bytes:
    """Everything in the text format: chains as they are now, requests, and whatever else this process counts."""
    now = CollectorRegistry()
    Gauge("waterline_stream_subscribers", "Open event streams.", registry=now).set(subscribers)
    Gauge("waterline_database_up", "1 while the database answers.", registry=now).set(reachable)
    facts = {
        "waterline_last_indexed_block": ("Newest block in the database.", "indexed_number"),
        "waterline_chain_head_block": ("Newest block the node told of.", "head_number"),
        "waterline_chain_safe_block": ("Newest safe block the node told of.", "safe_number"),
        "waterline_chain_finalized_block": ("Newest finalized block the node told of.", "finalized_number"),
        "waterline_blocks_behind": ("Blocks between head and database.", "blocks_behind"),
        "waterline_snapshot_age_seconds": ("Age of the newest indexed block.", "lag_seconds"),
        "waterline_indexer_silence_seconds": ("Since the indexer's last sign of life.", "observed_seconds_ago"),
        "waterline_pending_reads": ("Accounts known but not read yet.", "pending_reads"),
        "waterline_scan_remaining_blocks": ("Old blocks still to be searched.", "scan_remaining_blocks"),
        "waterline_chain_ready": ("1 while the chain is fresh.", "ready"),
    }
    for name, (meaning, field) in facts.items():
        gauge = Gauge(name, meaning, ["chain"], registry=now)
        for chain in chains:
            value = getattr(chain, field)
            if value is not None:
                gauge.labels(str(chain.chain_id)).set(value)
    aside = Gauge("waterline_troubled_deployments", "Deployments set aside, not read.", ["chain"], registry=now)
    for chain in chains:
        aside.labels(str(chain.chain_id)).set(len(chain.troubled_deployments))
    healthy = Gauge(
        "waterline_chain_endpoint_healthy", "1 while the chain is read there.", ["chain", "endpoint"], registry=now
    )
    for chain in chains:
        for one in chain.endpoints:
            healthy.labels(str(chain.chain_id), f"#{one.number} {one.host}").set(one.health == "healthy")
    return generate_latest(now) + generate_latest(requests.registry) + generate_latest(REGISTRY)
