"""What is known of one way to a chain's nodes: its name, its health, and what it was found to bear. Never its URL."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain.chain import ChainId


class EndpointHealth(StrEnum):
    """Whether reads go to an endpoint, and if not, why. The values are public: status pages and metrics show them."""

    UNTRIED = "untried"
    """Not asked yet."""
    HEALTHY = "healthy"
    RESTING = "resting"
    """It failed or throttled us a moment ago; it is asked again by itself."""
    LAGGING = "lagging"
    """Its head is behind the other endpoints', or behind what is indexed already."""
    SYNCING = "syncing"
    """It says itself that it does not have the chain yet."""
    DOWN = "down"
    """It failed several times in a row: it is checked again before anything is read from it."""
    REFUSED = "refused"
    """It wants other credentials, or has no quota left for us: a person has to look."""
    WRONG_CHAIN = "wrong_chain"
    """It serves another chain, or the same one without the contracts."""


@dataclass(frozen=True, slots=True)
class LearnedLimits:
    """What an endpoint was found to bear; None: not learned."""

    range_blocks: int | None = None
    """Blocks of one log search."""
    chunk_calls: int | None = None
    """Calls of one multicall: what fits its gas, its answer's size and its time."""
    state_blocks: int | None = None
    """It keeps the state of fewer blocks than this, counted from its head."""


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """One endpoint of one chain at a moment."""

    chain_id: ChainId
    number: int
    """Its place in the setting, from 1."""
    host: str
    """Host, and port if one is given: all of the URL that may be shown."""
    health: EndpointHealth
    head_number: int | None
    lag_blocks: int | None
    """Blocks behind the chain's best known head; None while it has shown none."""
    error_share: float
    """Share of its latest requests that failed, 0 to 1; old ones count less and less."""
    latency_seconds: float | None
    """What its latest requests took, old ones counting less and less."""
    trouble: str | None
    """For people: its last failure while it is not healthy. Free of secrets."""
    limits: LearnedLimits = LearnedLimits()
