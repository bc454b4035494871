"""Sums over the accounts of a wallet, in USD, and what those sums leave out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.domain.account import AccountKey
from app.domain.risk import RiskStatus
from app.protocols.base import ProtocolKind
from app.valuation.assess import RISK_ORDER, AccountAssessment
from app.valuation.conversion import UsdPrice, UsdValues, counts_in_usd, usd_values


@dataclass(frozen=True, slots=True)
class WalletTotals:
    """Sums in `decimals` decimals of USD over the accounts whose values are known in USD, converted or not.

    Lending is summed as collateral and debt, perps as equity, which already holds their margin and their unrealised
    profit: nothing is counted twice. A sum is None when there are accounts of its kind and none could be counted.
    """

    decimals: int
    collateral: int | None
    debt: int | None
    perp_equity: int | None
    perp_notional: int | None
    perp_unrealized_pnl: int | None
    net: int | None
    """Collateral - debt + perp equity, of all that could be counted; None when there are accounts and none could."""
    accounts: int
    unknown_accounts: int
    converted_accounts: int
    """Counted in the sums by another market's oracle price."""
    other_currency_accounts: int
    """Known, but not in USD, and nobody followed prices what they are counted in."""
    worst_status: RiskStatus | None
    worst_health_factor_wad: int | None


def wallet_totals(accounts: Sequence[AccountAssessment], prices: Mapping[AccountKey, UsdPrice]) -> WalletTotals:
    """Sum what can be summed and count what cannot. `prices`: what converts the accounts not counted in USD."""
    known = [a for a in accounts if a.assessment.status is not RiskStatus.UNKNOWN]
    counted = [(a, values) for a in known if (values := usd_values(a, prices.get(a.key))) is not None]
    lending = [values for a, values in counted if a.kind is ProtocolKind.LENDING]
    perps = [values for a, values in counted if a.kind is ProtocolKind.PERP]
    decimals = max((values.decimals for _, values in counted), default=8)
    has_lending = any(a.kind is ProtocolKind.LENDING for a in accounts)
    has_perps = any(a.kind is ProtocolKind.PERP for a in accounts)

    def total(values: list[UsdValues], part: Callable[[UsdValues], int | None], is_expected: bool) -> int | None:
        if is_expected and not values:
            return None
        summed = 0
        for each in values:
            summed += (part(each) or 0) * 10 ** (decimals - each.decimals)
        return summed

    collateral = total(lending, lambda values: values.collateral, has_lending)
    debt = total(lending, lambda values: values.debt, has_lending)
    equity = total(perps, lambda values: values.equity, has_perps)
    notional = total(perps, lambda values: values.notional, has_perps)
    profit = total(perps, lambda values: values.unrealized_pnl, has_perps)
    healths = [a.assessment.health_factor_wad for a in accounts if a.assessment.health_factor_wad is not None]
    return WalletTotals(
        decimals,
        collateral,
        debt,
        equity,
        notional,
        profit,
        None if accounts and not counted else (collateral or 0) - (debt or 0) + (equity or 0),
        len(accounts),
        len(accounts) - len(known),
        sum(not counts_in_usd(a.value_unit) for a, _ in counted),
        len(known) - len(counted),
        min((a.assessment.status for a in accounts), key=lambda status: RISK_ORDER[status], default=None),
        min(healths, default=None),
    )
