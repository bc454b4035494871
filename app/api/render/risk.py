"""Market risk as views: sums over chains and deployments, floats to decimal strings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from app.api.frame.addresses import to_checksum
from app.api.frame.books import BookAt
from app.api.schemas.risk import (
    BandView,
    CascadeSumsView,
    ChainRiskView,
    ConcentrationView,
    CurveSumsView,
    DeploymentCurveView,
    DeploymentRiskView,
    HolderView,
    PoolView,
    RiskSumsView,
    StatusCountsView,
)
from app.domain.market import Deployment
from app.domain.specs import chain_spec
from app.valuation.market_risk import (
    Band,
    Cascade,
    CascadeSums,
    Concentration,
    CurveSums,
    DeploymentSummary,
    Holder,
    Impact,
    RiskCurve,
)

_RATIO_DECIMALS = 6


def usd(value: float) -> str:
    """To cents."""
    return f"{value:.2f}" if round(value, 2) else "0.00"


def ratio(value: float | None) -> str | None:
    """To millionths."""
    return None if value is None else f"{value:.{_RATIO_DECIMALS}f}"


@dataclass(slots=True)
class RiskTally:
    """Sums over deployments."""

    statuses: dict[str, int] = field(default_factory=lambda: dict.fromkeys(StatusCountsView.model_fields, 0))
    collateral: float = 0.0
    capacity: float = 0.0
    requirement: float = 0.0
    bad_debt: float = 0.0
    health: tuple[Band, ...] = ()
    utilizations: tuple[Band, ...] = ()

    def add_summary(self, one: DeploymentSummary) -> None:
        """Values and bands of one deployment."""
        self.collateral += one.sums.collateral
        self.capacity += one.sums.capacity
        self.requirement += one.sums.requirement
        self.bad_debt += one.sums.bad_debt
        self.health = _joined(self.health, one.health)
        self.utilizations = _joined(self.utilizations, one.utilization)

    def add_statuses(self, counts: Mapping[str, int]) -> None:
        """Accounts by verdict."""
        for status, count in counts.items():
            self.statuses[status] += count

    def fields(self) -> dict[str, object]:
        """What `RiskSumsView` is made of."""
        return {
            "accounts": StatusCountsView(**self.statuses),
            "collateral_usd": usd(self.collateral),
            "capacity_usd": usd(self.capacity),
            "requirement_usd": usd(self.requirement),
            "utilization": ratio(self.requirement / self.capacity if self.capacity > 0 else None),
            "bad_debt_usd": usd(self.bad_debt),
            "health": [_band(one) for one in self.health],
            "utilizations": [_band(one) for one in self.utilizations],
        }


def tallies(books: Sequence[tuple[BookAt, Mapping[str, DeploymentSummary]]]) -> dict[str, RiskTally]:
    """By deployment: values by floats, verdicts by the contracts' rules."""
    found: dict[str, RiskTally] = {}
    for book, summaries in books:
        for name, summary in summaries.items():
            if name not in book.reading.unvalued:
                found.setdefault(name, RiskTally()).add_summary(summary)
        for sums in book.sums:
            tally = found.setdefault(sums.ledger.deployment_id, RiskTally())
            tally.add_statuses({status.value: count for status, count in sums.counts.items()})
    return found


def total_of(parts: Iterable[RiskTally]) -> RiskSumsView:
    """Several deployments as one."""
    total = RiskTally()
    for part in parts:
        total.collateral += part.collateral
        total.capacity += part.capacity
        total.requirement += part.requirement
        total.bad_debt += part.bad_debt
        total.health = _joined(total.health, part.health)
        total.utilizations = _joined(total.utilizations, part.utilizations)
        total.add_statuses(part.statuses)
    return RiskSumsView.model_validate(total.fields())


def deployment_view(deployment: Deployment, kind: str, tally: RiskTally) -> DeploymentRiskView:
    """One deployment."""
    names = {"deployment_id": deployment.id, "chain_id": deployment.chain_id, "name": deployment.name, "kind": kind}
    return DeploymentRiskView.model_validate(names | tally.fields())


def chain_view(chain_id: int, lending: Iterable[RiskTally], perps: Iterable[RiskTally]) -> ChainRiskView:
    """One chain."""
    name = chain_spec(chain_id).name
    return ChainRiskView(chain_id=chain_id, chain=name, lending=total_of(lending), perps=total_of(perps))


def concentration_view(found: Concentration) -> ConcentrationView:
    """The largest debtors."""

    def holder(one: Holder) -> HolderView:
        return HolderView(
            wallet=to_checksum(one.wallet),
            deployment_id=None if one.account is None else one.account.deployment_id,
            unit=None if one.account is None else one.account.unit,
            debt_usd=usd(one.debt),
            share=f"{one.debt / found.debt:.{_RATIO_DECIMALS}f}",
        )

    return ConcentrationView(
        debt_usd=usd(found.debt),
        account_share=ratio(found.account_share),
        wallet_share=ratio(found.wallet_share),
        accounts=[holder(one) for one in found.accounts],
        wallets=[holder(one) for one in found.wallets],
    )


def curve_sums(parts: Sequence[CurveSums], moves: int) -> CurveSumsView:
    """Several curves over the same moves as one."""
    return CurveSumsView(
        accounts=[sum(part.accounts[at] for part in parts) for at in range(moves)],
        debt_usd=[usd(sum(part.debt[at] for part in parts)) for at in range(moves)],
        collateral_usd=[usd(sum(part.collateral[at] for part in parts)) for at in range(moves)],
        unconverted_accounts=[sum(part.unconverted[at] for part in parts) for at in range(moves)],
    )


def deployment_curves(
    curves: Iterable[RiskCurve], deployments: Mapping[str, Deployment], kinds: Mapping[str, str]
) -> list[DeploymentCurveView]:
    """Each deployment's part, by id."""
    return [
        DeploymentCurveView.model_validate(
            {"deployment_id": name, "chain_id": deployments[name].chain_id, "kind": kinds[name]}
            | curve_sums([sums], len(curve.moves)).model_dump()
        )
        for curve in curves
        for name, sums in curve.by_deployment.items()
    ]


def cascade_sums(sums: CascadeSums) -> CascadeSumsView:
    """Accounts below the line."""
    return CascadeSumsView(
        accounts=sums.accounts,
        perp_accounts=sums.perp_accounts,
        unconverted_accounts=sums.unconverted,
        debt_usd=usd(sums.debt),
        collateral_usd=usd(sums.collateral),
        bad_debt_usd=usd(sums.bad_debt),
    )


def pool_views(found: Cascade, impact: Impact) -> list[PoolView]:
    """Pools something is sold in, by name."""
    return [
        PoolView(
            pool=pool,
            depth_usd=usd(impact.depth_of(pool)),
            sold_usd=usd(sold),
            impact=f"{found.impact[pool]:.{_RATIO_DECIMALS}f}",
        )
        for pool, sold in sorted(found.sold_usd.items())
        if sold > 0
    ]


def _joined(one: Sequence[Band], other: Sequence[Band]) -> tuple[Band, ...]:
    if not one or not other:
        return tuple(one or other)
    return tuple(
        Band(a.above, a.below, a.accounts + b.accounts, a.requirement + b.requirement)
        for a, b in zip(one, other, strict=True)
    )


def _band(band: Band) -> BandView:
    return BandView(
        at_least=None if band.above is None else f"{band.above:g}",
        below=None if band.below is None else f"{band.below:g}",
        accounts=band.accounts,
        requirement_usd=usd(band.requirement),
    )
