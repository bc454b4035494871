"""What the service says of itself: how chains are followed, whether it is ready, and what went wrong."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from app.api.schemas.base import AsOf, View
from app.api.schemas.wallets import TroubledDeployment


class EndpointView(View):
    """One way to a chain's nodes, as the indexer last saw it. Its URL is never told."""

    number: int = Field(description="Its place in the setting, from 1.")
    host: str
    health: Literal["untried", "healthy", "resting", "lagging", "syncing", "down", "refused", "wrong_chain"] = Field(
        description="Blocks are read from healthy ones; from those that rest, again in a moment."
    )
    head_number: int | None
    lag_blocks: int | None = Field(description="Behind the best endpoint of the chain.")
    error_share: str = Field(description="Share of its latest requests that failed, 0 to 1.")
    latency_ms: int | None = Field(description="What its latest requests took.")
    trouble: str | None
    range_blocks: int | None = Field(description="Learned: blocks of one log search.")
    chunk_calls: int | None = Field(description="Learned: calls of one multicall.")
    observed_seconds_ago: int


class ChainStatusView(View):
    """How one chain is being followed."""

    chain_id: int
    chain: str
    ready: bool
    head_number: int | None = Field(description="Newest block the node told of.")
    head_timestamp: int | None
    safe_number: int | None
    finalized_number: int | None
    indexed_number: int | None
    indexed_timestamp: int | None
    first_stored_number: int | None
    blocks_behind: int | None
    lag_seconds: int | None
    observed_seconds_ago: int | None = Field(description="Age of the indexer's last sign of life.")
    pending_reads: int = Field(description="Accounts whose state is to be read, or read again.")
    unread_accounts: int = Field(description="Those among them of which nothing is known yet.")
    scan_remaining_blocks: int
    stale: bool
    stale_reason: str | None
    not_ready_reason: str | None = Field(
        description="Why `ready` is false: stale, a deployment set aside, or old accounts still being found."
    )
    troubled_deployments: list[TroubledDeployment] = Field(
        description="Set aside because they refuse to be read: their accounts are unknown, the others go on."
    )
    endpoints: list[EndpointView]


class StatusView(View):
    """All chains at a glance."""

    as_of: AsOf | None = Field(description="The least fresh of the chains; null when none is followed.")
    ready: bool
    time: int
    chains: list[ChainStatusView]


class NotReady(View):
    """One reason why the service is not ready."""

    chain_id: int | None = Field(description="Null when it is about the service as a whole.")
    reason: str


class ReadyView(View):
    """Whether every configured chain is fresh."""

    ready: bool
    reasons: list[NotReady]


class HealthView(View):
    """The process answers."""

    status: Literal["ok"]


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
