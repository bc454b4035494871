"""Examples of what the monitor keeps, shown in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from app.api.examples.wallet import AS_OF, WALLET_ADDRESS

_ACCOUNT: dict[str, Any] = {
    "wallet": WALLET_ADDRESS,
    "deployment_id": "aave-v3-ethereum",
    "chain_id": 1,
    "protocol": "aave-v3",
    "kind": "lending",
    "unit": "",
}
BOARD: dict[str, Any] = {
    "as_of": AS_OF,
    "chains": [AS_OF],
    "troubled_deployments": [],
    "items": [
        {
            **_ACCOUNT,
            "status": "liquidatable",
            "health_factor": "0.996000000000000000",
            "utilization": "1.004016064257028113",
            "collateral_value": "2400.00000000",
            "debt_value": "2000.00000000",
            "notional_value": None,
            "value_currency": "USD",
            "exact": True,
        }
    ],
}
CHANGES: dict[str, Any] = {
    "as_of": AS_OF,
    "items": [
        {
            "block_number": AS_OF["block_number"],
            "block_hash": AS_OF["block_hash"],
            "block_timestamp": AS_OF["block_timestamp"],
            **_ACCOUNT,
            "from_status": "healthy",
            "to_status": "liquidatable",
            "health_factor": "0.996000000000000000",
        }
    ],
    "next_cursor": None,
}
HISTORY: dict[str, Any] = {
    "as_of": AS_OF,
    "deployment_id": "aave-v3-ethereum",
    "chain_id": 1,
    "band_edges": ["1.0", "1.02", "1.05", "1.1", "1.25", "1.5", "2.0", "3.0"],
    "series": [
        {
            "value_currency": "USD",
            "measure": "USD",
            "points": [
                {
                    "block_number": AS_OF["block_number"],
                    "block_timestamp": AS_OF["block_timestamp"],
                    "liquidatable": 1,
                    "unknown": 0,
                    "healthy": 4210,
                    "no_debt": 11804,
                    "bands": [1, 12, 80, 190, 610, 890, 1030, 720, 678],
                    "collateral": "24013442118.52",
                    "capacity": "19210753694.81",
                    "requirement": "9605376847.40",
                    "utilization": "0.500000",
                }
            ],
        }
    ],
}
