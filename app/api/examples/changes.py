"""Examples of the log of changes."""

from __future__ import annotations

from typing import Any

CHANGES: dict[str, Any] = {
    "items": [
        {
            "id": 12,
            "at": 1758931200,
            "actor": "key:k3v9q2m8x4ta treasury desk",
            "action": "rule.create",
            "subject": "watchlist:7",
            "detail": {"rule": 3, "name": "health"},
        }
    ],
    "next_cursor": None,
}
