"""Perp positions and their margin as answers."""

from __future__ import annotations

from app.api.frame.decimals import BPS_DECIMALS, WAD_DECIMALS, decimal, liquidation_price_view, price_age
from app.api.schemas.account import MarginView, PerpView
from app.domain.market import ValueUnit
from app.domain.risk import MarginRisk, PerpRisk
from app.domain.units import format_units
from app.valuation.assess import StateAt
from app.valuation.margin import position_leverage_wad


def margin_view(margin: MarginRisk, decimals: int) -> MarginView:
    """A perp account as a whole; values have `decimals` decimals."""
    return MarginView(
        equity=format_units(margin.equity_value, decimals),
        requirement=format_units(margin.requirement_value, decimals),
        notional=format_units(margin.notional_value, decimals),
        unrealized_pnl=format_units(margin.unrealized_pnl_value, decimals),
        pending_funding=format_units(margin.pending_funding_value, decimals),
        leverage=decimal(margin.leverage_wad, WAD_DECIMALS),
    )


def perp_view(perp: PerpRisk, margin: MarginRisk | None, state: StateAt, unit: ValueUnit) -> PerpView:
    """One perp position."""
    market = state.market_by_code[perp.market]
    quote = state.quote_by_code.get(perp.market)
    updated_at = None if quote is None else quote.price_updated_at
    turn = perp.liquidation_price
    return PerpView(
        market=market.code,
        symbol=market.symbol,
        decimals=market.decimals,
        side="long" if perp.size_raw > 0 else "short" if perp.size_raw < 0 else None,
        size=format_units(perp.size_raw, market.decimals),
        entry_price=decimal(perp.entry_price, unit.price_decimals),
        mark_price=decimal(perp.mark_price, unit.price_decimals),
        price_updated_at=updated_at,
        price_age_seconds=price_age(updated_at, state),
        notional=format_units(perp.notional_value, unit.decimals),
        leverage=decimal(position_leverage_wad(perp, margin), WAD_DECIMALS),
        unrealized_pnl=format_units(perp.unrealized_pnl_value, unit.decimals),
        pending_funding=format_units(perp.pending_funding_value, unit.decimals),
        pending_fee=format_units(perp.pending_fee_value, unit.decimals),
        maintenance_margin=format_units(perp.maintenance_margin_bps, BPS_DECIMALS),
        liquidation_price=None if turn is None else liquidation_price_view(turn, unit),
    )
