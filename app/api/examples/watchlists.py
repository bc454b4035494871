"""Examples of watchlists, members and rules."""

from __future__ import annotations

from typing import Any

from app.api.examples.wallet import WALLET_ADDRESS

WATCHLIST: dict[str, Any] = {
    "id": 7,
    "name": "treasury",
    "note": "Wallets of the foundation",
    "is_paused": False,
    "created_at": 1758931200,
    "members": 42,
    "rules": 2,
    "open_episodes": 1,
    "severity": "warning",
}
WATCHLISTS: dict[str, Any] = {"items": [WATCHLIST], "next_cursor": None}
MEMBERS: dict[str, Any] = {
    "items": [
        {
            "address": WALLET_ADDRESS,
            "chain_id": 1,
            "caip10": f"eip155:1:{WALLET_ADDRESS}",
            "label": "cold",
            "tags": ["multisig", "eth"],
            "given": "treasury.eth",
            "added_at": 1758931200,
        }
    ],
    "next_cursor": None,
}
ADDED: dict[str, Any] = {
    "added": 99,
    "updated": 1,
    "faults": [{"line": 17, "fault": "an address starts with 0x and has 40 hexadecimal digits"}],
}
RULE: dict[str, Any] = {
    "id": 3,
    "watchlist_id": 7,
    "name": "health",
    "metric": "health_factor",
    "unit": "ratio",
    "bad_when": "at_or_below",
    "levels": {"info": None, "warning": "1.1", "critical": "1.02"},
    "clear_at": "1.15",
    "asset": None,
    "group": None,
    "move": None,
    "window_seconds": None,
    "statuses": [],
    "deployment_id": None,
    "chain_id": None,
    "cooldown_seconds": 600,
    "is_enabled": True,
    "created_at": 1758931200,
}
RULES: dict[str, Any] = {"items": [RULE]}
