"""A perp protocol that is all valuation and no contracts: what the read side is tested with.

One market, ETH, at a mark price; an account posts dollars and holds one position. It may be liquidated when its
equity is below `maintenance_bps` of its notional. A long pays `funding` per second and whole unit (a short gets it).
Values have 6 decimals, sizes 18.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from app.domain.account import AccountKey, AccountSnapshot, AccountState, LendingPosition, PerpPosition
from app.domain.chain import Address, Log, LogFilter, ReadPlan
from app.domain.market import Deployment, Market, MarketQuote, MarketRecord, ValueUnit
from app.domain.risk import (
    Direction,
    Health,
    LiquidationPrice,
    MarginRisk,
    PerpRisk,
    PositionRisk,
    Reason,
    Remedy,
    Restoration,
    RiskAssessment,
    RiskStatus,
)
from app.domain.units import BPS, WAD, div_truncated, mul_div_up
from app.protocols.base import Adapter, DeploymentState, PricedState, ProtocolKind, Touch, Truth
from tests.fakes.pond import PondAdapter

PERP_ETH = Market("", "0x" + "e7" * 20, Address(b"\xe7" * 20), "ETH", 18)
CASH = Market("", "0x" + "ca" * 20, Address(b"\xca" * 20), "USDC", 6)
LOT = 10**18
USD6 = 10**6


def tide_deployment(**overrides: object) -> Deployment:
    """The model exchange on the devnet's chain."""
    fields: dict[str, object] = {
        "id": "tide-devnet",
        "chain_id": 31337,
        "protocol": "tide",
        "name": "Tide (devnet)",
        "address": Address(b"\x71" * 20),
        "start_block": 1,
    }
    return Deployment(**{**fields, **overrides})  # type: ignore[arg-type]


def tide_markets(deployment_id: str = "tide-devnet") -> tuple[Market, ...]:
    """The perp, and the dollars that are posted."""
    return replace(PERP_ETH, deployment_id=deployment_id), replace(CASH, deployment_id=deployment_id)


def tide_records(
    deployment_id: str = "tide-devnet",
    *,
    mark: int | None = 3000 * USD6,
    updated_at: int | None = None,
    funding: int = 0,
    funded_at: int = 0,
    measure: Address | None = None,
) -> tuple[MarketRecord, ...]:
    """The exchange's whole state. `measure`: the token its values are counted in; None for USD."""
    token = None if measure is None else int.from_bytes(measure, "big")
    return (
        MarketRecord(deployment_id, "price", PERP_ETH.code, (mark, updated_at)),
        MarketRecord(deployment_id, "funding", PERP_ETH.code, (funding, funded_at)),
        MarketRecord(deployment_id, "measure", "", (token,)),
    )


def tide_account(
    wallet: Address,
    *,
    cash: int = 0,
    size: int = 0,
    entry: int = 3000 * USD6,
    block_number: int = 1,
    deployment_id: str = "tide-devnet",
    unit: str = "",
) -> AccountSnapshot:
    """An account by the dollars it posted (raw), its signed size and the price it took that on at."""
    held = (LendingPosition(CASH.code, cash, 0, True),) if cash else ()
    perps = (PerpPosition(PERP_ETH.code, size, -size * entry // LOT),) if size else ()
    return AccountSnapshot(AccountKey(deployment_id, wallet, unit), block_number, held, (), perps)


@dataclass(frozen=True, slots=True)
class TidePriced(PricedState):
    """Answers for accounts."""

    mark: int | None
    updated_at: int | None
    funding: int
    """Seconds' worth, per whole unit of size."""
    maintenance_bps: int = 625

    def health(self, snapshot: AccountSnapshot) -> Health:
        known = self.assess(snapshot)
        notional = None if known.margin is None else known.margin.notional_value
        return Health(
            known.status, known.health_factor_wad, known.collateral_value, None, known.utilization_wad, notional
        )

    def assess(self, snapshot: AccountSnapshot) -> RiskAssessment:
        cash = sum(p.supplied_raw for p in snapshot.positions)
        posted = tuple(
            PositionRisk(p.market, p.supplied_raw, 0, True, USD6, p.supplied_raw, 0, 0, 0, None)
            for p in snapshot.positions
        )
        if not snapshot.perps:
            margin = MarginRisk(cash, 0, 0, 0, 0, 0 if cash > 0 else None)
            return RiskAssessment(
                RiskStatus.NO_DEBT, (), collateral_value=cash, utilization_wad=0, positions=posted, margin=margin
            )
        if self.mark is None:
            missing = Reason("price_unavailable", "no mark price", PERP_ETH.code)
            return RiskAssessment(RiskStatus.UNKNOWN, (missing,))
        (held,) = snapshot.perps
        owed = held.size_raw * self.funding // LOT
        profit = held.size_raw * self.mark // LOT + held.entry_notional_raw
        equity, notional = cash + profit - owed, mul_div_up(abs(held.size_raw), self.mark, LOT)
        requirement = mul_div_up(notional, self.maintenance_bps, BPS)
        status = RiskStatus.LIQUIDATABLE if equity < requirement else RiskStatus.HEALTHY
        risk = PerpRisk(
            held.market,
            held.size_raw,
            abs(held.entry_notional_raw) * LOT // abs(held.size_raw),
            self.mark,
            notional,
            profit,
            owed,
            0,
            self.maintenance_bps,
            self._turn(snapshot),
        )
        return RiskAssessment(
            status,
            (),
            collateral_value=cash - owed,
            health_factor_wad=equity * WAD // requirement,
            utilization_wad=mul_div_up(requirement, WAD, equity) if equity > 0 else None,
            positions=posted,
            perps=(risk,),
            margin=MarginRisk(
                equity,
                requirement,
                notional,
                profit,
                owed,
                mul_div_up(notional, WAD, equity) if equity > 0 else None,
            ),
        )

    def _turn(self, snapshot: AccountSnapshot) -> LiquidationPrice:
        """By the formula on reals: cash - owed + size * (price - entry) = |size| * price * maintenance."""
        (held,) = snapshot.perps
        size, mark = held.size_raw, self.mark or 0
        fixed = sum(p.supplied_raw for p in snapshot.positions) - size * self.funding // LOT + held.entry_notional_raw
        price = max(0, -fixed * BPS * LOT // (size * BPS - abs(size) * self.maintenance_bps))
        direction = Direction.FALL if size > 0 else Direction.RISE
        return LiquidationPrice(held.market, direction, price, div_truncated((price - mark) * WAD, mark))

    def truth(self, snapshot: AccountSnapshot) -> Truth | None:
        return None

    def restoration(self, snapshot: AccountSnapshot, target_health_wad: int) -> Restoration:
        risk = self.assess(snapshot)
        if risk.margin is None or not risk.perps:
            return Restoration(target_health_wad, (), ())
        missing = max(0, mul_div_up(risk.margin.requirement_value, target_health_wad, WAD) - risk.margin.equity_value)
        value = mul_div_up(missing, BPS * WAD, self.maintenance_bps * target_health_wad)
        close = mul_div_up(value, LOT, self.mark or 1)
        can_close = close <= abs(risk.perps[0].size_raw)
        return Restoration(
            target_health_wad,
            (),
            (Remedy(CASH.code, missing, missing),),
            (Remedy(PERP_ETH.code, close, value),) if can_close else (),
        )

    def with_price(self, market: str, price: int) -> TidePriced:
        return replace(self, mark=price) if market == PERP_ETH.code else self

    def quotes(self) -> tuple[MarketQuote, ...]:
        return (MarketQuote(PERP_ETH.code, self.mark, self.updated_at), MarketQuote(CASH.code, USD6))


@dataclass(frozen=True, slots=True)
class TideState(DeploymentState):
    """The records, understood."""

    deployment: Deployment
    described: tuple[Market, ...]
    stored: tuple[MarketRecord, ...]
    value_currency = "USD"
    value_decimals = 6

    def value_unit(self, unit: str) -> ValueUnit:
        (token,) = self._values("measure")
        if token is None:
            return ValueUnit("USD", 6, 6)
        return ValueUnit("WAVE", 6, 6, Address(token.to_bytes(20, "big")))

    def markets(self) -> tuple[Market, ...]:
        return self.described

    def records(self) -> tuple[MarketRecord, ...]:
        return self.stored

    @property
    def confirmed_samples(self) -> int | None:
        return 5

    def at(self, timestamp: int, block_number: int) -> TidePriced:
        mark, updated_at = self._values("price")
        rate, since = self._values("funding")
        return TidePriced(mark, updated_at, (rate or 0) * (timestamp - (since or 0)) if rate else 0)

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

    def _values(self, kind: str) -> tuple[int | None, ...]:
        return next(record.values for record in self.stored if record.kind == kind)


class TideAdapter(Adapter):
    """The model's code."""

    slug = "tide"
    name = "Tide"
    kind = ProtocolKind.PERP
    account_fields = ()

    def deployments(self) -> Sequence[Deployment]:
        return ()

    def read_state(self, deployment: Deployment) -> ReadPlan[DeploymentState]:
        _not_indexed()

    def restore_state(
        self, deployment: Deployment, markets: Sequence[Market], records: Sequence[MarketRecord]
    ) -> DeploymentState:
        return TideState(deployment, tuple(markets), tuple(records))


def find_fake(slug: str) -> Adapter:
    """The adapter finder of a process that knows the pond and the tide."""
    return {"pond": PondAdapter, "tide": TideAdapter}[slug]()


def _not_indexed() -> NoReturn:
    raise AssertionError("the tide is valued, never indexed")
