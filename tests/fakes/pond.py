"""A lending protocol that is all valuation and no contracts: what the read side is tested with.

One market is worth `price`; an account may be liquidated when debt value exceeds threshold-weighted collateral.
Market codes are lower-case addresses; every amount is raw = assets (no interest).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from app.domain.account import AccountKey, AccountSnapshot, AccountState, LendingPosition
from app.domain.chain import Address, Log, LogFilter, ReadPlan
from app.domain.market import Deployment, Market, MarketQuote, MarketRecord
from app.domain.risk import (
    Direction,
    Health,
    LiquidationPrice,
    PositionRisk,
    Reason,
    Remedy,
    Restoration,
    RiskAssessment,
    RiskStatus,
)
from app.domain.units import BPS, WAD, div_truncated, mul_div_up
from app.errors import Fatal
from app.protocols.base import Adapter, DeploymentState, PricedState, ProtocolKind, Touch, Truth

WETH = Market("", "0x" + "e0" * 20, Address(b"\xe0" * 20), "WETH", 18)
USDC = Market("", "0x" + "c0" * 20, Address(b"\xc0" * 20), "USDC", 6)
ETHER = 10**18
DOLLAR = 10**6
USD8 = 10**8


def pond_deployment(**overrides: object) -> Deployment:
    """The model pool on the devnet's chain."""
    fields: dict[str, object] = {
        "id": "pond-devnet",
        "chain_id": 31337,
        "protocol": "pond",
        "name": "Pond (devnet)",
        "address": Address(b"\x90" * 20),
        "start_block": 1,
    }
    return Deployment(**{**fields, **overrides})  # type: ignore[arg-type]


def pond_markets(deployment_id: str = "pond-devnet") -> tuple[Market, ...]:
    """WETH (18 decimals) and USDC (6)."""
    return replace(WETH, deployment_id=deployment_id), replace(USDC, deployment_id=deployment_id)


def pond_records(
    deployment_id: str = "pond-devnet",
    *,
    weth: int | None = 3000 * USD8,
    usdc: int | None = USD8,
    updated_at: int | None = None,
    threshold_bps: int = 8000,
    in_usd: bool = True,
    samples: int | None = 5,
) -> tuple[MarketRecord, ...]:
    """The pool's whole state."""
    return (
        MarketRecord(deployment_id, "price", WETH.code, (weth, updated_at)),
        MarketRecord(deployment_id, "price", USDC.code, (usdc, updated_at)),
        MarketRecord(deployment_id, "pool", "", (threshold_bps, int(in_usd), samples)),
    )


def pond_account(
    wallet: Address,
    *,
    block_number: int = 1,
    weth: int = 0,
    usdc: int = 0,
    weth_debt: int = 0,
    usdc_debt: int = 0,
    deployment_id: str = "pond-devnet",
    unit: str = "",
) -> AccountSnapshot:
    """An account by what it supplies and owes, raw."""
    held = (
        LendingPosition(WETH.code, weth, weth_debt, weth > 0),
        LendingPosition(USDC.code, usdc, usdc_debt, usdc > 0),
    )
    positions = tuple(sorted((p for p in held if not p.is_empty), key=lambda p: p.market))
    return AccountSnapshot(AccountKey(deployment_id, wallet, unit), block_number, positions, (0,))


@dataclass(frozen=True, slots=True)
class PondPriced(PricedState):
    """Answers for accounts. There is no interest, so time does not matter."""

    prices: Mapping[str, tuple[int | None, int | None]]
    decimals: Mapping[str, int]
    threshold_bps: int

    def health(self, snapshot: AccountSnapshot) -> Health:
        values = [self._values(p) for p in snapshot.positions]
        known = [v for v in values if v is not None]
        collateral, debt = sum(v[0] for v in known), sum(v[1] for v in known)
        if len(known) < len(values):
            return Health(RiskStatus.UNKNOWN, None, None, None)
        if not debt:
            return Health(RiskStatus.NO_DEBT, None, collateral, 0, 0)
        capacity = collateral * self.threshold_bps
        factor = capacity * WAD // (debt * BPS)
        status = RiskStatus.LIQUIDATABLE if factor < WAD else RiskStatus.HEALTHY
        used = mul_div_up(debt * BPS, WAD, capacity) if capacity else None
        return Health(status, factor, collateral, debt, used)

    def assess(self, snapshot: AccountSnapshot) -> RiskAssessment:
        health = self.health(snapshot)
        if health.status is RiskStatus.UNKNOWN:
            missing = next(p.market for p in snapshot.positions if self.prices[p.market][0] is None)
            return RiskAssessment(health.status, (Reason("price_unavailable", "the oracle gives no price", missing),))
        collateral, debt = health.collateral_value or 0, health.debt_value or 0
        return RiskAssessment(
            health.status,
            (),
            collateral_value=collateral,
            debt_value=debt,
            available_borrows_value=max(0, collateral * 7500 // BPS - debt),
            liquidation_threshold_bps=self.threshold_bps if collateral else 0,
            max_ltv_bps=7500 if collateral else 0,
            health_factor_wad=health.health_factor_wad,
            utilization_wad=health.utilization_wad,
            debt_to_collateral_wad=mul_div_up(debt, WAD, collateral) if collateral else None,
            positions=tuple(self._position(p, collateral, debt) for p in snapshot.positions),
        )

    def truth(self, snapshot: AccountSnapshot) -> Truth | None:
        health = self.health(snapshot)
        return health.collateral_value or 0, health.debt_value or 0

    def restoration(self, snapshot: AccountSnapshot, target_health_wad: int) -> Restoration:
        health = self.health(snapshot)
        aim = (health.collateral_value or 0) * self.threshold_bps * WAD // (target_health_wad * BPS)
        value = max(0, (health.debt_value or 0) - aim)
        repay = tuple(
            Remedy(p.market, min(p.borrowed_raw, self._assets(p.market, value)), value)
            for p in snapshot.positions
            if p.borrowed_raw
        )
        return Restoration(target_health_wad, repay, ())

    def with_price(self, market: str, price: int) -> PondPriced:
        return replace(self, prices={**self.prices, market: (price, self.prices[market][1])})

    def quotes(self) -> tuple[MarketQuote, ...]:
        return tuple(MarketQuote(code, price, updated_at) for code, (price, updated_at) in self.prices.items())

    def _values(self, position: LendingPosition) -> tuple[int, int] | None:
        price = self.prices[position.market][0]
        if price is None:
            return None
        unit = 10 ** self.decimals[position.market]
        return position.supplied_raw * price // unit, mul_div_up(position.borrowed_raw, price, unit)

    def _assets(self, market: str, value: int) -> int:
        return mul_div_up(value, 10 ** self.decimals[market], self.prices[market][0] or 1)

    def _position(self, position: LendingPosition, collateral: int, debt: int) -> PositionRisk:
        supplied, borrowed = self._values(position) or (0, 0)
        price = self.prices[position.market][0]
        turn = None
        if price and supplied and debt and supplied == collateral:
            at = mul_div_up(
                debt * BPS, 10 ** self.decimals[position.market], self.threshold_bps * position.supplied_raw
            )
            turn = LiquidationPrice(position.market, Direction.FALL, at, div_truncated((at - price) * WAD, price))
        return PositionRisk(
            position.market,
            position.supplied_raw,
            position.borrowed_raw,
            position.is_collateral,
            price,
            supplied,
            borrowed,
            self.threshold_bps if position.is_collateral else 0,
            7500 if position.is_collateral else 0,
            turn,
        )


@dataclass(frozen=True, slots=True)
class PondState(DeploymentState):
    """The records, understood."""

    deployment: Deployment
    described: tuple[Market, ...]
    stored: tuple[MarketRecord, ...]
    value_currency: str = "USD"
    value_decimals = 8

    def markets(self) -> tuple[Market, ...]:
        return self.described

    def records(self) -> tuple[MarketRecord, ...]:
        return self.stored

    @property
    def confirmed_samples(self) -> int | None:
        return next(r.values[2] for r in self.stored if r.kind == "pool")

    def at(self, timestamp: int, block_number: int) -> PondPriced:
        prices = {r.subject: (r.values[0], r.values[1]) for r in self.stored if r.kind == "price"}
        threshold = next(r.values[0] for r in self.stored if r.kind == "pool")
        return PondPriced(prices, {m.code: m.decimals for m in self.described}, threshold or 0)

    def candidates(self) -> tuple[DeploymentState, ...]:
        return (self,)

    def confirmed(self, *, samples: int, matches: int) -> DeploymentState:
        return self

    def log_filter(self) -> LogFilter:
        _not_indexed()

    def touched(self, log: Log) -> tuple[Touch, ...]:
        _not_indexed()

    def read_next(self, *, full: bool) -> ReadPlan[DeploymentState]:
        _not_indexed()

    def read_account(self, key: AccountKey, block_number: int, markets: frozenset[str]) -> ReadPlan[AccountState]:
        _not_indexed()

    def read_truth(self, key: AccountKey) -> ReadPlan[Truth | None]:
        _not_indexed()


class PondAdapter(Adapter):
    """The model's code."""

    slug = "pond"
    name = "Pond"
    kind = ProtocolKind.LENDING
    account_fields = ("mode",)

    def deployments(self) -> Sequence[Deployment]:
        return ()

    def read_state(self, deployment: Deployment) -> ReadPlan[DeploymentState]:
        _not_indexed()

    def restore_state(
        self, deployment: Deployment, markets: Sequence[Market], records: Sequence[MarketRecord]
    ) -> DeploymentState:
        pool = next((r for r in records if r.kind == "pool"), None)
        if pool is None:
            raise Fatal(f"{deployment.id}: no pool record")
        return PondState(deployment, tuple(markets), tuple(records), "USD" if pool.values[1] else "ETH")


def find_pond(slug: str) -> Adapter:
    """The adapter finder of a process that knows this protocol only."""
    assert slug == "pond"
    return PondAdapter()


def _not_indexed() -> NoReturn:
    raise AssertionError("the pond is valued, never indexed")
