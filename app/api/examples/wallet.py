"""The example of a wallet's answer: one account of lending, one of perps."""

from __future__ import annotations

from typing import Any

from app.api.examples.moves import BUFFER, EXPOSURE, MOVES

WALLET_ADDRESS = "0x8ba1f109551bD432803012645Ac136ddd64DBA72"
WETH = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"

AS_OF = {
    "chain_id": 1,
    "chain": "Ethereum",
    "block_number": 23456789,
    "block_hash": "0x" + "7c" * 32,
    "block_timestamp": 1758931200,
    "finality": "latest",
    "lag_seconds": 7,
    "stale": False,
    "stale_reason": None,
}

_WETH_PRICE = {"direction": "fall", "price": "2409.63855422", "distance": "-0.196787148593333333"}

_ACCOUNT = {
    "deployment_id": "aave-v3-ethereum",
    "chain_id": 1,
    "protocol": "aave-v3",
    "name": "Aave V3 Ethereum",
    "kind": "lending",
    "unit": "",
    "status": "healthy",
    "reasons": [],
    "health_factor": "1.245000000000000000",
    "collateral_value": "3000.00000000",
    "debt_value": "2000.00000000",
    "available_borrows_value": "415.00000000",
    "value_currency": "USD",
    "usd": None,
    "usd_missing_reason": None,
    "liquidation_threshold": "0.8300",
    "max_ltv": "0.8050",
    "utilization": "0.803212851405622490",
    "debt_to_collateral": "0.666666666666666667",
    "seconds_to_liquidation": "more_than_a_year",
    "margin": None,
    "positions": [
        {
            "market": WETH,
            "asset": "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
            "symbol": "WETH",
            "decimals": 18,
            "supplied": "1.000000000000000000",
            "borrowed": "0.000000000000000000",
            "is_collateral": True,
            "price": "3000.00000000",
            "price_updated_at": 1758931019,
            "price_age_seconds": 181,
            "supplied_value": "3000.00000000",
            "borrowed_value": "0.00000000",
            "liquidation_threshold": "0.8300",
            "max_ltv": "0.8050",
            "liquidation_price": _WETH_PRICE,
        }
    ],
    "perps": [],
    "liquidation_prices": [
        {
            **_WETH_PRICE,
            "market": WETH,
            "symbol": "WETH",
            "price_kind": "oracle",
            "current_price": "3000.00000000",
        }
    ],
    "restore": {
        "target_health_factor": "1.500000000000000000",
        "repay": [{"market": USDC, "symbol": "USDC", "amount": "340.000000", "value": "340.00000000"}],
        "add_collateral": [
            {"market": WETH, "symbol": "WETH", "amount": "0.204819277108433735", "value": "614.45783133"}
        ],
        "close": [],
    },
    "moves": MOVES,
    "buffer": BUFFER,
    "read_at_block": 23450001,
    "as_of": AS_OF,
}

_PERP_PRICE = {"direction": "fall", "price": "2755.20", "distance": "-0.081600000000000000"}

_PERP_ACCOUNT = {
    "deployment_id": "perp-curie-optimism",
    "chain_id": 1,
    "protocol": "perp-curie",
    "name": "Perpetual Protocol V2",
    "kind": "perp",
    "unit": "",
    "status": "healthy",
    "reasons": [],
    "health_factor": "2.234285714285714285",
    "collateral_value": "2346.00",
    "debt_value": None,
    "available_borrows_value": None,
    "value_currency": "USD",
    "usd": None,
    "usd_missing_reason": None,
    "liquidation_threshold": None,
    "max_ltv": None,
    "utilization": "0.447570332480818415",
    "debt_to_collateral": None,
    "seconds_to_liquidation": "never",
    "margin": {
        "equity": "1759.50",
        "requirement": "787.50",
        "notional": "12600.00",
        "unrealized_pnl": "-586.50",
        "pending_funding": "1.25",
        "leverage": "7.161125319693094630",
    },
    "positions": [],
    "perps": [
        {
            "market": WETH,
            "symbol": "vETH",
            "decimals": 18,
            "side": "long",
            "size": "4.200000000000000000",
            "entry_price": "3139.64",
            "mark_price": "3000.00",
            "price_updated_at": None,
            "price_age_seconds": None,
            "notional": "12600.00",
            "leverage": "7.161125319693094630",
            "unrealized_pnl": "-586.50",
            "pending_funding": "1.25",
            "pending_fee": "0.00",
            "maintenance_margin": "0.0625",
            "liquidation_price": _PERP_PRICE,
        }
    ],
    "liquidation_prices": [
        {**_PERP_PRICE, "market": WETH, "symbol": "vETH", "price_kind": "mark", "current_price": "3000.00"}
    ],
    "restore": None,
    "moves": None,
    "buffer": None,
    "read_at_block": 23450001,
    "as_of": AS_OF,
}

WALLET: dict[str, Any] = {
    "address": WALLET_ADDRESS,
    "as_of": AS_OF,
    "chains": [AS_OF],
    "troubled_deployments": [],
    "totals": {
        "collateral_usd": "3000.00000000",
        "debt_usd": "2000.00000000",
        "perp_equity_usd": "1759.50000000",
        "perp_notional_usd": "12600.00000000",
        "perp_unrealized_pnl_usd": "-586.50000000",
        "net_usd": "2759.50000000",
        "complete": True,
        "accounts": 2,
        "unknown_accounts": 0,
        "converted_accounts": 0,
        "other_currency_accounts": 0,
        "worst_status": "healthy",
        "worst_health_factor": "1.245000000000000000",
    },
    "accounts": [_ACCOUNT, _PERP_ACCOUNT],
    "exposure": EXPOSURE,
    "scan_remaining_blocks": 0,
}
