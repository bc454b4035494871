"""Which deployments there are, and which of them settings follow."""

from __future__ import annotations

from dataclasses import replace

from app.domain.market import Deployment
from app.errors import Refused
from app.protocols.registry import adapters
from app.settings import Settings


def known_deployments(settings: Settings) -> list[Deployment]:
    """Every deployment of every adapter and of DEPLOYMENTS_FILE, narrowed to DEPLOYMENTS when that is set.

    Raises:
        Refused: an id is unknown or taken twice, or a protocol has no adapter.
    """
    by_id = {deployment.id: deployment for deployment in registered_deployments(settings)}
    unknown = set(settings.deployments) - set(by_id)
    if unknown:
        raise Refused(f"DEPLOYMENTS: unknown: {', '.join(sorted(unknown))}; see `waterline protocols`")
    return [deployment for id, deployment in by_id.items() if not settings.deployments or id in settings.deployments]


def registered_deployments(settings: Settings) -> list[Deployment]:
    """Every deployment of every adapter and of DEPLOYMENTS_FILE, by chain and id, whatever DEPLOYMENTS says.

    Raises:
        Refused: an id is taken twice, or a protocol has no adapter.
    """
    built_in = [deployment for adapter in adapters().values() for deployment in adapter.deployments()]
    by_id: dict[str, Deployment] = {}
    for deployment in (*built_in, *settings.extra_deployments):
        if deployment.id in by_id:
            raise Refused(f"DEPLOYMENTS_FILE: the id {deployment.id!r} is already taken")
        if deployment.protocol not in adapters():
            names = ", ".join(sorted(adapters()))
            raise Refused(f"DEPLOYMENTS_FILE: {deployment.id}: no protocol {deployment.protocol!r}; there are: {names}")
        by_id[deployment.id] = deployment
    return sorted(by_id.values(), key=lambda deployment: (deployment.chain_id, deployment.id))


def is_followed(settings: Settings, deployment: Deployment) -> bool:
    """Whether these settings follow a registered deployment as soon as its chain has a node: DEPLOYMENTS names it, or
    names none and it is not followed on request only."""
    return deployment.id in settings.deployments if settings.deployments else not deployment.on_request


def followed_deployments(settings: Settings, chain_id: int) -> list[Deployment]:
    """The known deployments of one chain that are followed: those named in DEPLOYMENTS, or else all but those that
    are followed on request only. They are searched for accounts from FROM_BLOCK_<chain id> on if that is set.

    Raises:
        Refused: there is none, so following that chain would do nothing.
    """
    found = [
        deployment
        for deployment in known_deployments(settings)
        if deployment.chain_id == chain_id and is_followed(settings, deployment)
    ]
    if not found:
        raise Refused(f"RPC_URL_{chain_id}: no deployment is known on chain {chain_id}; see `waterline protocols`")
    from_block = settings.require_chain(chain_id).from_block
    return found if from_block is None else [replace(deployment, start_block=from_block) for deployment in found]
