"""Adapters that fail while valuing: what that leaves is unknown, and the log tells of it once per deployment and block.

An adapter's exception is a defect of its code. It must not take down an answer about a wallet's other accounts, and as
a ranking meets it with every account, it must not be told with every account either.
"""

from __future__ import annotations

import logging

from app.domain.chain import BlockRef
from app.domain.risk import Reason

log = logging.getLogger(__name__)

_MOST_KEPT = 1024
_failed: dict[tuple[str, bytes], str] = {}
"""By deployment and block's hash, the newest ones that failed and how."""


def note_fault(deployment_id: str, block: BlockRef, fault: Exception) -> Reason:
    """Why something of a deployment is unknown at a block: `fault` was raised by its adapter."""
    name = (deployment_id, bytes(block.hash))
    if name not in _failed:
        log.error("chain_id=%d block=%d deployment=%s valuation failed", *_where(deployment_id, block), exc_info=fault)
        while len(_failed) >= _MOST_KEPT:
            _failed.pop(next(iter(_failed)), None)
        _failed[name] = type(fault).__name__
    return _reason(type(fault).__name__)


def fault_at(deployment_id: str, block: BlockRef) -> Reason | None:
    """What was noted of a deployment at a block, if it was not too long ago."""
    kind = _failed.get((deployment_id, bytes(block.hash)))
    return None if kind is None else _reason(kind)


def _where(deployment_id: str, block: BlockRef) -> tuple[int, int, str]:
    return block.chain_id, block.number, deployment_id


def _reason(kind: str) -> Reason:
    return Reason("valuation_failed", f"a fault in the protocol's adapter ({kind}); the log says more")
