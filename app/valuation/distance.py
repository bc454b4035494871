"""How long an account would take to become liquidatable by interest or funding alone, prices and rates unchanged."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from app.domain.account import AccountSnapshot
from app.domain.chain import BlockRef
from app.domain.risk import Health, RiskStatus
from app.domain.specs import chain_spec
from app.domain.units import SECONDS_PER_YEAR
from app.protocols.base import DeploymentState


class Horizon(StrEnum):
    """Answers that are not a number of seconds."""

    NEVER = "never"
    """No debt, or none that grows; no position, or one that funding never gets there."""
    MORE_THAN_A_YEAR = "more_than_a_year"


TimeToLiquidation: TypeAlias = int | Horizon

_FOREVER = 1000 * SECONDS_PER_YEAR


def seconds_to_liquidation(
    state: DeploymentState, snapshot: AccountSnapshot, block: BlockRef
) -> TimeToLiquidation | None:
    """Seconds from `block` until the exact rule says liquidatable; 0 when it does already, None when unknown.

    The answer t is exact: liquidatable at the block's time + t, not one second before. (Where interest runs by
    blocks, exact as far as blocks keep coming at their chain's usual pace.) Supply interest is linear in time
    and debt interest convex, so what is left of an account's capacity is concave: having turned, it stays turned,
    and one turn within the year is found by bisection in at most 26 evaluations. Where an account grazes the limit
    to within its own rounding (versions that truncate the average threshold: 1 bp of its collateral), verdicts may
    flicker around the turn; then the turn found need not be the very first. Funding is linear in time as well, so all
    of it holds for perps; it may also be received, and then the account never gets there.
    """
    now = _health_after(0, state, snapshot, block)
    match now.status:
        case RiskStatus.UNKNOWN:
            return None
        case RiskStatus.NO_DEBT:
            return Horizon.NEVER
        case RiskStatus.LIQUIDATABLE:
            return 0
        case RiskStatus.HEALTHY:
            pass
    if not _is_liquidatable_after(SECONDS_PER_YEAR, state, snapshot, block):
        later = _health_after(_FOREVER, state, snapshot, block)
        if now.debt_value is None:  # a perp account owes margin, not debt: only the verdict tells
            return Horizon.NEVER if later.status is RiskStatus.HEALTHY else Horizon.MORE_THAN_A_YEAR
        return Horizon.NEVER if later.debt_value == now.debt_value else Horizon.MORE_THAN_A_YEAR
    healthy, liquidatable = 0, SECONDS_PER_YEAR
    while liquidatable - healthy > 1:
        middle = (healthy + liquidatable) // 2
        if _is_liquidatable_after(middle, state, snapshot, block):
            liquidatable = middle
        else:
            healthy = middle
    return liquidatable


def _is_liquidatable_after(seconds: int, state: DeploymentState, snapshot: AccountSnapshot, block: BlockRef) -> bool:
    return _health_after(seconds, state, snapshot, block).status is RiskStatus.LIQUIDATABLE


def _health_after(seconds: int, state: DeploymentState, snapshot: AccountSnapshot, block: BlockRef) -> Health:
    """Health `seconds` after the block, with as many blocks more as its chain usually makes in that time."""
    blocks = int(seconds / chain_spec(block.chain_id).block_seconds)
    return state.at(block.timestamp + seconds, block.number + blocks).health(snapshot)
