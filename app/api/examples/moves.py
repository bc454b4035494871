"""Examples of what an answer holds when it is asked for with `include`. Those of `examples.WALLET`."""

from __future__ import annotations

from typing import Any

_WETH = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"

MOVES: list[dict[str, Any]] = [
    {
        "kind": "group",
        "name": "eth",
        "markets": [_WETH],
        "symbols": ["WETH"],
        "measure_moves": False,
        "daily_sigma": "0.038000",
        "turns": [{"distance": "-0.196788000000000000", "turns_to": "liquidatable", "sigmas": "-5.77"}],
    }
]
BUFFER: dict[str, Any] = {
    "capacity": "2490.00000000",
    "requirement": "2000.00000000",
    "headroom": "490.00000000",
    "target_health_factor": "1.100000000000000000",
    "withdrawable": [{"market": _WETH, "symbol": "WETH", "amount": "0.116465863389521837", "value": "349.39759017"}],
}
EXPOSURE: dict[str, Any] = {
    "assets": [
        {
            "asset": "ETH",
            "group": "eth",
            "symbols": ["WETH"],
            "supplied": "1.000000000000000000",
            "borrowed": "0.000000000000000000",
            "perp_size": "0.000000000000000000",
            "net": "1.000000000000000000",
            "net_usd": "3000.00000000",
            "hedge": "-1.000000000000000000",
        }
    ],
    "groups": [{"group": "eth", "net_usd": "3000.00000000", "hedge_usd": "-3000.00000000"}],
    "left_out_accounts": 0,
    "unpriced_accounts": 0,
}
