"""What is asked of and answered by /v1/risk and the liquidation curves.

Every value here is a sum over many accounts by floats of the book: right to about nine digits, rounded to cents. Who
is liquidatable is counted by the contracts' exact rule wherever floats are near the line.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.api.schemas.base import AddressText, AsOf, DecimalText, Kind, View
from app.api.schemas.simulate import PriceMove
from app.api.schemas.wallets import TroubledDeployment

AmountText = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,30}(\.[0-9]{1,18})?$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class ExclusionsView(View):
    """Who is in no sum of an answer. Accounts found in the logs and not read yet are not even counted here: see
    `pending_reads` of /v1/status."""

    unknown_accounts: int = Field(description="Their state, a price or the deployment could not be read.")
    unconverted_accounts: int = Field(
        description="With debt, counted in a token no lending pool followed on their chain prices in US dollars: they "
        "are in the counts of accounts and in no sum of values."
    )
    outside_book_accounts: int = Field(description="Valued one by one only, never in sums and curves.")


class RiskView(View):
    """What every answer here begins with."""

    as_of: AsOf = Field(description="The least fresh of `chains`.")
    chains: list[AsOf]
    troubled_deployments: list[TroubledDeployment] = Field(
        description="Deployments whose accounts are all unknown at these blocks."
    )
    excluded: ExclusionsView


class StatusCountsView(View):
    """Accounts by the contracts' verdicts."""

    liquidatable: int
    unknown: int
    healthy: int
    no_debt: int


class BandView(View):
    """Accounts between two edges: `at_least` is inside, `below` is not; null: no edge on that side."""

    at_least: DecimalText | None
    below: DecimalText | None
    accounts: int
    requirement_usd: DecimalText


class RiskSumsView(View):
    """Sums in US dollars over known, convertible accounts."""

    accounts: StatusCountsView
    collateral_usd: DecimalText = Field(description="Perps: equity.")
    capacity_usd: DecimalText = Field(description="Collateral weighted by liquidation thresholds. Perps: equity.")
    requirement_usd: DecimalText = Field(description="Debt. Perps: maintenance margin.")
    utilization: DecimalText | None = Field(description="requirement / capacity; null without capacity.")
    bad_debt_usd: DecimalText = Field(description="Debt above collateral, account by account; 0 for perps.")
    health: list[BandView] = Field(description="Accounts that owe something, by health factor.")
    utilizations: list[BandView] = Field(description="The same by requirement / capacity.")


class DeploymentRiskView(RiskSumsView):
    """One deployment."""

    deployment_id: str
    chain_id: int
    name: str
    kind: Kind


class ChainRiskView(View):
    """One chain. Margin is no debt, so perps are apart."""

    chain_id: int
    chain: str
    lending: RiskSumsView
    perps: RiskSumsView


class HolderView(View):
    """One of the largest debtors."""

    wallet: AddressText
    deployment_id: str | None = Field(description="Null where the wallet as a whole is meant.")
    unit: str | None
    debt_usd: DecimalText
    share: DecimalText = Field(description="Of all debt.")


class ConcentrationView(View):
    """Lending only."""

    debt_usd: DecimalText
    account_share: DecimalText | None = Field(description="Part of it owed by `accounts` together.")
    wallet_share: DecimalText | None
    accounts: list[HolderView]
    wallets: list[HolderView]


class RiskSummaryView(RiskView):
    """Everybody followed, now."""

    lending: RiskSumsView
    perps: RiskSumsView
    concentration: ConcentrationView
    per_chain: list[ChainRiskView]
    deployments: list[DeploymentRiskView]


class CurveSumsView(View):
    """One number a move, in the order of `moves`: what would be liquidatable there, before any of it is sold."""

    accounts: list[int]
    debt_usd: list[DecimalText] = Field(description="What they owe. Perps: their maintenance margin.")
    collateral_usd: list[DecimalText] = Field(description="What they hold, at moved prices. Perps: their equity.")
    unconverted_accounts: list[int]


class DeploymentCurveView(CurveSumsView):
    """One deployment's part."""

    deployment_id: str
    chain_id: int
    kind: Kind


class CurveView(RiskView):
    """What moves together, and what falls."""

    moved: str = Field(description="A group, or the symbol of the token that moves alone.")
    asset: AddressText | None = Field(description="That token; null for a group.")
    moves: list[DecimalText] = Field(description="Ratios: -0.2 is a fall by 20 % of the price in US dollars.")
    lending: CurveSumsView
    perps: CurveSumsView
    deployments: list[DeploymentCurveView]


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImpactRequest(_Asked):
    """What sales do to prices."""

    depth_usd: dict[Name, AmountText] | None = Field(
        default=None,
        max_length=50,
        description="US dollars of sales that move prices by 1 %, by group, or by symbol of what is in no group; what "
        "is left out does not move. Null: the defaults, which are assumptions. {}: no impact, the plain curve.",
        examples=[{"eth": "50000000"}],
    )
    model: Literal["linear", "square_root"] = "linear"
    close_factor: AmountText = Field(default="0.5", description="Part of a debt that is repaid, above 0, at most 1.")
    bonus: AmountText = Field(default="0.05", description="What liquidators get on top, at most 1.")
    max_rounds: int = Field(default=100, ge=1, le=1000)


class RiskSimulationRequest(_Asked):
    """A move of prices, for everybody."""

    chain_id: int | None = Field(default=None, ge=1, lt=2**63)
    moves: list[PriceMove] = Field(default=[], max_length=50)
    impact: ImpactRequest = ImpactRequest()
    limit: int = Field(default=100, ge=0, le=10_000, description="How many of `fallen` and `recovered` to name.")


class CascadeSumsView(View):
    """Accounts the book sees below the line. Of perps only the count is known."""

    accounts: int
    perp_accounts: int
    unconverted_accounts: int
    debt_usd: DecimalText
    collateral_usd: DecimalText
    bad_debt_usd: DecimalText = Field(description="Debt above collateral of all lending accounts, account by account.")


class PoolView(View):
    """Where sales of one group (or of one symbol in no group) meet."""

    pool: str
    depth_usd: DecimalText
    sold_usd: DecimalText = Field(description="At present prices.")
    impact: DecimalText = Field(description="What the sales multiply its prices by, besides the move.")


class TurnedView(View):
    """An account whose verdict the move turns."""

    wallet: AddressText
    deployment_id: str
    unit: str


class RiskSimulationView(RiskView):
    """After the move: exactly who is liquidatable, and an estimate of what their liquidation does to others."""

    moves: list[PriceMove]
    liquidatable_now: int = Field(description="By the contracts' rules.")
    liquidatable_after: int = Field(
        description="After the move, before any sale: near the line by the contracts' rules."
    )
    undecided_accounts: int = Field(description="Near the line, where the exact rule could not say.")
    fallen_accounts: int = Field(description="Liquidatable after the move and not now.")
    fallen: list[TurnedView] = Field(description="By deployment and wallet, up to `limit`.")
    recovered_accounts: int = Field(description="Liquidatable now and not after the move.")
    recovered: list[TurnedView] = Field(description="By deployment and wallet, up to `limit`.")
    at_move: CascadeSumsView
    at_rest: CascadeSumsView = Field(description="An estimate by `model`: see docs/risk.md for what it leaves out.")
    model: str
    close_factor: DecimalText
    bonus: DecimalText
    rounds: int
    is_at_rest: bool = Field(description="False: ended by max_rounds, so this is less than where it would end.")
    pools: list[PoolView]
