"""The shapes of what the monitor keeps: the board, changes of status, the past of a deployment's totals."""

from __future__ import annotations

from pydantic import Field

from app.api.schemas.base import AddressText, AsOf, DecimalText, HashText, Kind, Status, View
from app.api.schemas.wallets import RankedAccountView, TroubledDeployment


class BoardLineView(RankedAccountView):
    """One line of the board."""

    exact: bool = Field(description="The contract's own rule was asked; false where an oracle or a read is silent.")


class BoardView(View):
    """The riskiest accounts at the newest blocks the monitor has valued."""

    as_of: AsOf = Field(description="The least fresh of `chains`.")
    chains: list[AsOf] = Field(description="Every chain that was looked at, at the block its board is of.")
    troubled_deployments: list[TroubledDeployment] = Field(description="Their accounts are unknown, and left out.")
    items: list[BoardLineView]


class StatusChangeView(View):
    """A verdict that turned between two blocks the monitor valued."""

    block_number: int
    block_hash: HashText
    block_timestamp: int
    wallet: AddressText
    deployment_id: str
    chain_id: int
    protocol: str
    kind: Kind
    unit: str
    from_status: Status | None = Field(description="Null for an account that was not known before.")
    to_status: Status
    health_factor: DecimalText | None = Field(description="After the change, exact; null where there is none.")


class StatusChangesView(View):
    """A page of changes of one chain, newest first."""

    as_of: AsOf = Field(description="The block the chain's board is of.")
    items: list[StatusChangeView]
    next_cursor: str | None = Field(description="Ask for the next page with it; null at the end.")


class TotalsPoint(View):
    """What the accounts came to. Sums are approximate: to draw, not to decide by."""

    block_number: int
    block_timestamp: int
    liquidatable: int
    unknown: int = Field(description="In no sum and in no band.")
    healthy: int
    no_debt: int
    bands: list[int] = Field(description="Indebted accounts by health factor, between `band_edges`.")
    collateral: DecimalText | None = Field(description="Perps: equity. Sums are null where they would mix tokens.")
    capacity: DecimalText | None = Field(description="Collateral weighted by liquidation threshold. Perps: equity.")
    requirement: DecimalText | None = Field(description="Debt. Perps: maintenance margin.")
    utilization: DecimalText | None = Field(description="Requirement / capacity; null without any capacity.")


class TotalsSeries(View):
    """The past of the accounts that are counted in one measure."""

    value_currency: str | None
    measure: str = Field(description="The currency, or the address of the token that is the measure.")
    points: list[TotalsPoint] = Field(description="Oldest first.")


class RiskHistoryView(View):
    """The past of one deployment's totals."""

    as_of: AsOf
    deployment_id: str
    chain_id: int
    band_edges: list[DecimalText]
    series: list[TotalsSeries]
