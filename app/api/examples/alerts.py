"""Examples of channels, routes, episodes and deliveries."""

from __future__ import annotations

from typing import Any

from app.api.examples.wallet import WALLET_ADDRESS

CHANNEL: dict[str, Any] = {
    "id": 2,
    "name": "pager",
    "kind": "webhook",
    "settings": {"host": "alerts.example:443"},
    "is_enabled": True,
    "disabled_reason": None,
    "created_at": 1758931200,
}
NEW_CHANNEL: dict[str, Any] = {**CHANNEL, "signing_secret": "whsec_…"}
CHANNELS: dict[str, Any] = {"items": [CHANNEL]}
TEST_MESSAGE: dict[str, Any] = {"delivery_id": "msg_5k2v7q4m6xw3t2h7d5n4b3c6za"}
ROUTE: dict[str, Any] = {
    "min_severity": "warning",
    "timezone": "Europe/Berlin",
    "quiet_from": "22:00",
    "quiet_to": "07:00",
    "quiet_override": "critical",
    "repeat_seconds": 1800,
    "digest_at": "08:00",
    "watchlist_id": 7,
    "channel_id": 2,
}
ROUTES: dict[str, Any] = {"items": [ROUTE]}
EPISODE: dict[str, Any] = {
    "id": 31,
    "watchlist_id": 7,
    "rule_id": 3,
    "rule": "health",
    "metric": "health_factor",
    "unit": "ratio",
    "subject": {
        "kind": "account",
        "chain_id": 1,
        "deployment_id": "aave-v3-ethereum-core",
        "address": WALLET_ADDRESS,
        "unit": "",
    },
    "state": "open",
    "severity": "warning",
    "opened_at": 1758931207,
    "announced_at": 1758931207,
    "closed_at": None,
    "acknowledged_at": None,
    "acknowledged_by": None,
}
EPISODES: dict[str, Any] = {"items": [EPISODE], "next_cursor": None}
EPISODE_DETAIL: dict[str, Any] = {
    **EPISODE,
    "events": [
        {
            "id": 90,
            "kind": "opened",
            "severity": "warning",
            "at": 1758931207,
            "value": "1.0423",
            "level": "1.1",
            "inputs": {"status": "healthy", "collateral_value": "300000000000"},
            "block": {
                "block_number": 23456789,
                "block_hash": "0x9b1a3c5e7f9012345678abcdef0123456789abcdef0123456789abcdef012345",
                "block_timestamp": 1758931200,
            },
            "retracted_at": None,
        }
    ],
}
DELIVERY: dict[str, Any] = {
    "id": "msg_5k2v7q4m6xw3t2h7d5n4b3c6za",
    "channel_id": 2,
    "kind": "episode.opened",
    "severity": "warning",
    "state": "delivered",
    "attempts": 1,
    "created_at": 1758931207,
    "send_after": 1758931207,
    "delivered_at": 1758931208,
    "last_error": None,
    "watchlist_id": 7,
    "episode_id": 31,
}
DELIVERIES: dict[str, Any] = {"items": [DELIVERY], "next_cursor": None}
DELIVERY_DETAIL: dict[str, Any] = {
    **DELIVERY,
    "body": {"type": "episode.opened", "timestamp": "2025-09-27T00:00:07Z", "data": {"text": "…"}},
    "tries": [{"at": 1758931208, "took_ms": 84, "status": 204, "error": None}],
}
