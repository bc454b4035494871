"""What whoever sends tells Prometheus. Labels are the kind of channel and the outcome, never a wallet or a URL."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3_600)


class AlertMetrics:
    """The metric families, registered once a process."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.deliveries = Counter(
            "waterline_deliveries", "Tries to send a message, by what came of them", ("kind", "outcome"),
            registry=registry,
        )  # fmt: skip
        self.latency = Histogram(
            "waterline_alert_latency_seconds", "From the block's own time to the receiver's answer, at the first try",
            ("kind",), buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.waiting = Gauge("waterline_outbox_waiting", "Messages that are to be sent yet", registry=registry)
        self.failures = Counter(
            "waterline_sender_failures", "Attempts given up and repeated, by failure", ("failure",), registry=registry
        )

    @classmethod
    def private(cls) -> AlertMetrics:
        """Families that nobody exposes, for tests and programs that run and end."""
        return cls(CollectorRegistry())
