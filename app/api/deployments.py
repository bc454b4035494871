"""/v1/deployments: what is followed, how far that has come, how many accounts it has. /v1/protocols: what could be."""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.accounts import ranking_at
from app.api.examples import common as examples
from app.api.frame.addresses import to_checksum
from app.api.frame.answers import answer, restarting
from app.api.frame.deps import ReadContext
from app.api.frame.freshness import least_fresh
from app.api.frame.heads import ChainAt, load_directory, with_troubles
from app.api.protocols import protocols_view
from app.api.schemas.protocols import ProtocolsView
from app.api.schemas.wallets import DeploymentsView, DeploymentView, StatusCounts
from app.api.wallets import ChainIdQuery, Context
from app.domain.market import Deployment
from app.domain.risk import RiskStatus
from app.protocols.registry import adapters
from app.store.progress import DeploymentBacklog, load_deployment_backlogs

router = APIRouter(tags=["deployments"])


@router.get(
    "/v1/deployments",
    response_model=DeploymentsView,
    responses=examples.responses(examples.DEPLOYMENTS, 404, 422),
    summary="Every deployment followed",
)
async def get_deployments(request: Request, context: Context, chain_id: ChainIdQuery = None) -> Response:
    """Installations of protocols with the state of their rules, the progress of the scan, and account counts."""
    view = await load_deployments_view(context, chain_id=chain_id)
    progress = [(each.scan_remaining_blocks, each.pending_reads) for each in view.items]
    return answer(request, view, [each.as_of for each in view.items], volatile=progress)


@router.get(
    "/v1/protocols",
    response_model=ProtocolsView,
    responses=examples.responses(examples.PROTOCOLS),
    summary="Every protocol, what its answers are worth, and the deployments built in",
)
async def get_protocols(request: Request) -> Response:
    """What is exact, compared while following, approximate or left out; and which deployments can be followed."""
    view = protocols_view(adapters().values(), built_in())
    return answer(request, view, (), volatile=view)


@cache
def built_in() -> tuple[Deployment, ...]:
    """Every deployment of every adapter."""
    return tuple(deployment for adapter in adapters().values() for deployment in adapter.deployments())


async def load_deployments_view(context: ReadContext, *, chain_id: int | None = None) -> DeploymentsView:
    """Every deployment followed, by id.

    Raises:
        ApiProblem: the chain is not followed.
        Retryable: the database is out of reach.
    """

    async def load_once() -> DeploymentsView:
        async with context.database.read() as session:
            directory = await load_directory(session, context, chain_id)
            backlog = {
                k: v for chain in directory.chains for k, v in (await load_deployment_backlogs(session, chain)).items()
            }
        directory = await with_troubles(context, directory)
        nothing = DeploymentBacklog(0, 0, 0)
        items = [
            await _deployment(
                context, deployment, directory.chains[deployment.chain_id], backlog.get(deployment.id, nothing)
            )
            for deployment in directory.deployments.values()
        ]
        as_of = least_fresh(directory.as_ofs) if directory.chains else None
        return DeploymentsView(as_of=as_of, items=items)

    return await restarting(load_once)


async def _deployment(
    context: ReadContext, deployment: Deployment, chain: ChainAt, backlog: DeploymentBacklog
) -> DeploymentView:
    state = counts = None
    if chain.block is not None:
        state = await context.state_at(deployment, chain.block)
        counts = (await ranking_at(context, deployment, chain.block)).counts
    samples = None if state is None else state.state.confirmed_samples
    return DeploymentView(
        id=deployment.id,
        chain_id=deployment.chain_id,
        protocol=deployment.protocol,
        name=deployment.name,
        address=to_checksum(deployment.address),
        start_block=deployment.start_block,
        source=next((known.source for known in built_in() if known.id == deployment.id), None) or None,
        value_currency=None if state is None else state.state.value_currency,
        rules="unknown" if state is None else "confirmed" if samples else "unconfirmed",
        rules_samples=samples,
        scan_remaining_blocks=backlog.scan_remaining_blocks,
        pending_reads=backlog.pending_reads,
        accounts=None
        if counts is None
        else StatusCounts(
            liquidatable=counts[RiskStatus.LIQUIDATABLE],
            unknown=counts[RiskStatus.UNKNOWN],
            healthy=counts[RiskStatus.HEALTHY],
            no_debt=counts[RiskStatus.NO_DEBT],
        ),
        as_of=chain.as_of,
    )
