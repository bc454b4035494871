"""POST /v1/simulate: one wallet under price moves and with other amounts, by the exact rule. Read only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Body
from starlette.responses import Response

from app.api.examples.common import responses
from app.api.examples.simulate import SIMULATION
from app.api.frame.addresses import to_checksum
from app.api.frame.decimals import WAD_DECIMALS, decimal
from app.api.frame.deps import ReadContext
from app.api.frame.freshness import least_fresh
from app.api.frame.problems import INVALID_PARAMETER, ApiProblem
from app.api.loaded import LoadedWallet
from app.api.render.wallets import totals_view
from app.api.schemas.account import ReasonView
from app.api.schemas.simulate import (
    AccountChange,
    MovedPrice,
    PriceMove,
    SimulatedAccount,
    SimulatedSide,
    SimulationRequest,
    SimulationView,
)
from app.api.wallets import Context, load_wallet_state, one_chain, wallet_of
from app.domain.account import AccountKey, AccountSnapshot
from app.domain.chain import Address
from app.domain.market import Market
from app.domain.risk import RiskAssessment
from app.domain.units import WAD, format_units, parse_units
from app.errors import Refused
from app.valuation.assess import AccountAssessment, risk_order
from app.valuation.groups import AssetGroups
from app.valuation.shocks import Shock
from app.valuation.stress import StressedAccount, stress_wallet
from app.valuation.what_if import Action, AmountChange, Change, CollateralChange, changed

router = APIRouter(tags=["wallets"])

STRESSES: Sequence[tuple[PriceMove, ...]] = (
    (PriceMove(group="eth", change="-0.2"),),
    (PriceMove(group="btc", change="-0.2"),),
    (PriceMove(group="volatile", change="-0.3"),),
    (PriceMove(group="stable", change="-0.02"),),
)
"""What the page shows of every wallet."""


@router.post(
    "/v1/simulate",
    response_model=SimulationView,
    responses=responses(SIMULATION, 400, 404, 422, unchanged=False),
    summary="One wallet under price moves and with other amounts",
)
async def post_simulate(context: Context, asked: Annotated[SimulationRequest, Body()]) -> Response:
    """Every account of the wallet before and after, by its protocol's own exact rule. Amounts change first, then
    prices move; rates and everything else stay. Nothing is stored."""
    wallet = wallet_of(asked.address)
    chain_id = one_chain(wallet, asked.chain_id)
    loaded = await load_wallet_state(context, wallet.address, chain_id, asked.block_number)
    view = simulate(loaded, asked.moves, asked.changes, context.options.groups)
    return Response(view.model_dump_json(), headers={"Cache-Control": "no-store"}, media_type="application/json")


async def load_stresses(
    context: ReadContext, address: Address, chain_id: int | None = None, block_number: int | None = None
) -> list[SimulationView]:
    """The wallet under each of the fixed stresses, all at the same blocks. Raises what `load_wallet_state` raises."""
    loaded = await load_wallet_state(context, address, chain_id, block_number)
    return [simulate(loaded, moves, (), context.options.groups) for moves in STRESSES]


def simulate(
    loaded: LoadedWallet, moves: Sequence[PriceMove], changes: Sequence[AccountChange], groups: AssetGroups
) -> SimulationView:
    """What the wallet would be.

    Raises:
        ApiProblem: a move or change that cannot be.
    """
    shock = shock_of(moves, groups)
    found = stress_wallet(loaded.pairs, loaded.prices, shock, groups, _changed(loaded, changes))
    account_of = {account.key: account for account in loaded.assessed}
    lines = sorted(
        found.accounts, key=lambda line: (*risk_order(line.after.status, line.after.health_factor_wad), line.key)
    )
    as_ofs = loaded.directory.as_ofs
    return SimulationView(
        address=to_checksum(loaded.address),
        as_of=least_fresh(as_ofs),
        chains=as_ofs,
        moves=[
            MovedPrice(kind="group" if one.group else "asset", name=one.group or one.asset or "", change=one.change)
            for one in moves
        ],
        totals_before=totals_view(found.before),
        totals_after=totals_view(found.after),
        accounts=[_account(line, account_of[line.key], loaded) for line in lines],
    )


def shock_of(moves: Iterable[PriceMove], groups: AssetGroups) -> Shock:
    """The moves as one shock.

    Raises:
        ApiProblem: a move that cannot be, or two of the same.
    """
    by_group: dict[str, int] = {}
    by_symbol: dict[str, int] = {}
    for move in moves:
        multiplier = WAD + parse_units(move.change, WAD_DECIMALS)
        if multiplier <= 0:
            raise ApiProblem(INVALID_PARAMETER, "moves.change: above -1, a price cannot fall to nothing")
        if (move.asset is None) == (move.group is None):
            raise ApiProblem(INVALID_PARAMETER, "moves: each names either an asset or a group")
        if move.group is not None and move.group not in groups.names:
            known = ", ".join(sorted(groups.names))
            raise ApiProblem(INVALID_PARAMETER, f"moves.group: any of {known}")
        into, name = (by_symbol, (move.asset or "").upper()) if move.group is None else (by_group, move.group)
        if name in into:
            raise ApiProblem(INVALID_PARAMETER, "moves: the same asset or group is named twice")
        into[name] = multiplier
    return Shock(by_group, by_symbol)


def _changed(loaded: LoadedWallet, changes: Sequence[AccountChange]) -> Mapping[AccountKey, AccountSnapshot]:
    found: dict[AccountKey, AccountSnapshot] = {}
    pair_of = {(account.key.deployment_id, account.key.unit): (snapshot, account) for snapshot, account in loaded.pairs}
    for change in changes:
        snapshot, account = pair_of.get((change.deployment_id, change.unit), (None, None))
        if account is None or snapshot is None or account.state is None:
            raise ApiProblem(INVALID_PARAMETER, "changes: the wallet has no account there whose state is known")
        market = account.state.market_by_code.get(change.market)
        if market is None:
            raise ApiProblem(INVALID_PARAMETER, "changes.market: no market of that deployment has this code")
        before = found.get(account.key, snapshot)
        asked, quotes = _change(change, market), account.state.quote_by_code
        try:
            found[account.key] = changed(account.state.priced, before, quotes, [asked])
        except Refused as error:
            raise ApiProblem(INVALID_PARAMETER, f"changes: {error}") from None
    return found


def _change(change: AccountChange, market: Market) -> Change:
    if change.action in ("collateral_on", "collateral_off"):
        if change.amount is not None:
            raise ApiProblem(INVALID_PARAMETER, "changes.amount: none for a collateral action")
        return CollateralChange(change.market, is_collateral=change.action == "collateral_on")
    try:
        assets = parse_units(change.amount or "", market.decimals)
    except ValueError:
        assets = 0
    if assets <= 0:
        detail = f"changes.amount: above 0, with at most {market.decimals} decimals for {market.symbol}"
        raise ApiProblem(INVALID_PARAMETER, detail)
    return AmountChange(change.market, Action(change.action), assets)


def _account(line: StressedAccount, account: AccountAssessment, loaded: LoadedWallet) -> SimulatedAccount:
    deployment = loaded.directory.deployments[line.key.deployment_id]
    unit = account.value_unit
    return SimulatedAccount(
        deployment_id=deployment.id,
        chain_id=deployment.chain_id,
        name=deployment.name,
        kind=account.kind.value,
        unit=line.key.unit,
        value_currency=unit.currency,
        before=_side(line.before, unit.decimals),
        after=_side(line.after, unit.decimals),
        net_usd_before=decimal(line.net_before, line.decimals),
        net_usd_after=decimal(line.net_after, line.decimals),
        change_usd=decimal(line.pnl, line.decimals),
    )


def _side(risk: RiskAssessment, places: int) -> SimulatedSide:
    margin = risk.margin
    return SimulatedSide(
        status=risk.status.value,
        reasons=[ReasonView(code=r.code, detail=r.detail, market=r.market) for r in risk.reasons],
        health_factor=decimal(risk.health_factor_wad, WAD_DECIMALS),
        utilization=decimal(risk.utilization_wad, WAD_DECIMALS),
        collateral_value=decimal(risk.collateral_value, places),
        debt_value=decimal(risk.debt_value, places),
        equity=None if margin is None else format_units(margin.equity_value, places),
        requirement=None if margin is None else format_units(margin.requirement_value, places),
    )
