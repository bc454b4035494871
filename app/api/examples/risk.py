"""Examples of answers about whole markets."""

from __future__ import annotations

from typing import Any

from app.api.examples.wallet import AS_OF, WALLET_ADDRESS

_EXCLUDED = {"unknown_accounts": 12, "unconverted_accounts": 3, "outside_book_accounts": 0}
_HEAD: dict[str, Any] = {"as_of": AS_OF, "chains": [AS_OF], "troubled_deployments": [], "excluded": _EXCLUDED}
_LENDING: dict[str, Any] = {
    "accounts": {"liquidatable": 2, "unknown": 12, "healthy": 61254, "no_debt": 98011},
    "collateral_usd": "21500000000.00",
    "capacity_usd": "17200000000.00",
    "requirement_usd": "12900000000.00",
    "utilization": "0.750000",
    "bad_debt_usd": "1520.33",
    "health": [{"at_least": "1", "below": "1.02", "accounts": 310, "requirement_usd": "90000000.00"}],
    "utilizations": [{"at_least": "0.75", "below": "0.9", "accounts": 12034, "requirement_usd": "6100000000.00"}],
}
_PERPS: dict[str, Any] = {
    "accounts": {"liquidatable": 0, "unknown": 0, "healthy": 0, "no_debt": 0},
    "collateral_usd": "0.00",
    "capacity_usd": "0.00",
    "requirement_usd": "0.00",
    "utilization": None,
    "bad_debt_usd": "0.00",
    "health": [],
    "utilizations": [],
}
_PLACE = {"deployment_id": "aave-v3-ethereum", "chain_id": 1}

SUMMARY: dict[str, Any] = {
    **_HEAD,
    "lending": _LENDING,
    "perps": _PERPS,
    "concentration": {
        "debt_usd": "12900000000.00",
        "account_share": "0.031008",
        "wallet_share": "0.031008",
        "accounts": [
            {
                "wallet": WALLET_ADDRESS,
                "deployment_id": "aave-v3-ethereum",
                "unit": "",
                "debt_usd": "400000000.00",
                "share": "0.031008",
            }
        ],
        "wallets": [
            {
                "wallet": WALLET_ADDRESS,
                "deployment_id": None,
                "unit": None,
                "debt_usd": "400000000.00",
                "share": "0.031008",
            }
        ],
    },
    "per_chain": [{"chain_id": 1, "chain": "Ethereum", "lending": _LENDING, "perps": _PERPS}],
    "deployments": [{**_LENDING, **_PLACE, "name": "Aave V3 Ethereum", "kind": "lending"}],
}

_SUMS: dict[str, Any] = {
    "accounts": [9120, 2, 311],
    "debt_usd": ["5200000000.00", "51000.00", "240000000.00"],
    "collateral_usd": ["5100000000.00", "52100.00", "290000000.00"],
    "unconverted_accounts": [1, 0, 0],
}
_NO_SUMS: dict[str, Any] = {
    "accounts": [0, 0, 0],
    "debt_usd": ["0.00", "0.00", "0.00"],
    "collateral_usd": ["0.00", "0.00", "0.00"],
    "unconverted_accounts": [0, 0, 0],
}
CURVE: dict[str, Any] = {
    **_HEAD,
    "moved": "eth",
    "asset": None,
    "moves": ["-0.5", "0", "0.5"],
    "lending": _SUMS,
    "perps": _NO_SUMS,
    "deployments": [{**_SUMS, **_PLACE, "kind": "lending"}],
}

SIMULATION: dict[str, Any] = {
    **_HEAD,
    "moves": [{"asset": None, "group": "eth", "change": "-0.2"}],
    "liquidatable_now": 2,
    "liquidatable_after": 1834,
    "undecided_accounts": 0,
    "fallen_accounts": 1832,
    "fallen": [{"wallet": WALLET_ADDRESS, "deployment_id": "aave-v3-ethereum", "unit": ""}],
    "recovered_accounts": 0,
    "recovered": [],
    "at_move": {
        "accounts": 1834,
        "perp_accounts": 0,
        "unconverted_accounts": 1,
        "debt_usd": "610000000.00",
        "collateral_usd": "702000000.00",
        "bad_debt_usd": "31000.00",
    },
    "at_rest": {
        "accounts": 3120,
        "perp_accounts": 0,
        "unconverted_accounts": 2,
        "debt_usd": "1040000000.00",
        "collateral_usd": "1110000000.00",
        "bad_debt_usd": "2450000.00",
    },
    "model": "linear",
    "close_factor": "0.5",
    "bonus": "0.05",
    "rounds": 14,
    "is_at_rest": True,
    "pools": [{"pool": "eth", "depth_usd": "50000000.00", "sold_usd": "546000000.00", "impact": "0.890800"}],
}
