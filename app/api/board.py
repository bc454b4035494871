"""/v1/risk/board, /v1/risk/changes, /v1/deployments/{id}/risk-history: what the monitor keeps, read."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from app.api.examples import board as examples_board
from app.api.examples import common as examples
from app.api.frame.addresses import to_checksum
from app.api.frame.answers import answer
from app.api.frame.cursor import MAX_LENGTH, make_change_cursor, read_change_cursor
from app.api.frame.decimals import WAD_DECIMALS, decimal
from app.api.frame.deps import ReadContext
from app.api.frame.freshness import as_of_head, least_fresh
from app.api.frame.heads import ChainAt, Directory, load_directory
from app.api.frame.problems import INVALID_PARAMETER, UNAVAILABLE, ApiProblem
from app.api.markets import DeploymentIdQuery, narrowed
from app.api.schemas.base import Status
from app.api.schemas.board import (
    BoardLineView,
    BoardView,
    RiskHistoryView,
    StatusChangesView,
    StatusChangeView,
    TotalsPoint,
    TotalsSeries,
)
from app.api.wallets import BLOCK_NUMBER_MAX, ChainIdQuery, Context
from app.domain.risk import RiskStatus
from app.store.blocks import StoredBlock, load_spaced
from app.store.deployments import load_troubles_at
from app.store.postgres.session import ReadSession
from app.store.risk import BoardLine, Totals, load_board_block
from app.store.risk_reads import ChangeAt, load_board, load_changes, load_totals_at
from app.valuation.assess import risk_order

router = APIRouter(tags=["risk"])

NEWEST = (2**62, 0)
"""A place above all changes."""
BAND_EDGES = ("1.0", "1.02", "1.05", "1.1", "1.25", "1.5", "2.0", "3.0")
"""Of the bands the monitor stores. A test holds them against its own."""

StatusQuery = Annotated[Status | None, Query(description="Only accounts of this status.")]
LimitQuery = Annotated[int, Query(ge=1, le=500)]


@router.get(
    "/v1/risk/board",
    response_model=BoardView,
    responses=examples.responses(examples_board.BOARD, 404, 422),
    summary="The riskiest accounts, as the monitor keeps them",
)
async def get_board(
    request: Request,
    context: Context,
    chain_id: ChainIdQuery = None,
    deployment_id: DeploymentIdQuery = None,
    status: StatusQuery = None,
    limit: LimitQuery = 100,
) -> Response:
    """Every liquidatable account, some that are unknown, and the healthy ones next to them.

    Each is at the newest block the monitor has valued, by the contract's own rule. /v1/accounts lists everybody.
    """
    view = await load_board_view(context, chain_id, deployment_id, status, limit)
    return answer(request, view, view.chains, volatile=view.troubled_deployments)


@router.get(
    "/v1/risk/changes",
    response_model=StatusChangesView,
    responses=examples.responses(examples_board.CHANGES, 400, 404, 422),
    summary="Verdicts that turned",
)
async def get_changes(
    request: Request,
    context: Context,
    chain_id: ChainIdQuery = None,
    deployment_id: DeploymentIdQuery = None,
    to_status: StatusQuery = None,
    cursor: Annotated[str | None, Query(max_length=MAX_LENGTH, description="next_cursor of the page before.")] = None,
    limit: LimitQuery = 100,
) -> Response:
    """Changes of status of one chain, newest first. Blocks that were stored at once count as one step.

    Needs chain_id or deployment_id where several chains are followed.
    """
    view = await load_changes_view(context, chain_id, deployment_id, to_status, cursor=cursor, limit=limit)
    return answer(request, view, [view.as_of])


@router.get(
    "/v1/deployments/{deployment_id}/risk-history",
    response_model=RiskHistoryView,
    responses=examples.responses(examples_board.HISTORY, 404, 422),
    summary="The past of a deployment's utilisation",
)
async def get_risk_history(
    request: Request,
    context: Context,
    deployment_id: Annotated[str, Path(max_length=100)],
    from_block: Annotated[int, Query(ge=0, le=BLOCK_NUMBER_MAX)] = 0,
    to_block: Annotated[int | None, Query(ge=0, le=BLOCK_NUMBER_MAX)] = None,
    limit: Annotated[int, Query(ge=2, le=500, description="Most points a measure gets.")] = 100,
) -> Response:
    """Counts, sums and utilisation of all accounts together at evenly spaced stored blocks: what was last noted there.

    Without a range it is the whole past since the monitor first ran.
    """
    view = await load_risk_history_view(context, deployment_id, from_block, to_block, limit)
    return answer(request, view, [view.as_of])


async def load_board_view(
    context: ReadContext, chain_id: int | None, deployment_id: str | None, status: str | None, limit: int
) -> BoardView:
    """The first `limit` lines of the boards of one deployment, one chain or all, riskiest first.

    Raises:
        ApiProblem: the deployment or chain is not followed, or no monitor has valued any of the chains yet.
        Retryable: the database is out of reach.
    """
    lines: list[BoardLine] = []
    async with context.database.read() as session:
        directory = narrowed(await load_directory(session, context, chain_id), deployment_id)
        directory = await _at_boards(session, context, directory)
        for block in directory.blocks.values():
            lines += await load_board(session, block)
        limits = {chain: block.id for chain, block in directory.blocks.items()}
        troubles = {slug: one.text for slug, one in (await load_troubles_at(session, limits)).items()}
    if not directory.blocks:
        raise ApiProblem(UNAVAILABLE, "no monitor has valued these chains yet: run `waterline monitor`")
    directory = replace(directory, troubles={k: v for k, v in troubles.items() if k in directory.deployments})
    wanted = [
        line
        for line in lines
        if line.key.deployment_id in directory.deployments and status in (None, line.health.status.value)
    ]
    wanted.sort(key=lambda line: (risk_order(line.health.status, line.health.health_factor_wad), line.key))
    return BoardView(
        as_of=least_fresh(directory.as_ofs),
        chains=directory.as_ofs,
        troubled_deployments=directory.troubled,
        items=[_line(context, directory, line) for line in wanted[:limit]],
    )


async def load_changes_view(
    context: ReadContext,
    chain_id: int | None,
    deployment_id: str | None,
    to_status: str | None,
    *,
    cursor: str | None = None,
    limit: int = 100,
) -> StatusChangesView:
    """A page of changes of status.

    Raises:
        ApiProblem: the deployment or chain is not followed; several chains are meant; the cursor is of something else.
        Retryable: the database is out of reach.
    """
    filters = ("changes", chain_id, deployment_id, to_status)
    below = NEWEST if cursor is None else read_change_cursor(cursor, filters)
    async with context.database.read() as session:
        directory = narrowed(await load_directory(session, context, chain_id), deployment_id)
        if len(directory.chains) != 1:
            raise ApiProblem(INVALID_PARAMETER, "chain_id: say of which chain, or which deployment_id")
        directory = await _at_boards(session, context, directory)
        (chain,) = directory.chains.values()
        status = None if to_status is None else RiskStatus(to_status)
        found = await load_changes(session, chain.chain_id, below, limit + 1, deployment_id=deployment_id, after=status)
    page = found[:limit]
    is_last = len(found) <= limit
    return StatusChangesView(
        as_of=chain.as_of,
        items=[
            _change(context, directory, one) for one in page if one.change.key.deployment_id in directory.deployments
        ],
        next_cursor=None if is_last else make_change_cursor(page[-1].block.id, page[-1].account_id, filters),
    )


async def load_risk_history_view(
    context: ReadContext, deployment_id: str, from_block: int, to_block: int | None, limit: int
) -> RiskHistoryView:
    """The past of one deployment's totals, one series a measure.

    Raises:
        ApiProblem: the deployment is not followed; the range is empty.
        Retryable: the database is out of reach.
    """
    async with context.database.read() as session:
        directory = narrowed(await load_directory(session, context), deployment_id)
        directory = await _at_boards(session, context, directory)
        (chain,) = directory.chains.values()
        newest = 0 if chain.block is None else chain.block.ref.number
        end = newest if to_block is None else min(to_block, newest)
        if to_block is not None and from_block > to_block:
            raise ApiProblem(INVALID_PARAMETER, "from_block: must not be above to_block")
        blocks = await load_spaced(session, chain.chain_id, from_block, end, limit)
        found = await load_totals_at(session, deployment_id, blocks)
    series: dict[str, TotalsSeries] = {}
    for block in blocks:
        for totals, _ in found[block.id]:
            empty = TotalsSeries(value_currency=totals.currency, measure=totals.measure, points=[])
            series.setdefault(totals.measure, empty).points.append(_point(block, totals))
    return RiskHistoryView(
        as_of=chain.as_of,
        deployment_id=deployment_id,
        chain_id=chain.chain_id,
        band_edges=list(BAND_EDGES),
        series=list(series.values()),
    )


async def _at_boards(session: ReadSession, context: ReadContext, directory: Directory) -> Directory:
    """The directory with every chain at the block its board is of; a chain without one has none."""
    chains: dict[int, ChainAt] = {}
    for chain_id, chain in directory.chains.items():
        block = await load_board_block(session, chain_id)
        as_of = as_of_head(chain_id, chain.status, block, context.clock(), context.sightings)
        chains[chain_id] = replace(chain, block=block, as_of=as_of)
    return replace(directory, chains=chains)


def _line(context: ReadContext, directory: Directory, line: BoardLine) -> BoardLineView:
    deployment, health = directory.deployments[line.key.deployment_id], line.health
    return BoardLineView(
        wallet=to_checksum(line.key.wallet),
        deployment_id=deployment.id,
        chain_id=deployment.chain_id,
        protocol=deployment.protocol,
        kind=context.kind_of(deployment).value,
        unit=line.key.unit,
        status=health.status.value,
        health_factor=decimal(health.health_factor_wad, WAD_DECIMALS),
        utilization=decimal(health.utilization_wad, WAD_DECIMALS),
        collateral_value=decimal(health.collateral_value, line.value_decimals),
        debt_value=decimal(health.debt_value, line.value_decimals),
        notional_value=decimal(health.notional_value, line.value_decimals),
        value_currency=line.currency,
        exact=line.is_exact,
    )


def _change(context: ReadContext, directory: Directory, found: ChangeAt) -> StatusChangeView:
    change, ref = found.change, found.block.ref
    deployment = directory.deployments[change.key.deployment_id]
    return StatusChangeView(
        block_number=ref.number,
        block_hash=str(ref.hash),
        block_timestamp=ref.timestamp,
        wallet=to_checksum(change.key.wallet),
        deployment_id=deployment.id,
        chain_id=deployment.chain_id,
        protocol=deployment.protocol,
        kind=context.kind_of(deployment).value,
        unit=change.key.unit,
        from_status=None if change.before is None else change.before.value,
        to_status=change.after.value,
        health_factor=decimal(change.health_factor_wad, WAD_DECIMALS),
    )


def _point(block: StoredBlock, totals: Totals) -> TotalsPoint:
    used = None
    if totals.requirement is not None and totals.capacity:
        used = totals.requirement / totals.capacity
    return TotalsPoint(
        block_number=block.ref.number,
        block_timestamp=block.ref.timestamp,
        liquidatable=totals.liquidatable,
        unknown=totals.unknown,
        healthy=totals.healthy,
        no_debt=totals.no_debt,
        bands=list(totals.bands),
        collateral=_approximate(totals.collateral, 2),
        capacity=_approximate(totals.capacity, 2),
        requirement=_approximate(totals.requirement, 2),
        utilization=_approximate(used, 6),
    )


def _approximate(value: float | None, decimals: int) -> str | None:
    return None if value is None else f"{value:.{decimals}f}"
