"""/v1/wallets/{address}/history: the past of one wallet, recomputed exactly at stored blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.api.examples import common as examples
from app.api.frame.addresses import to_checksum
from app.api.frame.answers import answer
from app.api.frame.decimals import WAD_DECIMALS, decimal
from app.api.frame.deps import ReadContext
from app.api.frame.freshness import least_fresh
from app.api.frame.heads import ChainAt, load_directory, load_stored
from app.api.frame.problems import BLOCK_NOT_STORED, INVALID_PARAMETER, ApiProblem
from app.api.markets import DeploymentIdQuery, narrowed
from app.api.schemas.base import Kind
from app.api.schemas.wallets import AccountHistory, HistoryPoint, HistoryView
from app.api.wallets import BLOCK_NUMBER_MAX, AddressPath, ChainIdQuery, Context, one_chain, wallet_of
from app.domain.account import AccountKey
from app.domain.chain import Address
from app.domain.market import Deployment
from app.store.account_changes import load_change_blocks
from app.store.accounts import AccountMoment, load_account_history, load_wallet
from app.store.blocks import StoredBlock
from app.store.deployments import load_troubles_over_time
from app.store.markets import load_markets, load_records_at
from app.store.postgres.session import ReadSession
from app.store.progress import load_first
from app.valuation.assess import StateAt, quick_health, restore_at
from app.valuation.faults import note_fault

router = APIRouter(tags=["wallets"])

DEFAULT_POINTS = 100
MAX_POINTS = 400
MAX_ACCOUNTS = 20
"""Accounts of one wallet whose past is shown; it has one in each cross-collateral pool it uses."""

BlockQuery = Annotated[int | None, Query(ge=0, le=BLOCK_NUMBER_MAX)]


@router.get(
    "/v1/wallets/{address}/history",
    response_model=HistoryView,
    responses=examples.responses(examples.HISTORY, 400, 404, 422),
    summary="The past of one wallet",
)
async def get_history(
    request: Request,
    context: Context,
    address: AddressPath,
    deployment_id: DeploymentIdQuery = None,
    chain_id: ChainIdQuery = None,
    from_block: BlockQuery = None,
    to_block: BlockQuery = None,
    limit: Annotated[int, Query(ge=2, le=MAX_POINTS, description="Most points an account gets.")] = DEFAULT_POINTS,
) -> Response:
    """Points evenly spaced over the stored blocks of the range, and those where the account itself changed.

    Half of `limit` is for either kind; where there were more changes, the newest are shown and `complete` is false.
    A range needs chain_id or deployment_id where several chains are followed.
    """
    wallet = wallet_of(address)
    view = await load_history_view(
        context,
        wallet.address,
        deployment_id,
        chain_id=one_chain(wallet, chain_id),
        from_block=from_block,
        to_block=to_block,
        limit=limit,
    )
    return answer(request, view, view.chains)


async def load_history_view(
    context: ReadContext,
    address: Address,
    deployment_id: str | None = None,
    *,
    chain_id: int | None = None,
    from_block: int | None = None,
    to_block: int | None = None,
    limit: int = DEFAULT_POINTS,
) -> HistoryView:
    """The past of one wallet in one deployment, on one chain or everywhere; the whole stored range by default.

    Raises:
        ApiProblem: the deployment or chain is not followed; the range is empty, not stored, or of no single chain.
        Retryable: the database is out of reach.
    """
    async with context.database.read() as session:
        directory = narrowed(await load_directory(session, context, chain_id), deployment_id)
        if (from_block, to_block) != (None, None) and len(directory.chains) != 1:
            raise ApiProblem(INVALID_PARAMETER, "from_block, to_block: say of which chain, with chain_id")
        ranges = {
            chain.chain_id: await _range(session, chain, from_block, to_block)
            for chain in directory.chains.values()
            if chain.block is not None or len(directory.chains) == 1
        }
        states = await load_wallet(session, address, {chain: each.last for chain, each in ranges.items()})
        keys = [state.key for state in states if state.key.deployment_id in directory.deployments][:MAX_ACCOUNTS]
        pasts = []
        for key in sorted(keys, key=lambda key: (key.deployment_id, key.unit)):
            deployment = directory.deployments[key.deployment_id]
            pasts.append(await _load_past(session, key, deployment, ranges[deployment.chain_id], limit))
        restored = {
            deployment.id: await _load_states(
                context, session, deployment, [past.moments for past in pasts if past.deployment == deployment]
            )
            for deployment in directory.deployments.values()
        }
    kinds: dict[str, Kind] = {past.deployment.id: context.kind_of(past.deployment).value for past in pasts}
    accounts = await asyncio.to_thread(
        lambda: [_valued(past, restored[past.deployment.id], kinds[past.deployment.id]) for past in pasts]
    )
    return HistoryView(
        address=to_checksum(address),
        as_of=least_fresh(directory.as_ofs),
        chains=directory.as_ofs,
        accounts=accounts,
    )


@dataclass(frozen=True, slots=True)
class _Range:
    """The blocks of one chain that are looked at."""

    start: int
    end: int
    last: StoredBlock
    """The newest stored one of them or, where none is, below them."""


@dataclass(frozen=True, slots=True)
class _Past:
    """One account and its raw states, oldest first."""

    key: AccountKey
    deployment: Deployment
    range: _Range
    complete: bool
    moments: Sequence[AccountMoment]


async def _range(session: ReadSession, chain: ChainAt, from_block: int | None, to_block: int | None) -> _Range:
    first = await load_first(session, chain.chain_id)
    if first is None or chain.block is None:
        raise ApiProblem(BLOCK_NOT_STORED, f"nothing of chain {chain.chain_id} is stored yet")
    start = first.ref.number if from_block is None else from_block
    end = chain.block.ref.number if to_block is None else to_block
    if start > end:
        raise ApiProblem(INVALID_PARAMETER, "from_block: must not be above to_block")
    return _Range(start, end, await load_stored(session, chain.chain_id, end, chain.block))


async def _load_past(
    session: ReadSession, key: AccountKey, deployment: Deployment, blocks: _Range, limit: int
) -> _Past:
    changes = await load_change_blocks(session, key, blocks.start, blocks.end, limit // 2 + 1)
    moments = await load_account_history(session, key, deployment.chain_id, blocks.start, blocks.end, limit // 2)
    return _Past(key, deployment, blocks, len(changes) <= limit // 2, moments)


async def _load_states(
    context: ReadContext, session: ReadSession, deployment: Deployment, pasts: Sequence[Sequence[AccountMoment]]
) -> dict[int, StateAt | None]:
    """The deployment's state at every block of `pasts`, by the block's id. None at those at which it was set aside or
    not followed (what is stored of it is then of an older one), or its adapter fails."""
    blocks = {moment.block.id: moment.block for past in pasts for moment in past}
    if not blocks:
        return {}
    records = await load_records_at(session, deployment.id, list(blocks.values()))
    oldest = await load_markets(session, deployment.id, blocks[min(blocks)])
    newest = await load_markets(session, deployment.id, blocks[max(blocks)])
    adapter = context.find_adapter(deployment.protocol)
    aside = await _blocks_aside(session, deployment, list(blocks.values()))
    states: dict[int, StateAt | None] = {}
    for block_id, block in blocks.items():
        if not records[block_id] or block_id in aside:
            states[block_id] = None
            continue
        markets = newest if oldest == newest else await load_markets(session, deployment.id, block)
        try:
            states[block_id] = restore_at(adapter, deployment, markets, records[block_id], block.ref)
        except Exception as fault:  # the adapter's own code, or records that are not its own
            note_fault(deployment.id, block.ref, fault)
            states[block_id] = None
    return states


async def _blocks_aside(session: ReadSession, deployment: Deployment, blocks: Sequence[StoredBlock]) -> set[int]:
    """Ids of those blocks at which the deployment was set aside."""
    troubles = await load_troubles_over_time(session, deployment.id, [block.id for block in blocks])
    aside: set[int] = set()
    since: int | None = None
    for block in sorted(blocks, key=lambda block: block.id, reverse=True):
        if since is None or block.ref.number < since:
            found = troubles.get(block.id)
            since = None if found is None else found.since_block
        if since is not None:
            aside.add(block.id)
    return aside


def _valued(past: _Past, states: Mapping[int, StateAt | None], kind: Kind) -> AccountHistory:
    known = [state for moment in past.moments if (state := states[moment.block.id]) is not None]
    return AccountHistory(
        deployment_id=past.deployment.id,
        chain_id=past.deployment.chain_id,
        protocol=past.deployment.protocol,
        name=past.deployment.name,
        kind=kind,
        unit=past.key.unit,
        value_currency=known[-1].state.value_unit(past.key.unit).currency if known else None,
        from_block=past.range.start,
        to_block=past.range.end,
        complete=past.complete,
        points=[_point(moment, states[moment.block.id], past.key.unit) for moment in past.moments],
    )


def _point(moment: AccountMoment, state: StateAt | None, unit: str) -> HistoryPoint:
    health = quick_health(state, moment.state)
    decimals = 0 if state is None else state.state.value_unit(unit).decimals
    return HistoryPoint(
        block_number=moment.block.ref.number,
        block_timestamp=moment.block.ref.timestamp,
        status=health.status.value,
        health_factor=decimal(health.health_factor_wad, WAD_DECIMALS),
        utilization=decimal(health.utilization_wad, WAD_DECIMALS),
        collateral_value=decimal(health.collateral_value, decimals),
        debt_value=decimal(health.debt_value, decimals),
        notional_value=decimal(health.notional_value, decimals),
        is_change=moment.changed,
    )
