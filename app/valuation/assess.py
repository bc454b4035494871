"""Puts stored pieces together and asks the adapter: account states + deployment states -> assessments, totals.

Pure: time is the block's own timestamp. What is not known stays unknown: an account without a number is counted
as missing from every sum, never as zero in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.account import AccountKey, AccountSnapshot, AccountState, NotYetRead, Unreadable
from app.domain.chain import BlockRef
from app.domain.market import Deployment, Market, MarketQuote, MarketRecord, ValueUnit
from app.domain.risk import Health, Reason, Restoration, RiskAssessment, RiskStatus
from app.protocols.base import Adapter, DeploymentState, PricedState
from app.valuation.distance import TimeToLiquidation, seconds_to_liquidation

USD = "USD"

RISK_ORDER = {
    RiskStatus.LIQUIDATABLE: 0,
    RiskStatus.UNKNOWN: 1,
    RiskStatus.HEALTHY: 2,
    RiskStatus.NO_DEBT: 3,
}
"""Riskiest first. What is unknown may be liquidatable, so it comes before what is known to be healthy."""


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
    state: StateAt | None
    """None: the deployment's own state was never stored, so nothing can be valued."""
    assessment: RiskAssessment
    read_at_block: int | None
    time_to_liquidation: TimeToLiquidation | None
    """By interest alone; None without a known debt."""
    restoration: Restoration | None
    """None without a known debt, and where the health factor is at or above the target already."""

    @property
    def value_unit(self) -> ValueUnit:
        """What the account's values and prices are counted in."""
        return NO_UNIT if self.state is None else self.state.state.value_unit(self.key.unit)


@dataclass(frozen=True, slots=True)
class WalletTotals:
    """Sums in `decimals` decimals of USD over the accounts that have known USD values."""

    decimals: int
    collateral: int | None
    """None when there are accounts and none of them could be counted."""
    debt: int | None
    accounts: int
    unknown_accounts: int
    other_currency_accounts: int
    worst_status: RiskStatus | None
    worst_health_factor_wad: int | None


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
    state = adapter.restore_state(deployment, markets, records)
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
    state: StateAt | None, account: AccountState | NotYetRead, target_health_wad: int
) -> AccountAssessment:
    """The verdict on one account with everything around it. Never raises for what merely is not known."""
    if isinstance(account, NotYetRead):
        what = "found in the logs; its state had not been read at this block"
        return _unknown(account.key, state, None, "not_read_yet", what)
    if isinstance(account, Unreadable):
        return _unknown(account.key, state, account.block_number, "account_unreadable", account.reason)
    if state is None:
        detail = "the deployment's markets are not stored at this block"
        return _unknown(account.key, state, account.block_number, "market_state_missing", detail)
    risk = state.priced.assess(account)
    has_debt = risk.status in (RiskStatus.HEALTHY, RiskStatus.LIQUIDATABLE)
    health = risk.health_factor_wad
    below_target = has_debt and (health is None or health < target_health_wad)
    return AccountAssessment(
        account.key,
        state,
        risk,
        account.block_number,
        seconds_to_liquidation(state.state, account, state.block) if has_debt else None,
        state.priced.restoration(account, target_health_wad) if below_target else None,
    )


def quick_health(state: StateAt | None, account: AccountState | NotYetRead) -> Health:
    """Verdict, values and utilisation only: what a line of a ranking and a point of history need."""
    if state is None or not isinstance(account, AccountSnapshot):
        return UNKNOWN_HEALTH
    return state.priced.health(account)


def risk_order(status: RiskStatus, health_factor_wad: int | None) -> tuple[int, int]:
    """Sort key: riskiest first; by health factor where there is one."""
    return (RISK_ORDER[status], -1 if health_factor_wad is None else health_factor_wad)


def sorted_riskiest_first(accounts: Sequence[AccountAssessment]) -> list[AccountAssessment]:
    """Riskiest first; ties by deployment, then unit, so that the order never depends on the input's."""
    return sorted(
        accounts,
        key=lambda a: (*risk_order(a.assessment.status, a.assessment.health_factor_wad), a.key),
    )


def wallet_totals(accounts: Sequence[AccountAssessment]) -> WalletTotals:
    """Sum what can be summed and count what cannot."""
    known = [a for a in accounts if a.assessment.status is not RiskStatus.UNKNOWN]
    counted = [(a.assessment, a.value_unit.decimals) for a in known if a.value_unit.currency == USD]
    decimals = max((places for _, places in counted), default=8)
    collateral = debt = 0
    for assessment, places in counted:
        scale = 10 ** (decimals - places)
        collateral += (assessment.collateral_value or 0) * scale
        debt += (assessment.debt_value or 0) * scale
    nothing_known = bool(accounts) and not counted
    healths = [a.assessment.health_factor_wad for a in accounts if a.assessment.health_factor_wad is not None]
    return WalletTotals(
        decimals,
        None if nothing_known else collateral,
        None if nothing_known else debt,
        len(accounts),
        len(accounts) - len(known),
        len(known) - len(counted),
        min((a.assessment.status for a in accounts), key=lambda status: RISK_ORDER[status], default=None),
        min(healths, default=None),
    )


def _unknown(
    key: AccountKey, state: StateAt | None, read_at_block: int | None, code: str, detail: str
) -> AccountAssessment:
    risk = RiskAssessment(RiskStatus.UNKNOWN, (Reason(code, detail),))
    return AccountAssessment(key, state, risk, read_at_block, None, None)
