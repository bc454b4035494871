"""Values in US dollars: of accounts counted in them, and of those counted in a token, by another market's oracle.

Shown beside an account's own values and never in their place: no verdict, ratio or distance is made with it. Nothing
is read for it and nothing guessed: the price is one that a lending deployment on the same chain stored at the same
block, found by the token's address. A symbol proves nothing, so a stablecoin is worth what an oracle says or nothing
that is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from app.domain.chain import Address
from app.domain.market import ValueUnit
from app.valuation.assess import AccountAssessment, StateAt

USD = "USD"


@dataclass(frozen=True, slots=True)
class UsdPrice:
    """What one whole token is worth, and by whom."""

    asset: Address
    price: int
    """USD of one whole token, with `decimals` decimals; above 0."""
    decimals: int
    deployment_id: str
    """Whose oracle says so."""
    market: str
    updated_at: int | None
    """When that oracle says it moved last; None where it does not say."""
    age_seconds: int | None
    """From then to the block, at least 0."""


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Why an account's values cannot be stated in USD, for people."""

    reason: str


Conversion: TypeAlias = UsdPrice | Unpriced


@dataclass(frozen=True, slots=True)
class UsdValues:
    """One account's values in USD with `decimals` decimals; None as in its assessment.

    Converted ones are rounded once, against the account: what it has is rounded down (a result below zero away from
    zero), debt and notional up.
    """

    decimals: int
    collateral: int | None
    debt: int | None
    equity: int | None
    notional: int | None
    unrealized_pnl: int | None


def counts_in_usd(unit: ValueUnit) -> bool:
    """Whether values are US dollars already: the currency itself, never a token that is named like it."""
    return unit.currency == USD and unit.asset is None


def price_in(state: StateAt, asset: Address) -> UsdPrice | None:
    """The token's price by this deployment's oracle: of the first market, in the protocol's own order, that is for the
    token and has a price. None where there is none, or where the deployment does not count in USD."""
    unit = state.state.value_unit("")
    if not counts_in_usd(unit):
        return None
    for market in state.market_by_code.values():
        quote = state.quote_by_code.get(market.code)
        if market.asset != asset or quote is None or not quote.price:
            continue
        updated_at = quote.price_updated_at
        age = None if updated_at is None else max(0, state.block.timestamp - updated_at)
        return UsdPrice(asset, quote.price, unit.price_decimals, state.deployment.id, market.code, updated_at, age)
    return None


def usd_values(account: AccountAssessment, price: UsdPrice | None) -> UsdValues | None:
    """The account's values in USD: as they are where they are counted in it, else by `price`; None without one."""
    risk, unit, margin = account.assessment, account.value_unit, account.assessment.margin
    equity = account.equity_value
    notional = None if margin is None else margin.notional_value
    profit = None if margin is None else margin.unrealized_pnl_value
    if counts_in_usd(unit):
        return UsdValues(unit.decimals, risk.collateral_value, risk.debt_value, equity, notional, profit)
    if price is None:
        return None
    whole = 10**unit.decimals

    def down(value: int | None) -> int | None:
        return None if value is None else value * price.price // whole

    def up(value: int | None) -> int | None:
        return None if value is None else -(-value * price.price // whole)

    return UsdValues(
        price.decimals, down(risk.collateral_value), up(risk.debt_value), down(equity), up(notional), down(profit)
    )
