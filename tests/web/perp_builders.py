"""Hand-made answers about perps, each a sound one with overrides."""

from __future__ import annotations

from typing import Any

from app.api.schemas.account import AccountView, PerpView
from app.api.schemas.wallets import TroubledDeployment
from tests.web import builders as b

VETH = "0x86f1e0420c26a858fc203a3645dd1a36868f18e5"
VBTC = "0x86f1e0420c26a858fc203a3645dd1a36868f18e6"


def eth_long(**overrides: Any) -> PerpView:
    values = {
        "market": VETH,
        "symbol": "ETH",
        "decimals": 18,
        "side": "long",
        "size": "4.200000000000000000",
        "entry_price": "3139.640000000000000000",
        "mark_price": "3000.120000000000000000",
        "price_updated_at": 1_795_365_480,
        "price_age_seconds": 120,
        "notional": "12600.504000000000000000",
        "leverage": "5.061234567890123457",
        "unrealized_pnl": "-585.984000000000000000",
        "pending_funding": "1.250000000000000001",
        "pending_fee": "0.000000000000000000",
        "maintenance_margin": "0.0625",
        "liquidation_price": {
            "direction": "fall",
            "price": "2750.110000000000000000",
            "distance": "-0.083333333333333333",
        },
    }
    return PerpView.model_validate(values | overrides)


def btc_short(**overrides: Any) -> PerpView:
    values = {
        "market": VBTC,
        "symbol": "BTC",
        "side": "short",
        "size": "-0.050000000000000000",
        "entry_price": "61200.000000000000000000",
        "mark_price": "60000.000000000000000000",
        "notional": "3000.000000000000000000",
        "leverage": "1.204987654321098766",
        "unrealized_pnl": "60.000000000000000000",
        "pending_funding": "-0.400000000000000000",
        "pending_fee": "3.141592653589793238",
        "liquidation_price": {
            "direction": "rise",
            "price": "91000.000000000000000000",
            "distance": "0.516666666666666666",
        },
    }
    return eth_long(**(values | overrides))


def perp_account(*legs: PerpView, **overrides: Any) -> AccountView:
    """A perp account with the legs given (the long in ETH when none is)."""
    held = legs or (eth_long(),)
    prices = [
        {
            "market": leg.market,
            "symbol": leg.symbol,
            "price_kind": "mark",
            "current_price": leg.mark_price,
            **leg.liquidation_price.model_dump(),
        }
        for leg in held
        if leg.liquidation_price
    ]
    close = {"market": VETH, "symbol": "ETH", "amount": "0.512345678901234568", "value": "1537.09"}
    values: dict[str, Any] = {
        "deployment_id": "perp-curie-optimism",
        "chain_id": 10,
        "protocol": "perp-curie",
        "name": "Perpetual Protocol V2",
        "kind": "perp",
        "health_factor": "3.161345712345678901",
        "collateral_value": "3075.600000000000000000",
        "debt_value": None,
        "available_borrows_value": None,
        "liquidation_threshold": None,
        "max_ltv": None,
        "utilization": "0.316320932145678902",
        "debt_to_collateral": None,
        "seconds_to_liquidation": "never",
        "margin": {
            "equity": "2489.616000000000000000",
            "requirement": "787.531500000000000000",
            "notional": "12600.504000000000000000",
            "unrealized_pnl": "-585.984000000000000000",
            "pending_funding": "1.250000000000000001",
            "leverage": "5.061234567890123457",
        },
        "positions": [
            b.usdc_position(
                supplied="3076.850000",
                borrowed="0.000000",
                supplied_value="3076.850000000000000000",
                borrowed_value="0.000000000000000000",
                is_collateral=True,
                liquidation_price=None,
            )
        ],
        "perps": list(held),
        "liquidation_prices": prices,
        "restore": {
            "target_health_factor": "4.000000000000000000",
            "repay": [],
            "add_collateral": [
                {"market": b.USDC.lower(), "symbol": "USDC", "amount": "660.510000", "value": "660.510000000000000000"}
            ],
            "close": [close],
        },
        "as_of": b.as_of(chain_id=10, chain="Optimism", block_number=140_000_123, lag_seconds=3),
    }
    return b.account(**(values | overrides))


def liquidatable_perp(**overrides: Any) -> AccountView:
    """Equity below the maintenance margin, but above zero."""
    back = {"direction": "fall", "price": "3050.000000000000000000", "distance": "0.016626001626"}
    values: dict[str, Any] = {
        "status": "liquidatable",
        "health_factor": "0.812345678901234567",
        "utilization": "1.231003141592653590",
        "seconds_to_liquidation": 0,
    }
    return perp_account(eth_long(leverage="19.697", liquidation_price=back), **(values | overrides))


def drowned_perp(**overrides: Any) -> AccountView:
    """No equity left: the health factor is below zero and utilisation beyond any number."""
    back = {"direction": "fall", "price": "3330.000000000000000000", "distance": "0.109955601775928962"}
    leg = eth_long(leverage=None, unrealized_pnl="-3585.984000000000000000", liquidation_price=back)
    margin = perp_account().margin
    assert margin is not None
    values = {
        "status": "liquidatable",
        "health_factor": "-0.646723456789012345",
        "utilization": None,
        "seconds_to_liquidation": 0,
        "margin": margin.model_copy(update={"equity": "-510.384000000000000000", "leverage": None}),
    }
    return perp_account(leg, **(values | overrides))


def idle_perp(**overrides: Any) -> AccountView:
    """Margin posted, nothing open."""
    values: dict[str, Any] = {
        "status": "no_debt",
        "health_factor": None,
        "utilization": "0.000000000000000000",
        "restore": None,
        "perps": [],
        "liquidation_prices": [],
    }
    return perp_account(**(values | overrides))


def converted_account(**overrides: Any) -> AccountView:
    """A lending account counted in WETH, with its values in USD beside."""
    usd = {
        "price": "2093.87120000",
        "source_deployment_id": "aave-v3-ethereum",
        "source_market": b.WETH.lower(),
        "price_updated_at": 1_795_365_480,
        "price_age_seconds": 120,
        "collateral_value": "18633.20000000",
        "debt_value": "13547.11000000",
        "equity_value": None,
        "notional_value": None,
        "unrealized_pnl_value": None,
    }
    return b.account(**({"name": "Compound V3 WETH", "value_currency": "WETH", "usd": usd} | overrides))


def trouble(**overrides: Any) -> TroubledDeployment:
    values = {
        "deployment_id": "spark-ethereum",
        "chain_id": 1,
        "name": "Spark",
        "trouble": "its addresses provider names another pool",
    }
    return TroubledDeployment.model_validate(values | overrides)
