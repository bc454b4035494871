"""From assessed values to answers: every integer becomes an exact decimal string, here and nowhere else."""

from __future__ import annotations

from typing import Literal

from app.api.frame.addresses import to_checksum
from app.api.frame.decimals import BPS_DECIMALS, WAD_DECIMALS, decimal, liquidation_price_view, price_age
from app.api.render.perps import margin_view, perp_view
from app.api.schemas.account import (
    AccountView,
    NamedLiquidationPrice,
    PositionView,
    ReasonView,
    RemedyView,
    RestoreView,
    UsdView,
)
from app.api.schemas.base import AsOf
from app.api.schemas.wallets import WalletTotals
from app.domain.market import Deployment, ValueUnit
from app.domain.risk import LiquidationPrice, PerpRisk, PositionRisk, Remedy, Restoration, RiskAssessment
from app.domain.units import format_units
from app.valuation import totals
from app.valuation.assess import AccountAssessment, StateAt
from app.valuation.conversion import Conversion, Unpriced, UsdPrice, usd_values
from app.valuation.distance import Horizon, TimeToLiquidation


def totals_view(sums: totals.WalletTotals) -> WalletTotals:
    """The sums of a wallet."""

    def usd(value: int | None) -> str | None:
        return decimal(value, sums.decimals)

    return WalletTotals(
        collateral_usd=usd(sums.collateral),
        debt_usd=usd(sums.debt),
        perp_equity_usd=usd(sums.perp_equity),
        perp_notional_usd=usd(sums.perp_notional),
        perp_unrealized_pnl_usd=usd(sums.perp_unrealized_pnl),
        net_usd=usd(sums.net),
        complete=not (sums.unknown_accounts or sums.other_currency_accounts),
        accounts=sums.accounts,
        unknown_accounts=sums.unknown_accounts,
        converted_accounts=sums.converted_accounts,
        other_currency_accounts=sums.other_currency_accounts,
        worst_status=None if sums.worst_status is None else sums.worst_status.value,
        worst_health_factor=decimal(sums.worst_health_factor_wad, WAD_DECIMALS),
    )


def account_view(
    account: AccountAssessment, deployment: Deployment, as_of: AsOf, conversion: Conversion | None
) -> AccountView:
    """One account of a wallet."""
    risk, state = account.assessment, account.state
    unit = account.value_unit
    places = unit.decimals
    return AccountView(
        deployment_id=deployment.id,
        chain_id=deployment.chain_id,
        protocol=deployment.protocol,
        name=deployment.name,
        kind=account.kind.value,
        unit=account.key.unit,
        status=risk.status.value,
        reasons=[ReasonView(code=r.code, detail=r.detail, market=r.market) for r in risk.reasons],
        health_factor=decimal(risk.health_factor_wad, WAD_DECIMALS),
        collateral_value=decimal(risk.collateral_value, places),
        debt_value=decimal(risk.debt_value, places),
        available_borrows_value=decimal(risk.available_borrows_value, places),
        value_currency=unit.currency,
        usd=_usd(account, conversion) if isinstance(conversion, UsdPrice) else None,
        usd_missing_reason=conversion.reason if isinstance(conversion, Unpriced) else None,
        liquidation_threshold=decimal(risk.liquidation_threshold_bps, BPS_DECIMALS),
        max_ltv=decimal(risk.max_ltv_bps, BPS_DECIMALS),
        utilization=decimal(risk.utilization_wad, WAD_DECIMALS),
        debt_to_collateral=decimal(risk.debt_to_collateral_wad, WAD_DECIMALS),
        seconds_to_liquidation=_time(account.time_to_liquidation),
        margin=None if risk.margin is None else margin_view(risk.margin, places),
        positions=[] if state is None else [_position(p, state, unit) for p in risk.positions],
        perps=[] if state is None else [perp_view(p, risk.margin, state, unit) for p in risk.perps],
        liquidation_prices=[] if state is None else _nearest_first(risk, state, unit),
        restore=_restore(account.restoration, state, unit),
        read_at_block=account.read_at_block,
        as_of=as_of,
    )


def _usd(account: AccountAssessment, price: UsdPrice) -> UsdView | None:
    values = usd_values(account, price)
    if values is None:
        return None
    places = values.decimals
    return UsdView(
        price=format_units(price.price, price.decimals),
        source_deployment_id=price.deployment_id,
        source_market=price.market,
        price_updated_at=price.updated_at,
        price_age_seconds=price.age_seconds,
        collateral_value=decimal(values.collateral, places),
        debt_value=decimal(values.debt, places),
        equity_value=decimal(values.equity, places),
        notional_value=decimal(values.notional, places),
        unrealized_pnl_value=decimal(values.unrealized_pnl, places),
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
        else liquidation_price_view(position.liquidation_price, unit),
    )


def _nearest_first(risk: RiskAssessment, state: StateAt, unit: ValueUnit) -> list[NamedLiquidationPrice]:
    """Of lending and perps together: oracle and mark prices in one order."""
    legs: list[tuple[PositionRisk | PerpRisk, LiquidationPrice]] = [
        (leg, leg.liquidation_price)
        for legs_of_kind in (risk.positions, risk.perps)
        for leg in legs_of_kind
        if leg.liquidation_price is not None
    ]
    legs.sort(key=lambda pair: (abs(pair[1].distance_wad), pair[0].market))
    return [
        NamedLiquidationPrice(
            market=leg.market,
            symbol=state.market_by_code[leg.market].symbol,
            price_kind="mark" if isinstance(leg, PerpRisk) else "oracle",
            current_price=decimal(leg.mark_price if isinstance(leg, PerpRisk) else leg.price, unit.price_decimals),
            **dict(liquidation_price_view(price, unit)),
        )
        for leg, price in legs
    ]


def _restore(restoration: Restoration | None, state: StateAt | None, unit: ValueUnit) -> RestoreView | None:
    if restoration is None or state is None:
        return None
    return RestoreView(
        target_health_factor=format_units(restoration.target_health_wad, WAD_DECIMALS),
        repay=[_remedy(remedy, state, unit) for remedy in restoration.repay],
        add_collateral=[_remedy(remedy, state, unit) for remedy in restoration.add_collateral],
        close=[_remedy(remedy, state, unit) for remedy in restoration.close],
    )


def _remedy(remedy: Remedy, state: StateAt, unit: ValueUnit) -> RemedyView:
    market = state.market_by_code[remedy.market]
    return RemedyView(
        market=market.code,
        symbol=market.symbol,
        amount=format_units(remedy.assets, market.decimals),
        value=format_units(remedy.value, unit.decimals),
    )
