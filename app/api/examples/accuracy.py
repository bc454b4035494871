"""The examples of /v1/accuracy and /v1/wallets/{address}/track."""

from __future__ import annotations

from typing import Any

from app.api.examples.wallet import AS_OF, WALLET_ADDRESS

_FIGURES: dict[str, Any] = {
    "checked_accounts": 400000,
    "exact_accounts": 399999,
    "exact_share": "0.999997500000000000",
    "state_mismatches": 1,
    "truth_mismatches": 0,
    "unreadable": 0,
    "worst_relative_error": "0.024390243902439025",
    "open_findings": 0,
    "since_timestamp": 1758326400,
}

ACCURACY: dict[str, Any] = {
    "as_of": AS_OF,
    "total": _FIGURES,
    "items": [
        {
            **_FIGURES,
            "deployment_id": "aave-v3-ethereum",
            "chain_id": 1,
            "protocol": "aave-v3",
            "name": "Aave V3 Ethereum",
            "last_checked_block": 23456789,
            "last_checked_timestamp": 1758931200,
        }
    ],
    "findings": [
        {
            "deployment_id": "aave-v3-ethereum",
            "wallet": WALLET_ADDRESS,
            "unit": "",
            "kind": "state",
            "what": ["borrowed_raw 0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"],
            "expected": ["2050000000"],
            "got": ["2000000000"],
            "block_number": 23450000,
            "block_timestamp": 1758849732,
            "repaired_block": 23450001,
        }
    ],
}

TRACKING: dict[str, Any] = {
    "address": WALLET_ADDRESS,
    "chains": [
        {
            "chain_id": 1,
            "chain": "Ethereum",
            "state": "next_block",
            "looked_up_block": None,
            "accounts_found": None,
        }
    ],
    "looked_up_in": ["aave-v3-ethereum"],
    "learned_from_logs": ["morpho-blue-ethereum"],
}
