"""What an indexer tells Prometheus. Labels are chain and protocol, never a wallet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from app.domain.chain import ChainId

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_DEPTHS = (1, 2, 3, 5, 10, 20, 50, 100, 250)


class IndexerMetrics:
    """The metric families, registered once a process."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        chain = ("chain",)
        self.last_indexed_block = Gauge(
            "waterline_last_indexed_block", "Number of the newest block in the store", chain, registry=registry
        )
        self.chain_head_block = Gauge(
            "waterline_chain_head_block", "Number of the newest block the node has shown", chain, registry=registry
        )
        self.blocks_behind = Gauge(
            "waterline_blocks_behind", "Blocks between the node's head and the store", chain, registry=registry
        )
        self.leader = Gauge(
            "waterline_indexer_leader", "1 while this process is the chain's writer", chain, registry=registry
        )
        self.blocks_indexed = Counter("waterline_blocks_indexed", "Blocks committed", chain, registry=registry)
        self.reorgs = Counter("waterline_reorgs", "Forks followed", chain, registry=registry)
        self.reorg_depth = Histogram(
            "waterline_reorg_depth", "Stored blocks' distance given up by a fork", chain, buckets=_DEPTHS,
            registry=registry,
        )  # fmt: skip
        self.failures = Counter(
            "waterline_index_failures", "Attempts given up and repeated, by failure", ("chain", "failure"),
            registry=registry,
        )  # fmt: skip
        self.block_index_seconds = Histogram(
            "waterline_block_index_seconds", "From header to commit", chain, buckets=_SECONDS, registry=registry
        )
        self.phase_seconds = Histogram(
            "waterline_block_phase_seconds", "Parts of indexing a block", ("chain", "phase"), buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.accounts_read = Counter(
            "waterline_accounts_read", "Accounts read from the chain", ("chain", "protocol"), registry=registry
        )
        self.accounts_unreadable = Counter(
            "waterline_accounts_unreadable", "Accounts that could not be read", ("chain", "protocol"),
            registry=registry,
        )  # fmt: skip
        self.audit_accounts = Counter(
            "waterline_audit_accounts", "Stored accounts held against the chain", ("chain", "protocol"),
            registry=registry,
        )  # fmt: skip
        self.audit_mismatches = Counter(
            "waterline_audit_mismatches", "Accounts in which an audit found a difference, by kind",
            ("chain", "protocol", "kind"), registry=registry,
        )  # fmt: skip
        self.audit_unreadable = Counter(
            "waterline_audit_unreadable", "Accounts an audit could not read", ("chain", "protocol"), registry=registry
        )
        self.audits_failed = Counter(
            "waterline_audits_failed", "Audits given up because the node failed", chain, registry=registry
        )
        self.deployments_set_aside = Gauge(
            "waterline_deployments_set_aside", "Deployments whose contracts refuse to be read", chain, registry=registry
        )
        self.scan_blocks_left = Gauge(
            "waterline_scan_blocks_left", "Blocks whose logs are still to be searched", chain, registry=registry
        )
        self.scan_accounts_found = Gauge(
            "waterline_scan_accounts_found", "Accounts found by log searches of this process", chain,
            registry=registry,
        )  # fmt: skip

    @classmethod
    def private(cls) -> IndexerMetrics:
        """Families that nobody exposes, for tests and programs that run and end."""
        return cls(CollectorRegistry())


class ChainMetrics:
    """The families as one chain's indexer uses them."""

    def __init__(self, families: IndexerMetrics, chain_id: ChainId) -> None:
        self.families = families
        self.chain = str(chain_id)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time one part of indexing a block."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.families.phase_seconds.labels(self.chain, name).observe(time.perf_counter() - start)
