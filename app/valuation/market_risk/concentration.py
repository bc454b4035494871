"""How much of the debt a few hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.domain.account import AccountKey
from app.domain.chain import Address
from app.valuation.market_risk.market import RiskMarket


@dataclass(frozen=True, slots=True)
class Holder:
    """One of the largest debtors."""

    wallet: Address
    account: AccountKey | None
    """None where a wallet as a whole is meant."""
    debt: float
    """US dollars."""


@dataclass(frozen=True, slots=True)
class Concentration:
    """The largest debtors, largest first, among lending accounts whose values are known in US dollars."""

    debt: float
    """Of all of them."""
    accounts: tuple[Holder, ...]
    wallets: tuple[Holder, ...]

    @property
    def account_share(self) -> float | None:
        """Part of `debt` owed by `accounts`; None when nobody owes anything."""
        return sum(one.debt for one in self.accounts) / self.debt if self.debt else None

    @property
    def wallet_share(self) -> float | None:
        """Part of `debt` owed by `wallets`."""
        return sum(one.debt for one in self.wallets) / self.debt if self.debt else None


def concentration(markets: Sequence[RiskMarket], count: int = 10) -> Concentration:
    """The `count` largest over all these markets."""
    owed = [line for market in markets for line in _debts(market)]
    largest = sorted(owed, key=lambda line: (-line[0], line[1]))[:count]
    by_wallet: dict[Address, float] = defaultdict(float)
    for debt, key in owed:
        by_wallet[key.wallet] += debt
    wallets = sorted(by_wallet.items(), key=lambda one: (-one[1], one[0]))[:count]
    return Concentration(
        sum(debt for debt, _ in owed),
        tuple(Holder(key.wallet, key, debt) for debt, key in largest),
        tuple(Holder(wallet, None, debt) for wallet, debt in wallets),
    )


def _debts(market: RiskMarket) -> list[tuple[float, AccountKey]]:
    """What every account owes, in US dollars."""
    ledgers = market.row_ledgers(market.screen)
    if not ledgers.size:
        return []
    debt = market.screen.requirement * market.ledger_rates()[ledgers]
    with np.errstate(invalid="ignore"):
        places = np.flatnonzero((debt > 0) & ~market.is_perp_row(ledgers))
    return list(zip(debt[places].tolist(), market.screen.keys(places), strict=True))
