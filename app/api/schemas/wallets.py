"""What the API answers, as types. The pages render these very models, so a number has one form everywhere."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.schemas.account import AccountView
from app.api.schemas.base import AddressText, AsOf, DecimalText, Kind, Status, View
from app.api.schemas.moves import ExposureView


class WalletTotals(View):
    """Sums over the accounts whose values are known in USD, converted ones among them, and what those sums leave out.

    A sum is null when there are accounts of its kind and none could be counted.
    """

    collateral_usd: DecimalText | None = Field(description="Of lending.")
    debt_usd: DecimalText | None = Field(description="Of lending.")
    perp_equity_usd: DecimalText | None = Field(description="Margin and unrealised profit of perps, fees and funding.")
    perp_notional_usd: DecimalText | None
    perp_unrealized_pnl_usd: DecimalText | None = Field(description="Part of perp_equity_usd.")
    net_usd: DecimalText | None = Field(description="Collateral - debt + perp equity, of all that could be counted.")
    complete: bool = Field(description="False when any account is left out of the sums.")
    accounts: int
    unknown_accounts: int = Field(description="Accounts whose numbers are not known: missing from the sums.")
    converted_accounts: int = Field(
        description="Accounts in the sums by way of their `usd`: by another oracle's price."
    )
    other_currency_accounts: int = Field(
        description="Accounts not counted in USD that nothing followed converts: missing from the sums."
    )
    worst_status: Status | None = Field(description="liquidatable, then unknown, healthy, no_debt. Null: no accounts.")
    worst_health_factor: DecimalText | None = Field(description="The lowest known one.")


class TroubledDeployment(View):
    """A deployment that is set aside because it refuses to be read: of its accounts nothing is known now."""

    deployment_id: str
    chain_id: int
    name: str
    trouble: str = Field(description="Why, for people.")


class WalletView(View):
    """Everything known of one wallet. A wallet nobody has seen has no accounts; that is not an error."""

    address: AddressText
    as_of: AsOf = Field(description="The least fresh of `chains`.")
    chains: list[AsOf] = Field(description="Every chain that was looked at.")
    troubled_deployments: list[TroubledDeployment] = Field(
        description="Those of these chains in which this wallet may have accounts, or others than are known."
    )
    totals: WalletTotals
    accounts: list[AccountView] = Field(description="Riskiest first.")
    exposure: ExposureView | None = Field(default=None, description="Only with include=exposure.")
    scan_remaining_blocks: int = Field(
        description="Old blocks of these chains still to be searched for accounts: while above 0, this wallet may have "
        "accounts that are not known yet."
    )


class HistoryPoint(View):
    """One account at one past block."""

    block_number: int
    block_timestamp: int
    status: Status
    health_factor: DecimalText | None
    utilization: DecimalText | None
    collateral_value: DecimalText | None = Field(description="Perps: equity without unrealised profit.")
    debt_value: DecimalText | None = Field(description="Null for perps.")
    notional_value: DecimalText | None = Field(description="Perps only.")
    is_change: bool = Field(description="The account's own state changed in this block: not the prices alone.")


class AccountHistory(View):
    """The past of one account, oldest point first."""

    deployment_id: str
    chain_id: int
    protocol: str
    name: str
    kind: Kind
    unit: str
    value_currency: str | None
    from_block: int
    to_block: int
    complete: bool = Field(description="False when the account changed oftener than `limit` can show.")
    points: list[HistoryPoint]


class HistoryView(View):
    """The past of one wallet."""

    address: AddressText
    as_of: AsOf = Field(description="The least fresh of `chains`.")
    chains: list[AsOf] = Field(description="Every chain that was looked at.")
    accounts: list[AccountHistory] = Field(description="By deployment.")


class RankedAccountView(View):
    """One line of the ranking."""

    wallet: AddressText
    deployment_id: str
    chain_id: int
    protocol: str
    kind: Kind
    unit: str
    status: Status
    health_factor: DecimalText | None
    utilization: DecimalText | None
    collateral_value: DecimalText | None = Field(description="Perps: equity without unrealised profit.")
    debt_value: DecimalText | None = Field(description="Null for perps.")
    notional_value: DecimalText | None = Field(description="Perps only.")
    value_currency: str | None


class AccountsView(View):
    """A page of the ranking, riskiest first. All pages of one listing are of the same blocks."""

    as_of: AsOf
    chains: list[AsOf]
    troubled_deployments: list[TroubledDeployment] = Field(description="All of their accounts are listed as unknown.")
    items: list[RankedAccountView]
    next_cursor: str | None = Field(description="Ask for the next page with it; null at the end.")


class StatusCounts(View):
    """How many accounts have which status."""

    liquidatable: int
    unknown: int = Field(description="Read, but not assessable; those not read yet are in `pending_reads`.")
    healthy: int
    no_debt: int


class DeploymentView(View):
    """One installation of a protocol on one chain."""

    id: str
    chain_id: int
    protocol: str = Field(description="/v1/protocols says what the answers about it are worth.")
    name: str
    address: AddressText
    start_block: int
    source: str | None = Field(None, description="Where address and start block are from; null: a deployments file.")
    value_currency: str | None
    rules: Literal["confirmed", "unconfirmed", "unknown"] = Field(
        description="confirmed: the rounding rules agreed with the contract on every account they were compared on; "
        "unconfirmed: never compared, or they differed (then every status is unknown); unknown: nothing indexed yet."
    )
    rules_samples: int | None = Field(description="Accounts the rules were compared on.")
    scan_remaining_blocks: int = Field(description="Old blocks still to be searched for accounts; 0 when done.")
    pending_reads: int = Field(description="Accounts known but not read yet.")
    accounts: StatusCounts | None = Field(description="Null until the first block is indexed.")
    as_of: AsOf


class DeploymentsView(View):
    """Every deployment that is followed."""

    as_of: AsOf | None = Field(description="Null when nothing is followed.")
    items: list[DeploymentView]


class MarketView(View):
    """One market of a deployment. Null is "not known"."""

    deployment_id: str
    chain_id: int
    protocol: str
    market: str
    asset: AddressText
    symbol: str
    decimals: int
    price: DecimalText | None
    value_currency: str | None
    price_updated_at: int | None
    price_age_seconds: int | None
    supply_rate: DecimalText | None = Field(description="A year, as a ratio, before compounding; 27 decimals.")
    borrow_rate: DecimalText | None
    liquidation_threshold: DecimalText | None
    max_ltv: DecimalText | None
    total_supplied: DecimalText | None
    total_borrowed: DecimalText | None


class MarketsView(View):
    """A page of markets, by deployment and then by code, each page at the newest block."""

    as_of: AsOf = Field(description="The least fresh of `chains`.")
    chains: list[AsOf] = Field(description="Every chain that was looked at.")
    troubled_deployments: list[TroubledDeployment] = Field(description="Their markets are left out.")
    items: list[MarketView]
    next_cursor: str | None = Field(description="Ask for the next page with it; null at the end.")
