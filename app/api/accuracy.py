"""/v1/accuracy: what reading random accounts again, and asking the contracts themselves, said of the answers."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.examples import common as examples
from app.api.frame.addresses import to_checksum
from app.api.frame.answers import answer
from app.api.frame.decimals import WAD_DECIMALS, decimal
from app.api.frame.deps import ReadContext
from app.api.frame.freshness import least_fresh
from app.api.frame.heads import load_directory
from app.api.schemas.accuracy import AccuracyView, AuditFigures, DeploymentAccuracy, FindingView
from app.api.wallets import ChainIdQuery, Context
from app.domain.audit import AuditCount
from app.domain.market import Deployment
from app.domain.units import WAD
from app.store.accuracy import Accuracy, StoredFinding, load_accuracy, load_findings

router = APIRouter(tags=["service"])

SHOWN_FINDINGS = 50


@router.get(
    "/v1/accuracy",
    response_model=AccuracyView,
    responses=examples.responses(examples.ACCURACY, 404, 422),
    summary="How often stored accounts were found equal to the contracts' own word",
)
async def get_accuracy(request: Request, context: Context, chain_id: ChainIdQuery = None) -> Response:
    """Stored accounts are drawn at random, read again at the newest block, and held against the contract's own view
    there. What differed is listed with both numbers, and repaired where the stored state was at fault."""
    view = await load_accuracy_view(context, chain_id=chain_id)
    chains = [] if view.as_of is None else [view.as_of]
    return answer(request, view, chains, volatile=view.model_dump(exclude={"as_of"}))


async def load_accuracy_view(context: ReadContext, *, chain_id: int | None = None) -> AccuracyView:
    """What the audits still kept say.

    Raises:
        ApiProblem: the chain is not followed.
        Retryable: the database is out of reach.
    """
    async with context.database.read() as session:
        directory = await load_directory(session, context, chain_id)
        found = await load_accuracy(session, list(directory.deployments))
        findings = await load_findings(session, list(directory.deployments), SHOWN_FINDINGS)
    return AccuracyView(
        as_of=least_fresh(directory.as_ofs) if directory.chains else None,
        total=_figures(found.values()),
        items=[_deployment(directory.deployments[name], one) for name, one in found.items()],
        findings=[_finding(one) for one in findings],
    )


def _figures(parts: Iterable[Accuracy]) -> AuditFigures:
    """Several deployments' audits as one."""
    parts = list(parts)
    counts = [part.count for part in parts]
    checked, exact = _sum(counts, "checked"), _sum(counts, "exact")
    errors = [count.worst_error_wad for count in counts if count.worst_error_wad is not None]
    return AuditFigures(
        checked_accounts=checked,
        exact_accounts=exact,
        exact_share=decimal(exact * WAD // checked if checked else None, WAD_DECIMALS),
        state_mismatches=_sum(counts, "state_mismatches"),
        truth_mismatches=_sum(counts, "truth_mismatches"),
        unreadable=_sum(counts, "unreadable"),
        worst_relative_error=decimal(max(errors, default=None), WAD_DECIMALS),
        open_findings=sum(part.open_findings for part in parts),
        since_timestamp=min((p.since_timestamp for p in parts if p.since_timestamp is not None), default=None),
    )


def _sum(counts: Iterable[AuditCount], name: str) -> int:
    return sum(getattr(count, name) for count in counts)


def _deployment(deployment: Deployment, found: Accuracy) -> DeploymentAccuracy:
    return DeploymentAccuracy(
        **_figures([found]).model_dump(),
        deployment_id=deployment.id,
        chain_id=deployment.chain_id,
        protocol=deployment.protocol,
        name=deployment.name,
        last_checked_block=found.last_block,
        last_checked_timestamp=found.last_timestamp,
    )


def _finding(stored: StoredFinding) -> FindingView:
    found = stored.finding
    return FindingView(
        deployment_id=found.key.deployment_id,
        wallet=to_checksum(found.key.wallet),
        unit=found.key.unit,
        kind=found.kind.value,
        what=list(found.what),
        expected=[decimal(value, 0) for value in found.expected],
        got=[decimal(value, 0) for value in found.got],
        block_number=stored.block,
        block_timestamp=stored.timestamp,
        repaired_block=stored.repaired_block,
    )
