"""What an assessment says: verdict, exact numbers, distances, and what would restore safety."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class RiskStatus(StrEnum):
    """The verdict. It comes from the protocol's own rule, never from a ratio somebody compared."""

    NO_DEBT = "no_debt"
    """Nothing that could be liquidated: no debt, no open position."""
    HEALTHY = "healthy"
    LIQUIDATABLE = "liquidatable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a status is what it is, or what hampers it. `code` is stable for programs, `detail` is for people."""

    code: str
    """E.g. `price_unavailable`, `account_unreadable`, `rules_unconfirmed`, `liquidation_blocked`, `ltv_zero`."""
    detail: str
    market: str | None = None


class Direction(StrEnum):
    """The way a price has to move to endanger the account."""

    FALL = "fall"
    RISE = "rise"


@dataclass(frozen=True, slots=True)
class LiquidationPrice:
    """The oracle price of one asset, all others unchanged, at which the account's verdict turns.

    For FALL, `price` is the highest oracle price at or below which the account is liquidatable (one unit more
    is healthy); for RISE the lowest at or above which it is. Both in the oracle's own integer unit and both by
    the contract's exact rule. For an account that already is liquidatable, the price it must get back past.
    """

    market: str
    direction: Direction
    price: int
    distance_wad: int
    """price / current price - 1, WAD, rounded towards zero: negative = a fall, positive = a rise."""


class Health(NamedTuple):
    """The part of an assessment that ranks accounts. Exact integers, cheap enough for every account of a block:
    a named tuple, because making frozen dataclasses would take a third of that time."""

    status: RiskStatus
    health_factor_wad: int | None
    """The contract's own health factor; None without debt and when unknown."""
    collateral_value: int | None
    """As in `RiskAssessment`, as every number here; None when unknown."""
    debt_value: int | None
    utilization_wad: int | None = None
    """As in `RiskAssessment.utilization_wad`, equal to it to the last digit."""
    notional_value: int | None = None
    """As in `MarginRisk.notional_value`; None for lending."""


@dataclass(frozen=True, slots=True)
class PositionRisk:
    """One lending position in assets and in value. Amounts in the asset's own units, values in the deployment's."""

    market: str
    supplied_assets: int
    borrowed_assets: int
    is_collateral: bool
    price: int | None
    """Oracle price of one whole token; None when the oracle gives none."""
    supplied_value: int | None
    borrowed_value: int | None
    liquidation_threshold_bps: int
    """What applies to this account (eMode included); 0 for what is not collateral."""
    max_ltv_bps: int
    liquidation_price: LiquidationPrice | None
    """None when no price of this asset alone, others unchanged, turns the verdict."""


@dataclass(frozen=True, slots=True)
class PerpRisk:
    """One perp position. Sizes in the market's base asset, values in the deployment's unit, all signed."""

    market: str
    size_raw: int
    """Above 0 long, below 0 short, in the market's own decimals; a maker's share of his pool included."""
    entry_price: int | None
    """Average price the size was taken on at, rounded towards zero; None where the protocol does not fix one."""
    mark_price: int | None
    """The price the protocol values the position at; None when it gives none."""
    notional_value: int
    """|size| at the mark price, with the contract's own rounding."""
    unrealized_pnl_value: int
    """Value of the size minus what it cost, funding and fees apart."""
    pending_funding_value: int
    """Funding since the last settlement: above 0 the account owes it."""
    pending_fee_value: int
    """Fees earned as a maker and not collected yet; 0 for takers."""
    maintenance_margin_bps: int
    """What of the notional has to be covered by equity."""
    liquidation_price: LiquidationPrice | None
    """Of the mark price; None when no mark price of this market alone, others unchanged, turns the verdict."""


@dataclass(frozen=True, slots=True)
class MarginRisk:
    """What a perp account is as a whole. Values in the deployment's unit, with the contract's own rounding."""

    equity_value: int
    """The contract's account value: margin, realised and unrealised results, funding and fees. May be below 0."""
    requirement_value: int
    """Maintenance margin: liquidatable when equity is below it (whether strictly, the protocol decides)."""
    notional_value: int
    """Sum of |size| at mark over all markets: longs and shorts do not cancel out."""
    unrealized_pnl_value: int
    pending_funding_value: int
    """Above 0 the account owes it."""
    leverage_wad: int | None
    """Notional / equity, WAD, rounded up; None when equity is 0 or less."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """One action that alone brings the health factor to the target: repay, add or close this much."""

    market: str
    assets: int
    """Least amount in the asset's own units, rounded up, at this block's indices and prices."""
    value: int


@dataclass(frozen=True, slots=True)
class Restoration:
    """What would bring an account to `target_health_wad`. Empty tuples when nothing of that kind can."""

    target_health_wad: int
    repay: tuple[Remedy, ...]
    add_collateral: tuple[Remedy, ...]
    close: tuple[Remedy, ...] = ()
    """Perps: how much of a position to close at the mark price, fees and slippage apart; assets are |size|."""


@dataclass(frozen=True, slots=True)
class RiskAssessment:
    """Everything there is to say about one account at one block. Values in the deployment's base unit.

    With status UNKNOWN every number is None and `reasons` says what is missing: half-known is not shown as known.
    """

    status: RiskStatus
    reasons: tuple[Reason, ...]
    collateral_value: int | None = None
    """Perps: what is posted, realised results, funding and fees included: equity without unrealised profit."""
    debt_value: int | None = None
    """None for perps: what they owe is margin, see `margin`."""
    available_borrows_value: int | None = None
    liquidation_threshold_bps: int | None = None
    """The account's weighted average as its contract states it (Aave: truncated to whole bps)."""
    max_ltv_bps: int | None = None
    health_factor_wad: int | None = None
    """None without debt: never infinity, never a sentinel."""
    utilization_wad: int | None = None
    """Leverage utilisation = requirement / capacity (the untruncated 1 / health), WAD, rounded up. 0 without
    debt; None when there is debt and no capacity at all (beyond any number) or when unknown."""
    debt_to_collateral_wad: int | None = None
    """Debt / collateral value, WAD, rounded up; None when there is no collateral."""
    positions: tuple[PositionRisk, ...] = ()
    """What is lent, borrowed, or posted as margin."""
    perps: tuple[PerpRisk, ...] = ()
    margin: MarginRisk | None = None
    """Perps only; None for lending and when unknown."""
