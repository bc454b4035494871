"""One account of a wallet, as types: lending or perps, its numbers, distances and remedies."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.schemas.base import AddressText, AsOf, DecimalText, Kind, Status, View
from app.api.schemas.moves import BufferView, MoveView


class ReasonView(View):
    """Why a status is what it is. `code` is stable for programs, `detail` is for people."""

    code: str
    detail: str
    market: str | None = None


class LiquidationPriceView(View):
    """The price at which the verdict turns, all other prices unchanged: an oracle's, of a perp its mark price."""

    direction: Literal["fall", "rise"]
    price: DecimalText
    distance: DecimalText = Field(description="price / current price - 1: negative when the price has to fall.")


class NamedLiquidationPrice(LiquidationPriceView):
    """A liquidation price with the market it belongs to."""

    market: str
    symbol: str
    price_kind: Literal["oracle", "mark"] = Field(description="Which price has to move: a perp's is its mark price.")
    current_price: DecimalText | None


class PositionView(View):
    """What an account has lent, borrowed or posted as margin in one market."""

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


class PerpView(View):
    """One perp position. Values are in the account's `value_currency`."""

    market: str = Field(description="The market's code inside its deployment.")
    symbol: str
    decimals: int = Field(description="Of the size.")
    side: Literal["long", "short"] | None = Field(description="Null when the size is 0: a maker's share may net out.")
    size: DecimalText = Field(description="In whole units of the base asset, signed: below 0 is short.")
    entry_price: DecimalText | None = Field(description="Average; null where the protocol fixes none.")
    mark_price: DecimalText | None = Field(description="The price the protocol values the position at.")
    price_updated_at: int | None
    price_age_seconds: int | None = Field(description="Block timestamp minus price_updated_at, at least 0.")
    notional: DecimalText = Field(description="|size| at the mark price.")
    leverage: DecimalText | None = Field(
        description="notional / the account's equity, 18 decimals, rounded up; null when no equity is left."
    )
    unrealized_pnl: DecimalText = Field(description="Funding and fees apart.")
    pending_funding: DecimalText = Field(description="Since the last settlement: above 0 the account owes it.")
    pending_fee: DecimalText = Field(description="Earned as a maker, not collected yet; 0 for takers.")
    maintenance_margin: DecimalText = Field(description="The part of the notional that equity has to cover, a ratio.")
    liquidation_price: LiquidationPriceView | None = Field(
        description="Of the mark price; null when no mark price of this market alone turns the verdict."
    )


class MarginView(View):
    """A perp account as a whole. Values are in the account's `value_currency`."""

    equity: DecimalText = Field(description="Margin, results, funding and fees: the contract's account value.")
    requirement: DecimalText = Field(description="Maintenance margin: what equity is held against.")
    notional: DecimalText = Field(description="Sum over all positions: long and short do not cancel out.")
    unrealized_pnl: DecimalText
    pending_funding: DecimalText = Field(description="Above 0 the account owes it.")
    leverage: DecimalText | None = Field(description="notional / equity, 18 decimals, rounded up; null without equity.")


class UsdView(View):
    """An account's values in USD, where they are counted in a token: by another followed deployment's oracle.

    For people and sums only: the account's health never depends on it. What the account has is rounded down, debt and
    notional up.
    """

    price: DecimalText = Field(description="USD of one whole token of `value_currency`.")
    source_deployment_id: str = Field(description="Whose oracle says so, at the same block.")
    source_market: str
    price_updated_at: int | None = Field(description="When that oracle says it moved last; null where it does not say.")
    price_age_seconds: int | None
    collateral_value: DecimalText | None
    debt_value: DecimalText | None
    equity_value: DecimalText | None = Field(description="Perps only.")
    notional_value: DecimalText | None = Field(description="Perps only.")
    unrealized_pnl_value: DecimalText | None = Field(description="Perps only.")


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
    close: list[RemedyView] = Field(
        description="Perps: how much of a position to close at the mark price, fees and slippage apart."
    )


class AccountView(View):
    """One account: what is liquidated together. With status `unknown` every number is null and `reasons` say why."""

    deployment_id: str
    chain_id: int
    protocol: str
    name: str
    kind: Kind
    unit: str = Field(description="Empty for cross-collateral pools; a market id or position key elsewhere.")
    status: Status
    reasons: list[ReasonView]
    health_factor: DecimalText | None = Field(
        description="The contract's own, 18 decimals. Null without debt. Perps: equity / requirement, which may be "
        "below 0; null without a position."
    )
    collateral_value: DecimalText | None = Field(description="Perps: equity without unrealised profit.")
    debt_value: DecimalText | None = Field(description="Null for perps: what they owe is in `margin`.")
    available_borrows_value: DecimalText | None
    value_currency: str | None = Field(description="What values and prices are counted in. Null when not known.")
    usd: UsdView | None = Field(
        description="Null where values are in USD anyway, when unknown, and where nobody followed prices the token."
    )
    usd_missing_reason: str | None = Field(description="Why values that are not in USD have no `usd`.")
    liquidation_threshold: DecimalText | None = Field(description="The contract's weighted average, 4 decimals.")
    max_ltv: DecimalText | None
    utilization: DecimalText | None = Field(
        description="Requirement / capacity, 18 decimals, rounded up: 1 is the line. 0 without debt. Null when unknown "
        "and beyond any number: debt without capacity, a position without equity."
    )
    debt_to_collateral: DecimalText | None
    seconds_to_liquidation: int | Literal["never", "more_than_a_year"] | None = Field(
        description="By interest or funding alone, prices unchanged."
    )
    margin: MarginView | None = Field(description="Perps only; null when unknown.")
    positions: list[PositionView]
    perps: list[PerpView]
    liquidation_prices: list[NamedLiquidationPrice] = Field(description="Nearest first.")
    restore: RestoreView | None = Field(
        description="Null without debt or position, when unknown, and at or above the target."
    )
    moves: list[MoveView] | None = Field(
        default=None,
        description="Only with include=moves, nearest first; null without debt or position and when unknown.",
    )
    buffer: BufferView | None = Field(
        default=None, description="Only with include=buffers; null without debt or position and when unknown."
    )
    read_at_block: int | None = Field(description="Block of the account's last own change (or first reading).")
    as_of: AsOf
