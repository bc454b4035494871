"""What a monitor tells Prometheus. Labels are chain, deployment and status, never a wallet."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from app.domain.watch import EventKind
from app.store.risk import Totals

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class MonitorMetrics:
    """The metric families, registered once a process."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        chain, ledger = ("chain",), ("chain", "deployment", "measure")

        def gauge(name: str, what: str, labels: tuple[str, ...]) -> Gauge:
            return Gauge(f"waterline_{name}", what, labels, registry=registry)

        self.leader = gauge("monitor_leader", "1 while this process writes the chain's board", chain)
        self.board_block = gauge("board_block", "Number of the block the board is of", chain)
        self.blocks_behind = gauge("board_blocks_behind", "Stored blocks above the board's", chain)
        self.board_age = gauge("board_age_seconds", "From the block's own time to its board", chain)
        self.board_seconds = Histogram(
            "waterline_board_seconds", "From hearing of a block to its board", chain, buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.blocks_folded = Counter(
            "waterline_board_blocks_folded", "Blocks without a board, because a newer one was there already", chain,
            registry=registry,
        )  # fmt: skip
        self.confirmed = gauge("board_confirmed_accounts", "Accounts valued by the exact rule at the last block", chain)
        self.status_changes = Counter(
            "waterline_status_changes", "Verdicts that turned", ("chain", "status"), registry=registry
        )
        self.rebuilds = Counter("waterline_book_loads", "Times the whole book was loaded", chain, registry=registry)
        self.failures = Counter(
            "waterline_monitor_failures", "Attempts given up and repeated, by failure", ("chain", "failure"),
            registry=registry,
        )  # fmt: skip
        self.watch_seconds = Histogram(
            "waterline_watch_seconds", "From a board to its watchlists' episodes", chain, buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.watch_events = Counter(
            "waterline_watch_events", "Steps of episodes, by kind", ("chain", "kind"), registry=registry
        )
        self.accounts = gauge("accounts", "Accounts by status", (*ledger, "status"))
        self.collateral = gauge("collateral_value", "Collateral in whole units of the measure", ledger)
        self.requirement = gauge("debt_value", "Debt or maintenance margin in whole units of the measure", ledger)
        self.utilization = gauge("utilization", "Requirement / capacity of all accounts together", ledger)

    def note_board(self, chain: str, number: int, confirmed: int, folded: int) -> None:
        """One board is stored."""
        self.board_block.labels(chain).set(number)
        self.blocks_behind.labels(chain).set(0)
        self.confirmed.labels(chain).set(confirmed)
        self.blocks_folded.labels(chain).inc(folded)

    def note_watch(self, chain: str, seconds: float, events: Mapping[EventKind, int]) -> None:
        """The watchlists are evaluated."""
        self.watch_seconds.labels(chain).observe(seconds)
        for kind, count in events.items():
            self.watch_events.labels(chain, kind.value).inc(count)

    def note_totals(self, chain: str, totals: Totals) -> None:
        """The sums of one measure."""
        ledger = (chain, totals.deployment_id, totals.measure)
        for status in ("liquidatable", "unknown", "healthy", "no_debt"):
            self.accounts.labels(*ledger, status).set(getattr(totals, status))
        if totals.collateral is None or totals.requirement is None:
            return
        self.collateral.labels(*ledger).set(totals.collateral)
        self.requirement.labels(*ledger).set(totals.requirement)
        if totals.capacity:
            self.utilization.labels(*ledger).set(totals.requirement / totals.capacity)

    @classmethod
    def private(cls) -> MonitorMetrics:
        """Families that nobody exposes, for tests and programs that run and end."""
        return cls(CollectorRegistry())
