"""The registry as an answer: the same for the API, for `waterline protocols --json` and for its tables."""

from __future__ import annotations

from collections.abc import Iterable

from app.api.frame.addresses import to_checksum
from app.api.schemas.protocols import CoverageView, KnownDeploymentView, ProtocolsView, ProtocolView
from app.domain.market import Coverage, Deployment
from app.domain.specs import chain_spec
from app.protocols.base import Adapter


def protocols_view(adapters: Iterable[Adapter], deployments: Iterable[Deployment]) -> ProtocolsView:
    """Every adapter with those of the deployments it understands."""
    known = sorted(deployments, key=lambda deployment: (deployment.chain_id, deployment.id))
    return ProtocolsView(
        items=[
            ProtocolView(
                protocol=adapter.slug,
                name=adapter.name,
                kind=adapter.kind.value,
                coverage=_coverage(adapter.coverage),
                deployments=[_known(deployment) for deployment in known if deployment.protocol == adapter.slug],
            )
            for adapter in sorted(adapters, key=lambda adapter: adapter.slug)
        ]
    )


def markdown(view: ProtocolsView) -> str:
    """The lists of docs/protocols.md."""
    return "\n\n".join(_section(protocol) for protocol in view.items)


def _section(protocol: ProtocolView) -> str:
    worth = protocol.coverage.model_dump()
    lists = [
        f"**{name.replace('_', ' ').capitalize()}**\n\n" + "\n".join(f"- {s}" for s in worth[name]) for name in worth
    ]
    head = "| id | chain | followed | from block | contract | source |\n|---|---|---|---:|---|---|"
    rows = [
        f"| `{one.id}` | {one.chain} ({one.chain_id}) | {_how(one)} | {one.start_block or 'genesis'} | `{one.address}`"
        f" | {one.source or ''} |"
        for one in protocol.deployments
    ]
    table = "\n".join((head, *rows)) if rows else "No deployment is built in."
    return "\n\n".join((f"## {protocol.name} (`{protocol.protocol}`)", *lists, f"**Deployments**\n\n{table}"))


def _how(deployment: KnownDeploymentView) -> str:
    return "yes" if deployment.followed_by_default else f"on request: {deployment.on_request_reason or 'not said'}"


def _coverage(coverage: Coverage) -> CoverageView:
    return CoverageView(
        exact=list(coverage.exact),
        calibrated=list(coverage.calibrated),
        approximate=list(coverage.approximate),
        not_modelled=list(coverage.not_modelled),
    )


def _known(deployment: Deployment) -> KnownDeploymentView:
    return KnownDeploymentView(
        id=deployment.id,
        chain_id=deployment.chain_id,
        chain=chain_spec(deployment.chain_id).name,
        name=deployment.name,
        address=to_checksum(deployment.address),
        start_block=deployment.start_block,
        followed_by_default=not deployment.on_request,
        on_request_reason=deployment.on_request_reason or None,
        source=deployment.source or None,
    )
