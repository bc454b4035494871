"""The example of POST /v1/simulate, shown in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from app.api.examples.wallet import AS_OF, WALLET, WALLET_ADDRESS

_BEFORE: dict[str, Any] = {
    "status": "healthy",
    "reasons": [],
    "health_factor": "1.245000000000000000",
    "utilization": "0.803212851405622490",
    "collateral_value": "3000.00000000",
    "debt_value": "2000.00000000",
    "equity": None,
    "requirement": None,
}
_AFTER: dict[str, Any] = {
    **_BEFORE,
    "status": "liquidatable",
    "health_factor": "0.996000000000000000",
    "utilization": "1.004016064257028113",
    "collateral_value": "2400.00000000",
}

SIMULATION: dict[str, Any] = {
    "address": WALLET_ADDRESS,
    "as_of": AS_OF,
    "chains": [AS_OF],
    "moves": [{"kind": "group", "name": "eth", "change": "-0.2"}],
    "totals_before": WALLET["totals"],
    "totals_after": {
        **WALLET["totals"],
        "collateral_usd": "2400.00000000",
        "net_usd": "400.00000000",
        "worst_status": "liquidatable",
        "worst_health_factor": "0.996000000000000000",
    },
    "accounts": [
        {
            "deployment_id": "aave-v3-ethereum",
            "chain_id": 1,
            "name": "Aave V3 Ethereum",
            "kind": "lending",
            "unit": "",
            "value_currency": "USD",
            "before": _BEFORE,
            "after": _AFTER,
            "net_usd_before": "1000.00000000",
            "net_usd_after": "400.00000000",
            "change_usd": "-600.00000000",
        }
    ],
}
