"""/v1/status, /health, /ready and /metrics: what the service says of itself."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.examples import common as examples
from app.api.frame.deps import ReadContext
from app.api.frame.freshness import as_of_head, least_fresh
from app.api.frame.metrics import CONTENT_TYPE, exposition
from app.api.schemas.base import AsOf
from app.api.schemas.status import ChainStatusView, EndpointView, HealthView, NotReady, ReadyView, StatusView
from app.api.schemas.wallets import TroubledDeployment
from app.api.wallets import Context
from app.errors import WaterlineError
from app.store.blocks import load_head
from app.store.chains import ChainStatus, load_chains
from app.store.deployments import load_deployments, load_troubles
from app.store.endpoints import ObservedEndpoint, load_endpoints
from app.store.postgres.session import ReadSession
from app.store.progress import load_deployment_backlogs, load_first
from app.store.staleness import silent_seconds

router = APIRouter(tags=["service"])


@router.get(
    "/v1/status",
    response_model=StatusView,
    responses=examples.responses(examples.STATUS),
    summary="How every chain is being followed",
)
async def get_status(context: Context) -> Response:
    """Head, index, finality, backlog and trouble of every chain."""
    return _fresh(await load_status_view(context))


@router.get(
    "/health",
    response_model=HealthView,
    responses={200: {"content": {"application/json": {"example": examples.HEALTH}}}},
    summary="The process is up",
)
async def get_health() -> Response:
    """Answers as long as the process does; says nothing of the data: that is /ready."""
    return _fresh(HealthView(status="ok"))


@router.get(
    "/ready",
    response_model=ReadyView,
    responses={
        200: {"content": {"application/json": {"example": examples.READY}}},
        503: {"model": ReadyView, "content": {"application/json": {"example": examples.NOT_READY}}},
    },
    summary="The data is fresh on every configured chain",
)
async def get_ready(context: Context) -> Response:
    """503 with the reasons while any configured chain is stale or the database is out of reach."""
    try:
        status = await load_status_view(context)
    except WaterlineError:
        view = ReadyView(ready=False, reasons=[NotReady(chain_id=None, reason="the database is out of reach")])
        return _fresh(view, 503)
    reasons = [
        NotReady(chain_id=chain.chain_id, reason=chain.not_ready_reason or "")
        for chain in _required(context, status.chains)
        if not chain.ready
    ]
    if not status.chains:
        reasons.append(NotReady(chain_id=None, reason="no chain is followed yet"))
    return _fresh(ReadyView(ready=status.ready, reasons=reasons), 200 if status.ready else 503)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    summary="Prometheus metrics",
)
async def get_metrics(request: Request, context: Context) -> Response:
    """In the text format. While the database is out of reach, what is known without it."""
    try:
        chains = (await load_status_view(context)).chains
        reachable = True
    except WaterlineError:
        chains, reachable = [], False
    body = exposition(request.app.state.request_metrics, chains, context.stream.subscribers, reachable)
    return Response(body, headers={"Cache-Control": "no-store", "Content-Type": CONTENT_TYPE})


async def load_status_view(context: ReadContext) -> StatusView:
    """All chains as they are now.

    Raises:
        Retryable: the database is out of reach.
    """
    now = context.clock()
    async with context.database.read() as session:
        statuses = {status.chain_id: status for status in await load_chains(session)}
        deployments = await load_deployments(session)
        followed = sorted({*context.options.chain_ids, *statuses, *(d.chain_id for d in deployments)})
        troubles = await load_troubles(session, followed)
        aside = [
            TroubledDeployment(deployment_id=d.id, chain_id=d.chain_id, name=d.name, trouble=troubles[d.id])
            for d in deployments
            if d.id in troubles
        ]
        told = [await _chain(session, context, chain_id, statuses.get(chain_id), aside, now) for chain_id in followed]
    chains = [chain for chain, _ in told]
    required = _required(context, chains)
    return StatusView(
        as_of=least_fresh([as_of for _, as_of in told]) if told else None,
        ready=bool(required) and all(chain.ready for chain in required),
        time=now,
        chains=chains,
    )


def _required(context: ReadContext, chains: list[ChainStatusView]) -> list[ChainStatusView]:
    """The configured chains; all that are followed when none is configured."""
    wanted = context.options.chain_ids
    return [chain for chain in chains if not wanted or chain.chain_id in wanted]


async def _chain(
    session: ReadSession,
    context: ReadContext,
    chain_id: int,
    status: ChainStatus | None,
    aside: Sequence[TroubledDeployment],
    now: int,
) -> tuple[ChainStatusView, AsOf]:
    head, first = await load_head(session, chain_id), await load_first(session, chain_id)
    backlog = await load_deployment_backlogs(session, chain_id)
    indexed = None if head is None else head.ref.number
    told = None if status is None else status.head_number
    as_of = as_of_head(chain_id, status, head, now, context.sightings)
    seen = context.sightings.look(chain_id, status, head)
    unread = sum(each.unread_accounts for each in backlog.values())
    unsearched = sum(each.scan_remaining_blocks for each in backlog.values())
    troubled = [each for each in aside if each.chain_id == chain_id]
    not_ready = as_of.stale_reason or _set_aside(troubled) or _incomplete(unsearched, unread)
    view = ChainStatusView(
        chain_id=chain_id,
        chain=as_of.chain,
        ready=not_ready is None,
        head_number=told,
        head_timestamp=None if status is None else status.head_timestamp,
        safe_number=None if status is None else status.safe_number,
        finalized_number=None if status is None else status.finalized_number,
        indexed_number=indexed,
        indexed_timestamp=None if head is None else head.ref.timestamp,
        first_stored_number=None if first is None else first.ref.number,
        blocks_behind=None if told is None or indexed is None else max(0, told - indexed),
        lag_seconds=as_of.lag_seconds,
        observed_seconds_ago=None if status is None else silent_seconds(status, now, seen),
        pending_reads=sum(each.pending_reads for each in backlog.values()),
        unread_accounts=unread,
        scan_remaining_blocks=unsearched,
        stale=as_of.stale,
        stale_reason=as_of.stale_reason,
        not_ready_reason=not_ready,
        troubled_deployments=troubled,
        endpoints=[_endpoint(one, now) for one in await load_endpoints(session, chain_id)],
    )
    return view, as_of


def _endpoint(observed: ObservedEndpoint, now: int) -> EndpointView:
    one = observed.status
    return EndpointView(
        number=one.number,
        host=one.host,
        health=one.health.value,
        head_number=one.head_number,
        lag_blocks=one.lag_blocks,
        error_share=f"{one.error_share:.3f}",
        latency_ms=None if one.latency_seconds is None else round(one.latency_seconds * 1000),
        trouble=one.trouble,
        range_blocks=one.limits.range_blocks,
        chunk_calls=one.limits.chunk_calls,
        observed_seconds_ago=max(0, now - observed.observed_at),
    )


def _set_aside(troubled: Sequence[TroubledDeployment]) -> str | None:
    """Why a chain some of whose deployments are not read is not ready: a wallet may have accounts there."""
    if not troubled:
        return None
    return "not read: " + "; ".join(f"{each.deployment_id}: {each.trouble}" for each in troubled)


def _incomplete(unsearched: int, unread: int) -> str | None:
    """Why a chain whose head is followed does not have all its accounts yet."""
    if not unsearched and not unread:
        return None
    return f"{unsearched} old blocks are still to be searched for accounts, {unread} accounts found still to be read"


def _fresh(view: StatusView | HealthView | ReadyView, status: int = 200) -> Response:
    return Response(view.model_dump_json(), status, {"Cache-Control": "no-store"}, media_type="application/json")
