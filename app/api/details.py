"""What a wallet's answer holds beside its accounts' state when it is asked for, with `include`.

Not part of every answer: joint moves alone cost more than all the rest of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from app.api.frame.decimals import WAD_DECIMALS, decimal
from app.api.frame.deps import ReadContext
from app.api.frame.problems import INVALID_PARAMETER, ApiProblem
from app.api.loaded import LoadedWallet
from app.api.price_history import PriceHistory, load_price_history
from app.api.schemas.moves import (
    AssetExposureView,
    BufferView,
    ExposureView,
    GroupExposureView,
    MoveView,
    TurnView,
    WithdrawableView,
)
from app.api.schemas.wallets import WalletView
from app.domain.account import AccountSnapshot
from app.domain.legs import Factor
from app.domain.risk import RiskStatus
from app.domain.units import WAD, format_units
from app.valuation.assess import AccountAssessment, StateAt
from app.valuation.buffers import Buffer, buffer_of
from app.valuation.exposure import Exposure, wallet_exposure
from app.valuation.groups import VOLATILE
from app.valuation.moves import JointMove, Turn, joint_moves
from app.valuation.volatility import DailySigma, basket_sigma, distance_in_sigmas

INCLUDABLE = ("moves", "buffers", "exposure")
_SIGMA_DIGITS = 6


def parse_include(text: str | None) -> frozenset[str]:
    """What to include, comma-separated.

    Raises:
        ApiProblem: anything that there is not.
    """
    wanted = frozenset(part.strip() for part in (text or "").split(",") if part.strip())
    if wanted - set(INCLUDABLE):
        raise ApiProblem(INVALID_PARAMETER, f"include: any of {', '.join(INCLUDABLE)}, comma-separated")
    return wanted


async def with_details(
    context: ReadContext, view: WalletView, loaded: LoadedWallet, include: frozenset[str], target_health_wad: int
) -> WalletView:
    """The wallet's answer with what `include` names. Not to be awaited in a session."""
    if not include:
        return view
    moves: dict[tuple[str, str], list[MoveView] | None] = {}
    buffers: dict[tuple[str, str], BufferView | None] = {}
    for snapshot, account in loaded.pairs:
        place = (account.key.deployment_id, account.key.unit)
        if snapshot is None or account.state is None or account.assessment.status is RiskStatus.UNKNOWN:
            continue
        if "moves" in include:
            moves[place] = await _moves(context, loaded, snapshot, account, account.state)
        if "buffers" in include:
            found = buffer_of(account.state.priced, snapshot, account.assessment, target_health_wad)
            buffers[place] = None if found is None else _buffer_view(found, account, account.state, target_health_wad)
    exposure = None
    if "exposure" in include:
        groups = context.options.groups
        exposure = _exposure_view(wallet_exposure([one for _, one in loaded.pairs], loaded.prices, groups))
    accounts = [
        account.model_copy(
            update={
                "moves": moves.get((account.deployment_id, account.unit)),
                "buffer": buffers.get((account.deployment_id, account.unit)),
            }
        )
        for account in view.accounts
    ]
    return view.model_copy(update={"accounts": accounts, "exposure": exposure})


async def _moves(
    context: ReadContext, loaded: LoadedWallet, snapshot: AccountSnapshot, account: AccountAssessment, state: StateAt
) -> list[MoveView] | None:
    block = loaded.directory.chains[state.deployment.chain_id].block
    assert block is not None

    async def make_factors() -> Mapping[str, Factor]:
        return {factor.name: factor for factor in state.priced.factors()}

    factors = await context.factors.get((state.deployment.id, block.id, bytes(block.ref.hash)), make_factors)
    found = joint_moves(
        state.priced,
        factors,
        snapshot,
        account.assessment,
        state.market_by_code,
        account.value_unit,
        context.options.groups,
    )
    if account.assessment.status not in (RiskStatus.HEALTHY, RiskStatus.LIQUIDATABLE):
        return None
    history = await load_price_history(context, state.deployment, block)
    views = [*_asset_moves(account, state, history), *(_joint(move, account, state, history) for move in found or ())]
    return sorted(views, key=_nearest)


def _nearest(view: MoveView) -> tuple[bool, float, str, str]:
    return (not view.turns, abs(float(view.turns[0].distance)) if view.turns else 0.0, view.kind, view.name)


def _asset_moves(account: AccountAssessment, state: StateAt, history: PriceHistory) -> Iterator[MoveView]:
    """The liquidation prices, as moves: distances to the oracle's last unit."""
    risk = account.assessment
    other = RiskStatus.HEALTHY if risk.status is RiskStatus.LIQUIDATABLE else RiskStatus.LIQUIDATABLE
    held = [p.liquidation_price for p in risk.positions] + [p.liquidation_price for p in risk.perps]
    for found in held:
        if found is None:
            continue
        sigma = basket_sigma(history, {found.market: 1.0}, state.block.timestamp)
        turn = _turn(Turn(WAD + found.distance_wad, other), sigma)
        symbol = state.market_by_code[found.market].symbol
        yield MoveView(
            kind="asset",
            name=symbol,
            markets=[found.market],
            symbols=[symbol],
            measure_moves=False,
            daily_sigma=_sigma(sigma),
            turns=[turn],
        )


def _joint(move: JointMove, account: AccountAssessment, state: StateAt, history: PriceHistory) -> MoveView:
    risk = account.assessment
    values = {p.market: (p.supplied_value or 0) + (p.borrowed_value or 0) for p in risk.positions}
    values |= {p.market: p.notional_value for p in risk.perps}
    weights = {market: float(values.get(market, 0)) for market in move.markets}
    sigma = None if move.measure_moves else basket_sigma(history, weights, state.block.timestamp)
    return MoveView(
        kind="volatile" if move.group == VOLATILE else "group",
        name=move.group,
        markets=list(move.markets),
        symbols=[state.market_by_code[market].symbol for market in move.markets],
        measure_moves=move.measure_moves,
        daily_sigma=_sigma(sigma),
        turns=[_turn(turn, sigma) for turn in move.turns],
    )


def _turn(turn: Turn, sigma: DailySigma | None) -> TurnView:
    multiplier = turn.multiplier_wad / WAD
    sigmas = None if sigma is None or multiplier <= 0 else distance_in_sigmas(multiplier, sigma)
    return TurnView(
        distance=format_units(turn.distance_wad, WAD_DECIMALS),
        turns_to=turn.turns_to.value,
        sigmas=None if sigmas is None or not math.isfinite(sigmas) else f"{sigmas:.2f}",
    )


def _sigma(sigma: DailySigma | None) -> str | None:
    return None if sigma is None else f"{sigma.sigma:.{_SIGMA_DIGITS}f}"


def _buffer_view(found: Buffer, account: AccountAssessment, state: StateAt, target_wad: int) -> BufferView:
    places = account.value_unit.decimals
    return BufferView(
        capacity=format_units(found.capacity_value, places),
        requirement=format_units(found.requirement_value, places),
        headroom=format_units(found.headroom_value, places),
        target_health_factor=format_units(target_wad, WAD_DECIMALS),
        withdrawable=[
            WithdrawableView(
                market=one.market,
                symbol=state.market_by_code[one.market].symbol,
                amount=format_units(one.assets, state.market_by_code[one.market].decimals),
                value=decimal(one.value, places),
            )
            for one in found.withdrawable
        ],
    )


def _exposure_view(found: Exposure) -> ExposureView:
    return ExposureView(
        assets=[
            AssetExposureView(
                asset=one.asset,
                group=one.group,
                symbols=list(one.symbols),
                supplied=format_units(one.supplied, one.decimals),
                borrowed=format_units(one.borrowed, one.decimals),
                perp_size=format_units(one.perp_size, one.decimals),
                net=format_units(one.net_amount, one.decimals),
                net_usd=decimal(one.net_value, found.decimals),
                hedge=format_units(one.hedge_amount, one.decimals),
            )
            for one in found.assets
        ],
        groups=[
            GroupExposureView(
                group=one.group,
                net_usd=decimal(one.net_value, found.decimals),
                hedge_usd=decimal(one.hedge_value, found.decimals),
            )
            for one in found.groups
        ],
        left_out_accounts=found.left_out_accounts,
        unpriced_accounts=found.unpriced_accounts,
    )
