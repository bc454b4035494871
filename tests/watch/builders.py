"""What watching is about, made up: every part can be said differently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.account import AccountKey
from app.domain.chain import Address, BlockRef, Hash32
from app.domain.units import WAD
from app.domain.watch import EpisodeEvent, EventKind, Metric, Severity
from app.store.watch.channels import Route
from app.watch.words import Told

WALLET = Address.from_hex("0x00000000000000000000000000000000000000ab")
BLOCK = BlockRef(1, 123, Hash32(b"\x07" * 32), Hash32(b"\x06" * 32), 1_795_000_000)


def route(**changes: Any) -> Route:
    """A route to channel 1 that tells everything at once."""
    values: dict[str, Any] = {
        "id": 1,
        "watchlist_id": 1,
        "channel_id": 1,
        "min_severity": Severity.INFO,
        "timezone": "UTC",
        "quiet_from_minute": None,
        "quiet_to_minute": None,
        "quiet_override": None,
        "repeat_seconds": None,
        "digest_minute": None,
    }
    return Route(**{**values, **changes})


def event(
    kind: EventKind = EventKind.OPENED,
    severity: Severity = Severity.CRITICAL,
    value: int | None = 1_042_300_000_000_000_000,
    level: int | None = 105 * WAD // 100,
    inputs: Mapping[str, str | int | None] | None = None,
    block: BlockRef | None = BLOCK,
) -> EpisodeEvent:
    """A health factor of 1.0423 at block 123."""
    return EpisodeEvent(kind, severity, 1_795_000_002, block, value, level, inputs or {})


def told(**changes: Any) -> Told:
    """An account whose health factor is too low."""
    values: dict[str, Any] = {
        "watchlist": "treasury",
        "rule_name": "health",
        "metric": Metric.HEALTH_FACTOR,
        "clear_at": 11 * WAD // 10,
        "episode_id": 7,
        "severity": Severity.CRITICAL,
        "state": "open",
        "opened_at": 1_795_000_002,
        "chain_id": 1,
        "subject": AccountKey("aave-v3-ethereum", WALLET),
        "event": event(),
        "event_id": 70,
        "label": "",
        "place": "Aave V3",
    }
    return Told(**{**values, **changes})
