"""What the API answers, as types. The pages render these very models, so a number has one form everywhere.

Every amount, value, price and ratio is an exact decimal string (never a JSON number); null is "not known" or
"does not apply", as the field says, never zero. Addresses are EIP-55, times are unix seconds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

DecimalText = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"})]
"""An exact decimal number as text."""
AddressText = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"})]
HashText = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^0x[0-9a-f]{64}$"})]
Status = Literal["no_debt", "healthy", "liquidatable", "unknown"]
Finality = Literal["latest", "safe", "finalized"]


class View(BaseModel):
    """Base of every answer: immutable, and closed so that a misspelt field is an error where it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AsOf(View):
    """The block an answer is true at, and how old that is."""

    chain_id: int
    chain: str
    block_number: int | None = Field(description="Null when nothing of this chain is indexed yet.")
    block_hash: HashText | None
    block_timestamp: int | None
    finality: Finality | None = Field(description="What the chain last said of this block's height.")
    lag_seconds: int | None = Field(description="Clock time now minus the block's own timestamp, at least 0.")
    stale: bool = Field(description="The answer may no longer hold: see stale_reason.")
    stale_reason: str | None


class ReasonView(View):
    """Why a status is what it is. `code` is stable for programs, `detail` is for people."""

    code: str
    detail: str
    market: str | None = None


class LiquidationPriceView(View):
    """The oracle price at which the verdict turns, all other prices unchanged."""

    direction: Literal["fall", "rise"]
    price: DecimalText
    distance: DecimalText = Field(description="price / current price - 1: negative when the price has to fall.")


class NamedLiquidationPrice(LiquidationPriceView):
    """A liquidation price with the market it belongs to."""

    market: str
    symbol: str
    current_price: DecimalText | None


class PositionView(View):
    """What an account holds in one market."""

    market: str = Field(description="The market's code inside its deployment.")
    asset: AddressText
    symbol: str
    decimals: int
    supplied: DecimalText = Field(description="Whole tokens, interest included.")
    borrowed: DecimalText = Field(description="Whole tokens, interest included.")
    is_collateral: bool
    price: DecimalText | None = Field(description="The protocol's own oracle price of one whole token.")
    price_updated_at: int | None = Field(description="When the oracle says it moved last; null where it does not say.")
    price_age_seconds: int | None = Field(description="Block timestamp minus price_updated_at, at least 0.")
    supplied_value: DecimalText | None
    borrowed_value: DecimalText | None
    liquidation_threshold: DecimalText = Field(description="As it applies to this account, as a ratio.")
    max_ltv: DecimalText
    liquidation_price: LiquidationPriceView | None = Field(
        description="Null when no price of this asset alone turns the verdict."
    )


class RemedyView(View):
    """One action that alone reaches the target."""

    market: str
    symbol: str
    amount: DecimalText = Field(description="Least amount in whole tokens, rounded up.")
    value: DecimalText


class RestoreView(View):
    """What would bring the account to the target health factor; each entry alone is enough."""

    target_health_factor: DecimalText
    repay: list[RemedyView]
    add_collateral: list[RemedyView]


class AccountView(View):
    """One account: what is liquidated together. With status `unknown` every number is null and `reasons` say why."""

    deployment_id: str
    chain_id: int
    protocol: str
    name: str
    unit: str = Field(description="Empty for cross-collateral pools; a market id or position key elsewhere.")
    status: Status
    reasons: list[ReasonView]
    health_factor: DecimalText | None = Field(description="The contract's own, 18 decimals. Null without debt.")
    collateral_value: DecimalText | None
    debt_value: DecimalText | None
    available_borrows_value: DecimalText | None
    value_currency: str | None = Field(description="What values and prices are counted in. Null when not known.")
    liquidation_threshold: DecimalText | None = Field(description="The contract's weighted average, 4 decimals.")
    max_ltv: DecimalText | None
    utilization: DecimalText | None = Field(
        description="Requirement / capacity, 18 decimals, rounded up: 1 is the line. 0 without debt."
    )
    debt_to_collateral: DecimalText | None
    seconds_to_liquidation: int | Literal["never", "more_than_a_year"] | None = Field(
        description="By interest alone, prices unchanged."
    )
    positions: list[PositionView]
    liquidation_prices: list[NamedLiquidationPrice] = Field(description="Nearest first.")
    restore: RestoreView | None = Field(description="Null without debt, when unknown, and at or above the target.")
    read_at_block: int | None = Field(description="Block of the account's last own change (or first reading).")
    as_of: AsOf


class WalletTotals(View):
    """Sums over the accounts counted in USD whose numbers are known, and what those sums leave out."""

    collateral_usd: DecimalText | None = Field(description="Null when there are accounts and none could be counted.")
    debt_usd: DecimalText | None
    net_usd: DecimalText | None
    complete: bool = Field(description="False when any account is unknown or not counted in USD.")
    accounts: int
    unknown_accounts: int = Field(description="Accounts whose numbers are not known: missing from the sums.")
    other_currency_accounts: int = Field(description="Accounts whose values are not in USD: missing from the sums.")
    worst_status: Status | None = Field(description="liquidatable, then unknown, healthy, no_debt. Null: no accounts.")
    worst_health_factor: DecimalText | None = Field(description="The lowest known one.")


class WalletView(View):
    """Everything known of one wallet. A wallet nobody has seen has no accounts; that is not an error."""

    address: AddressText
    as_of: AsOf = Field(description="The least fresh of `chains`.")
    chains: list[AsOf] = Field(description="Every chain that was looked at.")
    totals: WalletTotals
    accounts: list[AccountView] = Field(description="Riskiest first.")
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
    collateral_value: DecimalText | None
    debt_value: DecimalText | None
    is_change: bool = Field(description="The account's own state changed in this block: not the prices alone.")


class AccountHistory(View):
    """The past of one account, oldest point first."""

    deployment_id: str
    chain_id: int
    protocol: str
    name: str
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
    unit: str
    status: Status
    health_factor: DecimalText | None
    utilization: DecimalText | None
    collateral_value: DecimalText | None
    debt_value: DecimalText | None
    value_currency: str | None


class AccountsView(View):
    """A page of the ranking, riskiest first. All pages of one listing are of the same blocks."""

    as_of: AsOf
    chains: list[AsOf]
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
    protocol: str
    name: str
    address: AddressText
    start_block: int
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
    """Markets, by deployment."""

    as_of: AsOf = Field(description="The least fresh of `chains`.")
    chains: list[AsOf] = Field(description="Every chain that was looked at.")
    items: list[MarketView]
