"""A wallet after price moves: every account by its protocol's exact rule, and what the wallet is worth then.

Everything but prices stays: amounts, rates, and nobody is liquidated on the way. What is counted in a token is
converted to USD at the token's own moved price. A perp's mark moves with its base.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from app.domain.account import AccountKey, AccountSnapshot
from app.domain.risk import Reason, RiskAssessment, RiskStatus
from app.valuation.assess import AccountAssessment
from app.valuation.conversion import UsdPrice, usd_values
from app.valuation.groups import AssetGroups
from app.valuation.shocks import Shock, measure_multiplier_wad, prices_of, scaled, shocked_prices, with_prices
from app.valuation.totals import WalletTotals, wallet_totals


@dataclass(frozen=True, slots=True)
class StressedAccount:
    """One account before and after."""

    key: AccountKey
    before: RiskAssessment
    after: RiskAssessment
    decimals: int
    """Of `net_before` and `net_after`."""
    net_before: int | None
    """Collateral - debt, of perps equity, in USD, as the wallet's totals count it; None when not known in USD."""
    net_after: int | None

    @property
    def pnl(self) -> int | None:
        """What the account is worth more after the moves; below 0: less."""
        return None if self.net_before is None or self.net_after is None else self.net_after - self.net_before


@dataclass(frozen=True, slots=True)
class StressedWallet:
    """A wallet before and after."""

    accounts: tuple[StressedAccount, ...]
    """In the order given."""
    before: WalletTotals
    after: WalletTotals


def stress_wallet(
    accounts: Sequence[tuple[AccountSnapshot | None, AccountAssessment]],
    prices: Mapping[AccountKey, UsdPrice],
    shock: Shock,
    groups: AssetGroups,
    changed: Mapping[AccountKey, AccountSnapshot] | None = None,
) -> StressedWallet:
    """Every account after `shock`.

    Args:
        accounts: raw state and assessment; without a state (unreadable, not read yet) an account stays unknown.
        prices: what converts the accounts not counted in USD.
        changed: accounts whose state is another one after, see `app.valuation.what_if`.
    """
    after, moved_prices = [], {}
    for snapshot, account in accounts:
        then = (changed or {}).get(account.key, snapshot)
        assessment = _assessed(then, account, shock, groups, is_changed=then is not snapshot)
        after.append(replace(account, assessment=assessment))
        price = prices.get(account.key)
        multiplier = measure_multiplier_wad(shock, account.value_unit, groups)
        if price is not None and multiplier is not None:
            moved_prices[account.key] = replace(price, price=scaled(price.price, multiplier))
    lines = []
    for (_, old), new in zip(accounts, after, strict=True):
        decimals, net_before = _net(old, prices.get(old.key))
        _, net_after = _net(new, moved_prices.get(new.key))
        lines.append(StressedAccount(old.key, old.assessment, new.assessment, decimals, net_before, net_after))
    return StressedWallet(
        tuple(lines), wallet_totals([account for _, account in accounts], prices), wallet_totals(after, moved_prices)
    )


def _assessed(
    snapshot: AccountSnapshot | None,
    account: AccountAssessment,
    shock: Shock,
    groups: AssetGroups,
    *,
    is_changed: bool,
) -> RiskAssessment:
    state = account.state
    if snapshot is None or state is None or account.assessment.status is RiskStatus.UNKNOWN:
        return account.assessment
    before = state.priced.assess(snapshot) if is_changed else account.assessment
    prices = shocked_prices(prices_of(before), state.market_by_code, account.value_unit, shock, groups)
    if prices is None:
        reason = Reason("measure_unknown", "nobody knows what its values are counted in, so how prices in it move")
        return RiskAssessment(RiskStatus.UNKNOWN, (reason,))
    return with_prices(state.priced, prices).assess(snapshot) if prices else before


def _net(account: AccountAssessment, price: UsdPrice | None) -> tuple[int, int | None]:
    """Decimals and net value in USD."""
    values = usd_values(account, price)
    if values is None:
        return 0, None
    if values.equity is not None:
        return values.decimals, values.equity
    if values.collateral is None or values.debt is None:
        return values.decimals, None
    return values.decimals, values.collateral - values.debt
