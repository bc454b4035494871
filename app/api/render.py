"""From assessed values to answers: every integer becomes an exact decimal string, here and nowhere else."""

from __future__ import annotations

from typing import Literal

from app.api.addresses import to_checksum
from app.api.schemas import (
    AccountView,
    AsOf,
    LiquidationPriceView,
    NamedLiquidationPrice,
    PositionView,
    ReasonView,
    RemedyView,
    RestoreView,
    WalletTotals,
)
from app.domain.market import Deployment, ValueUnit
from app.domain.risk import LiquidationPrice, PositionRisk, Remedy, Restoration
from app.domain.units import format_units
from app.valuation import assess
from app.valuation.assess import AccountAssessment, StateAt
from app.valuation.distance import Horizon, TimeToLiquidation

WAD_DECIMALS = 18
RAY_DECIMALS = 27
BPS_DECIMALS = 4


def decimal(value: int | None, decimals: int) -> str | None:
    """`format_units`, with what is not known left null."""
    return None if value is None else format_units(value, decimals)


def totals_view(totals: assess.WalletTotals) -> WalletTotals:
    """The sums of a wallet."""
    net = None if totals.collateral is None or totals.debt is None else totals.collateral - totals.debt
    return WalletTotals(
        collateral_usd=decimal(totals.collateral, totals.decimals),
        debt_usd=decimal(totals.debt, totals.decimals),
        net_usd=decimal(net, totals.decimals),
        complete=not (totals.unknown_accounts or totals.other_currency_accounts),
        accounts=totals.accounts,
        unknown_accounts=totals.unknown_accounts,
        other_currency_accounts=totals.other_currency_accounts,
        worst_status=None if totals.worst_status is None else totals.worst_status.value,
        worst_health_factor=decimal(totals.worst_health_factor_wad, WAD_DECIMALS),
    )


def account_view(account: AccountAssessment, deployment: Deployment, as_of: AsOf) -> AccountView:
    """One account of a wallet."""
    risk, state = account.assessment, account.state
    unit = account.value_unit
    places = unit.decimals
    positions = [] if state is None else [_position(p, state, unit) for p in risk.positions]
    return AccountView(
        deployment_id=deployment.id,
        chain_id=deployment.chain_id,
        protocol=deployment.protocol,
        name=deployment.name,
        unit=account.key.unit,
        status=risk.status.value,
        reasons=[ReasonView(code=r.code, detail=r.detail, market=r.market) for r in risk.reasons],
        health_factor=decimal(risk.health_factor_wad, WAD_DECIMALS),
        collateral_value=decimal(risk.collateral_value, places),
        debt_value=decimal(risk.debt_value, places),
        available_borrows_value=decimal(risk.available_borrows_value, places),
        value_currency=unit.currency,
        liquidation_threshold=decimal(risk.liquidation_threshold_bps, BPS_DECIMALS),
        max_ltv=decimal(risk.max_ltv_bps, BPS_DECIMALS),
        utilization=decimal(risk.utilization_wad, WAD_DECIMALS),
        debt_to_collateral=decimal(risk.debt_to_collateral_wad, WAD_DECIMALS),
        seconds_to_liquidation=_time(account.time_to_liquidation),
        positions=positions,
        liquidation_prices=[] if state is None else _nearest_first(risk.positions, state, unit),
        restore=_restore(account.restoration, state, unit),
        read_at_block=account.read_at_block,
        as_of=as_of,
    )


def _time(time: TimeToLiquidation | None) -> int | Literal["never", "more_than_a_year"] | None:
    return time.value if isinstance(time, Horizon) else time


def _position(position: PositionRisk, state: StateAt, unit: ValueUnit) -> PositionView:
    market = state.market_by_code[position.market]
    places = unit.decimals
    quote = state.quote_by_code.get(position.market)
    updated_at = None if quote is None else quote.price_updated_at
    return PositionView(
        market=market.code,
        asset=to_checksum(market.asset),
        symbol=market.symbol,
        decimals=market.decimals,
        supplied=format_units(position.supplied_assets, market.decimals),
        borrowed=format_units(position.borrowed_assets, market.decimals),
        is_collateral=position.is_collateral,
        price=decimal(position.price, unit.price_decimals),
        price_updated_at=updated_at,
        price_age_seconds=price_age(updated_at, state),
        supplied_value=decimal(position.supplied_value, places),
        borrowed_value=decimal(position.borrowed_value, places),
        liquidation_threshold=format_units(position.liquidation_threshold_bps, BPS_DECIMALS),
        max_ltv=format_units(position.max_ltv_bps, BPS_DECIMALS),
        liquidation_price=None
        if position.liquidation_price is None
        else _liquidation_price(position.liquidation_price, unit.price_decimals),
    )


def price_age(updated_at: int | None, state: StateAt) -> int | None:
    """Seconds from the oracle's last move to the block."""
    return None if updated_at is None else max(0, state.block.timestamp - updated_at)


def _liquidation_price(found: LiquidationPrice, places: int) -> LiquidationPriceView:
    return LiquidationPriceView(
        direction=found.direction.value,
        price=format_units(found.price, places),
        distance=format_units(found.distance_wad, WAD_DECIMALS),
    )


def _nearest_first(positions: tuple[PositionRisk, ...], state: StateAt, unit: ValueUnit) -> list[NamedLiquidationPrice]:
    found = [(p, p.liquidation_price) for p in positions if p.liquidation_price is not None]
    found.sort(key=lambda pair: (abs(pair[1].distance_wad), pair[0].market))
    places = unit.price_decimals
    return [
        NamedLiquidationPrice(
            market=position.market,
            symbol=state.market_by_code[position.market].symbol,
            current_price=decimal(position.price, unit.price_decimals),
            **dict(_liquidation_price(price, places)),
        )
        for position, price in found
    ]


def _restore(restoration: Restoration | None, state: StateAt | None, unit: ValueUnit) -> RestoreView | None:
    if restoration is None or state is None:
        return None
    return RestoreView(
        target_health_factor=format_units(restoration.target_health_wad, WAD_DECIMALS),
        repay=[_remedy(remedy, state, unit) for remedy in restoration.repay],
        add_collateral=[_remedy(remedy, state, unit) for remedy in restoration.add_collateral],
    )


def _remedy(remedy: Remedy, state: StateAt, unit: ValueUnit) -> RemedyView:
    market = state.market_by_code[remedy.market]
    return RemedyView(
        market=market.code,
        symbol=market.symbol,
        amount=format_units(remedy.assets, market.decimals),
        value=format_units(remedy.value, unit.decimals),
    )
