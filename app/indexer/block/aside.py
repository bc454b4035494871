"""Deployments that are not read for a while: when they are tried again, and what a block leaves them as."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from app.domain.chain import BlockRef
from app.indexer.block.harvest import Followed
from app.indexer.rhythm import passed_retry
from app.store.deployments import DeploymentTrouble

NOT_FOLLOWED = "not followed"
"""The trouble of a deployment that is in the store and not among those to follow."""


def is_tried(one: Followed, cursor: BlockRef | None, block: BlockRef, step: int) -> bool:
    """Whether a deployment is read at `block`, which comes after `cursor`: what is set aside is tried now and then."""
    if one.is_unrestorable:
        return False
    if one.trouble is None or cursor is None or not one.trouble.is_followed:
        return True
    return passed_retry(one.trouble.since_block, cursor.number, block.number, step)


def set_aside(one: Followed, text: str, cursor: BlockRef | None, block: BlockRef) -> Followed:
    """A deployment that could not be read at `block`, which comes after `cursor`."""
    missed = cursor.number + 1 if cursor is not None else block.number
    since = one.trouble.since_block if one.trouble is not None else missed
    return replace(one, trouble=DeploymentTrouble(text, since))


def troubles_after(
    followed: Iterable[Followed],
    left: Iterable[str],
    noted: Mapping[str, DeploymentTrouble],
    first_block: int,
) -> dict[str, DeploymentTrouble | None]:
    """What is to be noted with a block about deployments: only what differs from what is `noted` below it.

    Args:
        followed: the deployments as the block leaves them.
        left: those that are in the store but not followed.
        noted: the troubles at the stored block below.
        first_block: the first block after that one.
    """
    now = {one.deployment.id: one.trouble for one in followed}
    for name in left:
        before = noted.get(name)
        since = first_block if before is None else before.since_block
        now[name] = DeploymentTrouble(NOT_FOLLOWED, since, is_followed=False)
    return {name: trouble for name, trouble in now.items() if trouble != noted.get(name)}


def cannot_be_read(followed: Iterable[Followed]) -> str | None:
    """Why no deployment can be read; None where one can. One that is about to be read again is not in the way."""
    troubles = [one.trouble if one.trouble is not None and one.trouble.is_followed else None for one in followed]
    texts = [trouble.text for trouble in troubles if trouble is not None]
    return f"no deployment can be read: {'; '.join(texts)}" if texts and len(texts) == len(troubles) else None
