"""Integers as exact decimal strings, and the small parts that several answers share."""

from __future__ import annotations

from app.api.schemas.account import LiquidationPriceView
from app.domain.market import ValueUnit
from app.domain.risk import LiquidationPrice
from app.domain.units import format_units
from app.valuation.assess import StateAt

WAD_DECIMALS = 18
RAY_DECIMALS = 27
BPS_DECIMALS = 4


def decimal(value: int | None, decimals: int) -> str | None:
    """`format_units`, with what is not known left null."""
    return None if value is None else format_units(value, decimals)


def price_age(updated_at: int | None, state: StateAt) -> int | None:
    """Seconds from the oracle's last move to the block."""
    return None if updated_at is None else max(0, state.block.timestamp - updated_at)


def liquidation_price_view(found: LiquidationPrice, unit: ValueUnit) -> LiquidationPriceView:
    """One liquidation price."""
    return LiquidationPriceView(
        direction=found.direction.value,
        price=format_units(found.price, unit.price_decimals),
        distance=format_units(found.distance_wad, WAD_DECIMALS),
    )
