"""Puts stored pieces together and asks the adapter: account states + deployment states -> assessments.

Pure: time is the block's own timestamp. What is not known stays unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.account import AccountKey, AccountSnapshot, AccountState, NotYetRead, Unreadable
from app.domain.chain import BlockRef
from app.domain.market import Deployment, Market, MarketQuote, MarketRecord, ValueUnit
from app.domain.risk import Health, PerpRisk, PositionRisk, Reason, Restoration, RiskAssessment, RiskStatus
from app.domain.units import WAD
from app.protocols.base import Adapter, DeploymentState, PricedState, ProtocolKind
from app.valuation.distance import TimeToLiquidation, seconds_to_liquidation
from app.valuation.faults import note_fault

RISK_ORDER = {
    RiskStatus.LIQUIDATABLE: 0,
    RiskStatus.UNKNOWN: 1,
    RiskStatus.HEALTHY: 2,
    RiskStatus.NO_DEBT: 3,
}
"""Riskiest first. What is unknown may be liquidatable, so it comes before what is known to be healthy."""


NO_FACTOR_WAD = -(10**89)
"""Stands for "no health factor" where accounts are put in order: below every factor there is."""

NO_UNIT = ValueUnit(None, 0, 0)
"""Of an account whose deployment's state was never stored."""

UNKNOWN_HEALTH = Health(RiskStatus.UNKNOWN, None, None, None)
"""Of what cannot be assessed."""


@dataclass(frozen=True, slots=True)
class StateAt:
    """One deployment at one stored block, with interest accrued to that block's timestamp."""

    deployment: Deployment
    block: BlockRef
    state: DeploymentState
    priced: PricedState
    market_by_code: dict[str, Market]
    quote_by_code: dict[str, MarketQuote]


@dataclass(frozen=True, slots=True)
class AccountAssessment:
    """All that can be said of one account at one block."""

    key: AccountKey
    kind: ProtocolKind
    state: StateAt | None
    """None: the deployment's own state was never stored, so nothing can be valued."""
    assessment: RiskAssessment
    read_at_block: int | None
    time_to_liquidation: TimeToLiquidation | None
    """By interest or funding alone; None without a known debt or position."""
    restoration: Restoration | None
    """None without a known debt or position, and where the health factor is at or above the target already."""

    @property
    def value_unit(self) -> ValueUnit:
        """What the account's values and prices are counted in."""
        return NO_UNIT if self.state is None else self.state.state.value_unit(self.key.unit)

    @property
    def equity_value(self) -> int | None:
        """What a perp account is worth as a whole; None for lending and when unknown.

        Without a position there is no profit to tell from what is posted, so that is the equity then.
        """
        if self.kind is not ProtocolKind.PERP:
            return None
        margin = self.assessment.margin
        return self.assessment.collateral_value if margin is None else margin.equity_value


def restore_at(
    adapter: Adapter,
    deployment: Deployment,
    markets: Sequence[Market],
    records: Sequence[MarketRecord],
    block: BlockRef,
) -> StateAt:
    """The deployment's state as stored at `block`.

    Raises:
        Fatal: the records are not this adapter's, or incomplete.
    """
    return state_at(deployment, adapter.restore_state(deployment, markets, records), block)


def state_at(deployment: Deployment, state: DeploymentState, block: BlockRef) -> StateAt:
    """A state as restored, with interest accrued to `block`."""
    priced = state.at(block.timestamp, block.number)
    return StateAt(
        deployment,
        block,
        state,
        priced,
        {market.code: market for market in state.markets()},
        {quote.market: quote for quote in priced.quotes()},
    )


def assess_account(
    kind: ProtocolKind,
    state: StateAt | None,
    account: AccountState | NotYetRead,
    target_health_wad: int,
    trouble: str | None = None,
) -> AccountAssessment:
    """The verdict on one account with everything around it. Never raises for what merely is not known, nor for a fault
    in its adapter: then it is unknown, `valuation_failed`.

    `trouble`: why its deployment is not followed at this moment, None where it is. What is stored of a deployment in
    trouble may be long overtaken, so nothing is said of its accounts.
    """

    def unknown(code: str, detail: str, read_at_block: int | None) -> AccountAssessment:
        return unknown_account(kind, state, account.key, Reason(code, detail), read_at_block)

    if trouble is not None:
        read_at = None if isinstance(account, NotYetRead) else account.block_number
        return unknown("deployment_refused", trouble, read_at)
    if isinstance(account, NotYetRead):
        return unknown("not_read_yet", "found in the logs; its state had not been read at this block", None)
    if isinstance(account, Unreadable):
        return unknown("account_unreadable", account.reason, account.block_number)
    if state is None:
        detail = "the deployment's markets are not stored at this block"
        return unknown("market_state_missing", detail, account.block_number)
    try:
        return _assessed(kind, state, account, target_health_wad)
    except Exception as fault:  # the adapter's own code: see app.valuation.faults
        reason = note_fault(account.key.deployment_id, state.block, fault)
        return unknown_account(kind, state, account.key, reason, account.block_number)


def unknown_account(
    kind: ProtocolKind, state: StateAt | None, key: AccountKey, reason: Reason, read_at_block: int | None
) -> AccountAssessment:
    """An account of which nothing is known but why."""
    risk = RiskAssessment(RiskStatus.UNKNOWN, (reason,))
    return AccountAssessment(key, kind, state, risk, read_at_block, None, None)


def _assessed(
    kind: ProtocolKind, state: StateAt, account: AccountSnapshot, target_health_wad: int
) -> AccountAssessment:
    risk = state.priced.assess(account)
    is_exposed = risk.status in (RiskStatus.HEALTHY, RiskStatus.LIQUIDATABLE)
    health = risk.health_factor_wad
    below_target = is_exposed and (health is None or health < target_health_wad)
    return AccountAssessment(
        account.key,
        kind,
        state,
        risk,
        account.block_number,
        seconds_to_liquidation(state.state, account, state.block) if is_exposed else None,
        state.priced.restoration(account, target_health_wad) if below_target else None,
    )


def quick_health(state: StateAt | None, account: AccountState | NotYetRead) -> Health:
    """Verdict, values and utilisation only: what a line of a ranking and a point of history need. Unknown where the
    adapter fails."""
    if state is None or not isinstance(account, AccountSnapshot):
        return UNKNOWN_HEALTH
    try:
        return state.priced.health(account)
    except Exception as fault:  # the adapter's own code: see app.valuation.faults
        note_fault(account.key.deployment_id, state.block, fault)
        return UNKNOWN_HEALTH


def risk_order(status: RiskStatus, health_factor_wad: int | None) -> tuple[int, int]:
    """Sort key: riskiest first; by health factor, which of a perp account may be below zero."""
    return (RISK_ORDER[status], NO_FACTOR_WAD if health_factor_wad is None else health_factor_wad)


def sorted_riskiest_first(accounts: Sequence[AccountAssessment]) -> list[AccountAssessment]:
    """Riskiest first: by status, then by how small an adverse move is enough; ties by deployment, then unit.

    A health factor alone does not compare across protocols: equity may be half as much again as a perp's maintenance
    margin, and a move of three per cent still be the end of it.
    """
    return sorted(accounts, key=lambda a: (RISK_ORDER[a.assessment.status], _nearness_wad(a.assessment), a.key))


def _nearness_wad(risk: RiskAssessment) -> int:
    """The adverse move that is enough, WAD: of all collateral together against the debt, and of a perp account the
    smallest of any one price. Below zero where it has come already; for what has nothing to lose only an order."""
    health = risk.health_factor_wad
    if health is None:
        return NO_FACTOR_WAD
    held: tuple[PositionRisk | PerpRisk, ...] = (*risk.perps, *risk.positions) if risk.perps else ()
    moves = [abs(one.liquidation_price.distance_wad) for one in held if one.liquidation_price is not None]
    if moves and health >= WAD:
        return min(moves)
    return WAD - WAD * WAD // health if health > 0 else health - WAD**3
