"""One example an answer, shown in the OpenAPI document. A test holds each against its model."""

from __future__ import annotations

from typing import Any

from app.api.examples.accuracy import ACCURACY, TRACKING
from app.api.examples.wallet import AS_OF, WALLET, WALLET_ADDRESS, WETH
from app.api.schemas.status import Problem

__all__ = ["ACCURACY", "TRACKING", "WALLET", "WALLET_ADDRESS"]

_PLACE = {"deployment_id": "aave-v3-ethereum", "chain_id": 1, "protocol": "aave-v3"}

HISTORY: dict[str, Any] = {
    "address": WALLET_ADDRESS,
    "as_of": AS_OF,
    "chains": [AS_OF],
    "accounts": [
        {
            **_PLACE,
            "name": "Aave V3 Ethereum",
            "kind": "lending",
            "unit": "",
            "value_currency": "USD",
            "from_block": 23450000,
            "to_block": 23456789,
            "complete": True,
            "points": [
                {
                    "block_number": 23450001,
                    "block_timestamp": 1758849744,
                    "status": "healthy",
                    "health_factor": "1.301000000000000000",
                    "utilization": "0.768639508070714836",
                    "collateral_value": "3134.93975903",
                    "debt_value": "2000.00000000",
                    "notional_value": None,
                    "is_change": True,
                }
            ],
        }
    ],
}

ACCOUNTS: dict[str, Any] = {
    "as_of": AS_OF,
    "chains": [AS_OF],
    "troubled_deployments": [],
    "items": [
        {
            "wallet": WALLET_ADDRESS,
            **_PLACE,
            "kind": "lending",
            "unit": "",
            "status": "healthy",
            "health_factor": "1.245000000000000000",
            "utilization": "0.803212851405622490",
            "collateral_value": "3000.00000000",
            "debt_value": "2000.00000000",
            "notional_value": None,
            "value_currency": "USD",
        }
    ],
    "next_cursor": None,
}

DEPLOYMENTS: dict[str, Any] = {
    "as_of": AS_OF,
    "items": [
        {
            "id": "aave-v3-ethereum",
            "chain_id": 1,
            "protocol": "aave-v3",
            "name": "Aave V3 Ethereum",
            "address": "0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2",
            "start_block": 16291127,
            "source": "@aave-dao/aave-address-book 4.68.1 AaveV3Ethereum",
            "value_currency": "USD",
            "rules": "confirmed",
            "rules_samples": 40,
            "scan_remaining_blocks": 0,
            "pending_reads": 0,
            "accounts": {"liquidatable": 3, "unknown": 0, "healthy": 41200, "no_debt": 60311},
            "as_of": AS_OF,
        }
    ],
}

PROTOCOLS: dict[str, Any] = {
    "items": [
        {
            "protocol": "aave-v3",
            "name": "Aave V3",
            "kind": "lending",
            "coverage": {
                "exact": ["The six numbers of getUserAccountData equal the Pool's to the last unit: ..."],
                "calibrated": ["The rounding rules are those under which every account compared ..."],
                "approximate": ["Time to liquidation assumes that prices and interest rates stay as they are."],
                "not_modelled": ["How much of a debt one liquidation may repay, and its bonus."],
            },
            "deployments": [
                {
                    "id": "aave-v3-ethereum",
                    "chain_id": 1,
                    "chain": "Ethereum",
                    "name": "Aave V3 Ethereum Core",
                    "address": "0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2",
                    "start_block": 16291127,
                    "followed_by_default": True,
                    "on_request_reason": None,
                    "source": "@aave-dao/aave-address-book 4.68.1 AaveV3Ethereum",
                }
            ],
        }
    ]
}

MARKETS: dict[str, Any] = {
    "as_of": AS_OF,
    "chains": [AS_OF],
    "troubled_deployments": [
        {
            "deployment_id": "spark-ethereum",
            "chain_id": 1,
            "name": "Spark Ethereum",
            "trouble": "its addresses provider names another pool",
        }
    ],
    "next_cursor": None,
    "items": [
        {
            **_PLACE,
            "market": WETH,
            "asset": "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
            "symbol": "WETH",
            "decimals": 18,
            "price": "3000.00000000",
            "value_currency": "USD",
            "price_updated_at": 1758931019,
            "price_age_seconds": 181,
            "supply_rate": "0.016200000000000000000000000",
            "borrow_rate": "0.023400000000000000000000000",
            "liquidation_threshold": "0.8300",
            "max_ltv": "0.8050",
            "total_supplied": None,
            "total_borrowed": None,
        }
    ],
}

STATUS: dict[str, Any] = {
    "as_of": AS_OF,
    "ready": True,
    "time": 1758931207,
    "chains": [
        {
            "chain_id": 1,
            "chain": "Ethereum",
            "ready": True,
            "head_number": 23456789,
            "head_timestamp": 1758931200,
            "safe_number": 23456740,
            "finalized_number": 23456708,
            "indexed_number": 23456789,
            "indexed_timestamp": 1758931200,
            "first_stored_number": 23400000,
            "blocks_behind": 0,
            "lag_seconds": 7,
            "observed_seconds_ago": 6,
            "pending_reads": 0,
            "unread_accounts": 0,
            "scan_remaining_blocks": 0,
            "stale": False,
            "stale_reason": None,
            "not_ready_reason": None,
            "troubled_deployments": [],
            "endpoints": [
                {
                    "number": 1,
                    "host": "node.example",
                    "health": "healthy",
                    "head_number": 23456789,
                    "lag_blocks": 0,
                    "error_share": "0.002",
                    "latency_ms": 84,
                    "trouble": None,
                    "range_blocks": 10000,
                    "chunk_calls": 500,
                    "observed_seconds_ago": 3,
                }
            ],
        }
    ],
}

READY: dict[str, Any] = {"ready": True, "reasons": []}
NOT_READY: dict[str, Any] = {
    "ready": False,
    "reasons": [{"chain_id": 1, "reason": "the indexer has been silent for 300 seconds"}],
}
HEALTH: dict[str, Any] = {"status": "ok"}

_TITLES = {
    400: "Not as it must be (RFC 9457)",
    401: "A key is needed (RFC 9457)",
    403: "The key does not allow it (RFC 9457)",
    404: "Not here (RFC 9457)",
    409: "Not as things are (RFC 9457)",
    410: "Too old (RFC 9457)",
    413: "Too large a body (RFC 9457)",
    422: "A parameter is not valid (RFC 9457)",
    429: "Too many at once (RFC 9457)",
    503: "Try again later (RFC 9457)",
}


def responses(
    example: dict[str, Any], *problems: int, unchanged: bool = True, status: int = 200
) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: its example, 304 (of what is read), and the problem statuses it can end with."""
    documented: dict[int | str, dict[str, Any]] = {status: {"content": {"application/json": {"example": example}}}}
    if unchanged and status == 200:
        documented[304] = {"description": "Unchanged since the ETag given in If-None-Match"}
    return documented | _problems(problems)


def deletion(*problems: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that deletes."""
    return {204: {"description": "It is gone"}, **_problems(problems)}


def text_responses(media_type: str, example: str, *problems: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that answers with text."""
    return {200: {"content": {media_type: {"example": example}}}, **_problems(problems)}


def _problems(statuses: tuple[int, ...]) -> dict[int | str, dict[str, Any]]:
    return {status: problem_response(status) for status in (*statuses, 503)}


def problem_response(status: int) -> dict[str, Any]:
    """How a problem is documented."""
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    return {"description": _TITLES[status], "content": {"application/problem+json": {"schema": schema}}}
