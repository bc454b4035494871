"""From an event of an episode to messages in the outbox: who is told, when, and what the body says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from eth_utils.address import to_checksum_address

from app.domain.account import AccountKey
from app.domain.chain import BlockRef, ChainId
from app.domain.rules import METRICS, format_value
from app.domain.watch import ChainSubject, EventKind, MarketSubject, Subject
from app.store.watch.channels import Route
from app.store.watch.outbox import NewMessage
from app.watch.quiet import send_after
from app.watch.words import Told, sentence

FOLLOW_UPS = frozenset({EventKind.CLEARED, EventKind.RETRACTED})
"""Events that are only of interest to whom the opening was told."""


def messages_for(
    told: Told, routes: Sequence[Route], already_told: frozenset[int], new_id: Callable[[], str]
) -> list[NewMessage]:
    """The messages of one event.

    Openings, escalations and reminders go wherever the severity is wanted. That an episode cleared or was taken back
    goes to every channel that was told of the episode, and to no other.

    Args:
        routes: of the episode's list, to channels that are enabled.
        already_told: channels with a message about an earlier event of this episode.
    """
    event = told.event
    body = body_of(told)
    return [
        NewMessage(
            id=new_id(),
            channel_id=route.channel_id,
            event_id=told.event_id,
            kind=f"episode.{event.kind.value}",
            dedup_key=f"{told.event_id}:{route.channel_id}",
            severity=event.severity,
            body=body,
            send_after=send_after(route, event.severity, event.at),
        )
        for route in routes
        if (route.channel_id in already_told if event.kind in FOLLOW_UPS else route.min_severity <= event.severity)
    ]


def body_of(told: Told) -> dict[str, object]:
    """The body that every channel renders its own shape from. Numbers are exact decimal strings."""
    event, metric = told.event, told.metric
    return {
        "type": f"episode.{event.kind.value}",
        "timestamp": timestamp_text(event.at),
        "data": {
            "episode": {
                "id": told.episode_id,
                "watchlist": told.watchlist,
                "rule": told.rule_name,
                "metric": metric.value,
                "severity": told.severity.name.lower(),
                "state": told.state,
                "opened_at": told.opened_at,
            },
            "subject": subject_body(told.subject, told.chain_id, told.label),
            "value": format_value(metric, event.value),
            "level": format_value(metric, event.level),
            "clear_at": format_value(metric, told.clear_at),
            "unit": METRICS[metric].unit.value,
            "as_of": as_of_body(event.block),
            "inputs": {name: value if value is None else str(value) for name, value in event.inputs.items()},
            "text": sentence(told),
        },
    }


def subject_body(subject: Subject, chain_id: ChainId, label: str = "") -> dict[str, object]:
    """Who or what it is about. What does not apply is null."""
    match subject:
        case AccountKey(deployment_id, wallet, unit):
            address: str | None = to_checksum_address(wallet)
            return _subject("account", chain_id, deployment_id, address, unit, label)
        case MarketSubject(deployment_id):
            return _subject("market", chain_id, deployment_id, None, None, "")
        case ChainSubject():
            return _subject("chain", chain_id, None, None, None, "")


def as_of_body(block: BlockRef | None) -> dict[str, object] | None:
    """The block a statement rests on; null where time decided."""
    if block is None:
        return None
    return {
        "chain_id": block.chain_id,
        "block_number": block.number,
        "block_hash": str(block.hash),
        "block_timestamp": block.timestamp,
    }


def timestamp_text(at: int) -> str:
    """`2026-11-22T10:00:00Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _subject(
    kind: str, chain_id: ChainId, deployment_id: str | None, address: str | None, unit: str | None, label: str
) -> dict[str, object]:
    return {
        "kind": kind,
        "deployment_id": deployment_id,
        "chain_id": chain_id,
        "address": address,
        "unit": unit,
        "label": label,
    }
