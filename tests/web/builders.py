"""Hand-made answers for pages, each a sound one with overrides, and a source that hands them out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.api.examples.accuracy import ACCURACY
from app.api.frame.addresses import to_checksum
from app.api.schemas.account import AccountView, NamedLiquidationPrice, PositionView, ReasonView, RestoreView
from app.api.schemas.accuracy import AccuracyView
from app.api.schemas.base import AsOf
from app.api.schemas.risk import CurveView, RiskSimulationView, RiskSummaryView
from app.api.schemas.simulate import SimulationView
from app.api.schemas.tracking import TrackingView
from app.api.schemas.wallets import (
    AccountHistory,
    AccountsView,
    DeploymentsView,
    DeploymentView,
    HistoryPoint,
    HistoryView,
    RankedAccountView,
    StatusCounts,
    WalletTotals,
    WalletView,
)
from app.domain.chain import Address
from tests.web.market_builders import market_answers

WALLET = Address.from_hex("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
CHECKSUMMED = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
WETH = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
HASH = "0x" + "ab12" * 16


def as_of(**overrides: Any) -> AsOf:
    values = {
        "chain_id": 1,
        "chain": "Ethereum",
        "block_number": 23_456_789,
        "block_hash": HASH,
        "block_timestamp": 1_795_365_600,
        "finality": "latest",
        "lag_seconds": 7,
        "stale": False,
        "stale_reason": None,
    }
    return AsOf.model_validate(values | overrides)


def stale_as_of(**overrides: Any) -> AsOf:
    reason = "the newest indexed block is 431 seconds old; this chain's limit is 120"
    return as_of(**({"stale": True, "stale_reason": reason, "lag_seconds": 431} | overrides))


def unindexed_as_of(**overrides: Any) -> AsOf:
    nothing = dict.fromkeys(("block_number", "block_hash", "block_timestamp", "finality", "lag_seconds"))
    return stale_as_of(**(nothing | {"stale_reason": "nothing of this chain is indexed yet"} | overrides))


def weth_position(**overrides: Any) -> PositionView:
    values = {
        "market": WETH.lower(),
        "asset": WETH,
        "symbol": "WETH",
        "decimals": 18,
        "supplied": "4.250000000000000001",
        "borrowed": "0.000000000000000000",
        "is_collateral": True,
        "price": "2093.87120000",
        "price_updated_at": 1_795_365_480,
        "price_age_seconds": 120,
        "supplied_value": "8898.95260000",
        "borrowed_value": "0.00000000",
        "liquidation_threshold": "0.8300",
        "max_ltv": "0.8050",
        "liquidation_price": {"direction": "fall", "price": "1834.19230000", "distance": "-0.124018564274441341"},
    }
    return PositionView.model_validate(values | overrides)


def usdc_position(**overrides: Any) -> PositionView:
    values = {
        "market": USDC.lower(),
        "asset": USDC,
        "symbol": "USDC",
        "decimals": 6,
        "supplied": "0.000000",
        "borrowed": "6470.112233",
        "is_collateral": False,
        "price": "0.99998000",
        "price_updated_at": 1_795_330_000,
        "price_age_seconds": 35_600,
        "supplied_value": "0.00000000",
        "borrowed_value": "6469.98283076",
        "liquidation_threshold": "0.0000",
        "max_ltv": "0.0000",
        "liquidation_price": {"direction": "rise", "price": "1.14156000", "distance": "0.141582831656633132"},
    }
    return PositionView.model_validate(values | overrides)


def account(**overrides: Any) -> AccountView:
    weth, usdc = weth_position(), usdc_position()
    prices = [
        NamedLiquidationPrice(
            market=p.market,
            symbol=p.symbol,
            price_kind="oracle",
            current_price=p.price,
            direction=p.liquidation_price.direction,
            price=p.liquidation_price.price,
            distance=p.liquidation_price.distance,
        )
        for p in (weth, usdc)
        if p.liquidation_price
    ]
    values: dict[str, Any] = {
        "deployment_id": "aave-v3-ethereum",
        "chain_id": 1,
        "protocol": "aave-v3",
        "name": "Aave V3",
        "kind": "lending",
        "unit": "",
        "status": "healthy",
        "reasons": [],
        "health_factor": "1.141609712345678901",
        "collateral_value": "8898.95260000",
        "debt_value": "6469.98283076",
        "available_borrows_value": "693.67401224",
        "value_currency": "USD",
        "usd": None,
        "usd_missing_reason": None,
        "liquidation_threshold": "0.8300",
        "max_ltv": "0.8050",
        "utilization": "0.875956114872600132",
        "debt_to_collateral": "0.727049891344258110",
        "seconds_to_liquidation": 3_596_400,
        "margin": None,
        "positions": [weth, usdc],
        "perps": [],
        "liquidation_prices": prices,
        "restore": {
            "target_health_factor": "1.500000000000000000",
            "repay": [{"market": usdc.market, "symbol": "USDC", "amount": "1545.857121", "value": "1545.82620358"}],
            "add_collateral": [
                {"market": weth.market, "symbol": "WETH", "amount": "1.334208112233445566", "value": "2793.65999701"}
            ],
            "close": [],
        },
        "read_at_block": 23_440_112,
        "as_of": as_of(),
    }
    return AccountView.model_validate(values | overrides)


def liquidatable_account(**overrides: Any) -> AccountView:
    back = {"direction": "fall", "price": "2119.40110000", "distance": "0.012192630"}
    values = {
        "status": "liquidatable",
        "health_factor": "0.987954123456789012",
        "utilization": "1.012192634512345678",
        "available_borrows_value": "0.00000000",
        "seconds_to_liquidation": 0,
        "positions": [weth_position(liquidation_price=back), usdc_position(liquidation_price=None)],
        "liquidation_prices": [
            {"market": WETH.lower(), "symbol": "WETH", "price_kind": "oracle", "current_price": "2093.87120000"} | back
        ],
    }
    return account(**(values | overrides))


_NUMBERS = (
    "health_factor",
    "collateral_value",
    "debt_value",
    "available_borrows_value",
    "liquidation_threshold",
    "max_ltv",
    "utilization",
    "debt_to_collateral",
    "seconds_to_liquidation",
    "restore",
)


def unknown_account(**overrides: Any) -> AccountView:
    reason = ReasonView(code="price_unavailable", detail="the oracle gives no price for WETH", market=WETH.lower())
    nothing = dict.fromkeys(_NUMBERS)
    values = {"status": "unknown", "reasons": [reason], "positions": [], "liquidation_prices": []}
    return account(**(nothing | values | overrides))


def no_debt_account(**overrides: Any) -> AccountView:
    values = {
        "status": "no_debt",
        "health_factor": None,
        "debt_value": "0.00000000",
        "utilization": "0.000000000000000000",
        "debt_to_collateral": "0.000000000000000000",
        "seconds_to_liquidation": "never",
        "positions": [weth_position(liquidation_price=None)],
        "liquidation_prices": [],
        "restore": None,
    }
    return account(**(values | overrides))


def totals(accounts: list[AccountView], **overrides: Any) -> WalletTotals:
    known = [a for a in accounts if a.status != "unknown"]
    values: dict[str, Any] = {
        "collateral_usd": "8898.95260000" if known else None,
        "debt_usd": "6469.98283076" if known else None,
        "perp_equity_usd": "0.00000000",
        "perp_notional_usd": "0.00000000",
        "perp_unrealized_pnl_usd": "0.00000000",
        "net_usd": "2428.96976924" if known else None,
        "complete": len(known) == len(accounts),
        "accounts": len(accounts),
        "unknown_accounts": len(accounts) - len(known),
        "converted_accounts": 0,
        "other_currency_accounts": 0,
        "worst_status": accounts[0].status if accounts else None,
        "worst_health_factor": next((a.health_factor for a in accounts if a.health_factor), None),
    }
    return WalletTotals.model_validate(values | overrides)


def wallet(*accounts: AccountView, **overrides: Any) -> WalletView:
    chains = {a.chain_id: a.as_of for a in accounts} or {1: as_of()}
    values: dict[str, Any] = {
        "address": CHECKSUMMED,
        "as_of": max(chains.values(), key=lambda a: (a.stale, a.lag_seconds or 0)),
        "chains": list(chains.values()),
        "troubled_deployments": [],
        "totals": totals(list(accounts)),
        "accounts": list(accounts),
        "scan_remaining_blocks": 0,
    }
    return WalletView.model_validate(values | overrides)


def point(number: int, utilization: str | None, **overrides: Any) -> HistoryPoint:
    values = {
        "block_number": 23_456_000 + number,
        "block_timestamp": 1_795_356_000 + 12 * number,
        "status": "unknown" if utilization is None else "healthy",
        "health_factor": None,
        "utilization": utilization,
        "collateral_value": None,
        "debt_value": None,
        "notional_value": None,
        "is_change": False,
    }
    return HistoryPoint.model_validate(values | overrides)


def history(*points: HistoryPoint, **overrides: Any) -> HistoryView:
    values: dict[str, Any] = {
        "deployment_id": "aave-v3-ethereum",
        "chain_id": 1,
        "protocol": "aave-v3",
        "name": "Aave V3",
        "kind": "lending",
        "unit": "",
        "value_currency": "USD",
        "from_block": 23_456_000,
        "to_block": 23_456_789,
        "complete": True,
        "points": list(points),
    }
    account = AccountHistory.model_validate(values | overrides)
    return HistoryView(address=CHECKSUMMED, as_of=as_of(), chains=[as_of()], accounts=[account])


def ranked(**overrides: Any) -> RankedAccountView:
    values = {
        "wallet": CHECKSUMMED,
        "deployment_id": "aave-v3-ethereum",
        "chain_id": 1,
        "protocol": "aave-v3",
        "kind": "lending",
        "unit": "",
        "status": "healthy",
        "health_factor": "1.141609712345678901",
        "utilization": "0.875956114872600132",
        "collateral_value": "8898.95260000",
        "debt_value": "6469.98283076",
        "notional_value": None,
        "value_currency": "USD",
    }
    return RankedAccountView.model_validate(values | overrides)


def deployment(**overrides: Any) -> DeploymentView:
    values = {
        "id": "aave-v3-ethereum",
        "chain_id": 1,
        "protocol": "aave-v3",
        "name": "Aave V3",
        "address": "0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2",
        "start_block": 16_291_127,
        "value_currency": "USD",
        "rules": "confirmed",
        "rules_samples": 40,
        "scan_remaining_blocks": 0,
        "pending_reads": 0,
        "accounts": StatusCounts(liquidatable=2, unknown=1, healthy=48_112, no_debt=110_400),
        "as_of": as_of(),
    }
    return DeploymentView.model_validate(values | overrides)


@dataclass
class StubSource:
    """A `PageSource` with prepared answers; an exception as an answer is raised."""

    view: WalletView | Exception = field(default_factory=lambda: wallet(account()))
    past: HistoryView | Exception = field(default_factory=history)
    stresses: list[SimulationView] | Exception = field(default_factory=list)
    market: tuple[RiskSummaryView, CurveView, RiskSimulationView] | Exception = field(default_factory=market_answers)
    riskiest: list[RankedAccountView] | Exception = field(default_factory=lambda: [ranked()])
    deployments: list[DeploymentView] | Exception = field(default_factory=lambda: [deployment()])
    accuracy: AccuracyView | Exception = field(default_factory=lambda: AccuracyView.model_validate(ACCURACY))
    tracking: TrackingView | None = None
    asked: list[tuple[str, int | None, int | None]] = field(default_factory=list)

    async def load_wallet(self, wallet: Address, chain_id: int | None, block_number: int | None) -> WalletView:
        self.asked.append((str(wallet), chain_id, block_number))
        return _given(self.view).model_copy(update={"address": to_checksum(wallet)})

    async def load_stresses(
        self, wallet: Address, chain_id: int | None, block_number: int | None
    ) -> list[SimulationView]:
        return _given(self.stresses)

    async def load_history(self, wallet: Address, deployment_id: str) -> HistoryView:
        return _given(self.past)

    async def load_riskiest(self, limit: int) -> AccountsView:
        return AccountsView(
            as_of=as_of(),
            chains=[as_of()],
            troubled_deployments=[],
            items=_given(self.riskiest)[:limit],
            next_cursor=None,
        )

    async def track(self, wallet: Address, chain_id: int | None) -> TrackingView | None:
        return self.tracking

    async def load_accuracy(self) -> AccuracyView:
        return _given(self.accuracy)

    async def load_deployments(self) -> DeploymentsView:
        return DeploymentsView(as_of=as_of(), items=_given(self.deployments))

    async def load_risk_summary(self) -> RiskSummaryView:
        found: RiskSummaryView = _given(self.market)[0]
        return found

    async def load_group_curve(self, group: str) -> CurveView:
        found: CurveView = _given(self.market)[1]
        return found.model_copy(update={"moved": group})

    async def load_falls(self) -> list[RiskSimulationView]:
        return [_given(self.market)[2]]


def _given(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def healthy_restore(**overrides: Any) -> RestoreView:
    return RestoreView.model_validate(
        {"target_health_factor": "1.500000000000000000", "repay": [], "add_collateral": [], "close": []} | overrides
    )
