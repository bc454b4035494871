"""/v1/wallets/{address}/history: the past of one wallet in one deployment, recomputed exactly at stored blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.api import examples
from app.api.addresses import to_checksum
from app.api.answers import answer
from app.api.deps import ReadContext
from app.api.heads import load_directory, load_stored
from app.api.markets import DeploymentIdQuery, deployment_of
from app.api.problems import BLOCK_NOT_STORED, INVALID_PARAMETER, ApiProblem
from app.api.render import WAD_DECIMALS, decimal
from app.api.schemas import AccountHistory, HistoryPoint, HistoryView
from app.api.wallets import BLOCK_NUMBER_MAX, AddressPath, Context, one_chain, wallet_of
from app.domain.chain import Address
from app.domain.market import Deployment
from app.store.accounts import AccountMoment, load_account_history, load_change_blocks, load_wallet
from app.store.engine import ReadSession
from app.store.markets import load_markets, load_records_at
from app.store.progress import load_first
from app.valuation.assess import StateAt, quick_health, restore_at

router = APIRouter(tags=["wallets"])

DEFAULT_POINTS = 100
MAX_POINTS = 400
MAX_ACCOUNTS = 20
"""Accounts of one wallet in one deployment whose past is shown; cross-collateral pools have one."""

BlockQuery = Annotated[int | None, Query(ge=0, le=BLOCK_NUMBER_MAX)]


@router.get(
    "/v1/wallets/{address}/history",
    response_model=HistoryView,
    responses=examples.responses(examples.HISTORY, 400, 404, 422),
    summary="The past of one wallet in one deployment",
)
async def get_history(
    request: Request,
    context: Context,
    address: AddressPath,
    deployment_id: DeploymentIdQuery,
    from_block: BlockQuery = None,
    to_block: BlockQuery = None,
    limit: Annotated[int, Query(ge=2, le=MAX_POINTS, description="Most points an account gets.")] = DEFAULT_POINTS,
) -> Response:
    """Points evenly spaced over the stored blocks of the range, and those where the account itself changed.

    Half of `limit` is for either kind; where there were more changes, the newest are shown and `complete` is false.
    """
    wallet = wallet_of(address)
    view = await load_history_view(
        context, wallet.address, deployment_id, from_block=from_block, to_block=to_block, limit=limit
    )
    one_chain(wallet, view.chain_id)
    return answer(request, view, [view.as_of])


async def load_history_view(
    context: ReadContext,
    address: Address,
    deployment_id: str,
    *,
    from_block: int | None = None,
    to_block: int | None = None,
    limit: int = DEFAULT_POINTS,
) -> HistoryView:
    """The past of one wallet in one deployment; the whole stored range by default.

    Raises:
        ApiProblem: the deployment is not followed; the range is empty or not stored.
        Retryable: the database is out of reach.
    """
    async with context.database.read() as session:
        directory = await load_directory(session, context)
        deployment = deployment_of(directory, deployment_id)
        chain = directory.chains[deployment.chain_id]
        first = await load_first(session, deployment.chain_id)
        if first is None or chain.block is None:
            raise ApiProblem(BLOCK_NOT_STORED, f"nothing of chain {deployment.chain_id} is stored yet")
        start = first.ref.number if from_block is None else from_block
        end = chain.block.ref.number if to_block is None else to_block
        if start > end:
            raise ApiProblem(INVALID_PARAMETER, "from_block: must not be above to_block")
        last = await load_stored(session, deployment.chain_id, end, chain.block)
        states = await load_wallet(session, address, {deployment.chain_id: last})
        keys = [state.key for state in states if state.key.deployment_id == deployment.id][:MAX_ACCOUNTS]
        pasts, complete = {}, True
        for key in keys:
            changes = await load_change_blocks(session, key, start, end, limit // 2 + 1)
            complete = complete and len(changes) <= limit // 2
            pasts[key.unit] = await load_account_history(session, key, deployment.chain_id, start, end, limit // 2)
        restored = await _load_states(context, session, deployment, pasts)
    accounts = await asyncio.to_thread(_valued, pasts, restored)
    return HistoryView(
        address=to_checksum(address),
        deployment_id=deployment.id,
        chain_id=deployment.chain_id,
        protocol=deployment.protocol,
        name=deployment.name,
        from_block=start,
        to_block=end,
        as_of=chain.as_of,
        complete=complete,
        accounts=accounts,
    )


async def _load_states(
    context: ReadContext, session: ReadSession, deployment: Deployment, pasts: Mapping[str, Sequence[AccountMoment]]
) -> dict[int, StateAt | None]:
    """The deployment's state at every block of `pasts`, by the block's id: two queries while no market was added."""
    blocks = {moment.block.id: moment.block for past in pasts.values() for moment in past}
    if not blocks:
        return {}
    records = await load_records_at(session, deployment.id, list(blocks.values()))
    oldest = await load_markets(session, deployment.id, blocks[min(blocks)])
    newest = await load_markets(session, deployment.id, blocks[max(blocks)])
    adapter = context.find_adapter(deployment.protocol)
    states: dict[int, StateAt | None] = {}
    for block_id, block in blocks.items():
        if not records[block_id]:
            states[block_id] = None
            continue
        markets = newest if oldest == newest else await load_markets(session, deployment.id, block)
        states[block_id] = restore_at(adapter, deployment, markets, records[block_id], block.ref)
    return states


def _valued(pasts: Mapping[str, Sequence[AccountMoment]], states: Mapping[int, StateAt | None]) -> list[AccountHistory]:
    histories = []
    for unit, past in sorted(pasts.items()):
        points = [_point(moment, states[moment.block.id]) for moment in past]
        known = [state for moment in past if (state := states[moment.block.id]) is not None]
        currency = known[-1].state.value_currency if known else None
        histories.append(AccountHistory(unit=unit, value_currency=currency, points=points))
    return histories


def _point(moment: AccountMoment, state: StateAt | None) -> HistoryPoint:
    health = quick_health(state, moment.state)
    decimals = 0 if state is None else state.state.value_decimals
    return HistoryPoint(
        block_number=moment.block.ref.number,
        block_timestamp=moment.block.ref.timestamp,
        status=health.status.value,
        health_factor=decimal(health.health_factor_wad, WAD_DECIMALS),
        utilization=decimal(health.utilization_wad, WAD_DECIMALS),
        collateral_value=decimal(health.collateral_value, decimals),
        debt_value=decimal(health.debt_value, decimals),
        is_change=moment.changed,
    )
