"""How much of the debt a few hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest

import numpy as np

from app.domain.account import AccountKey
from app.domain.chain import Address
from app.valuation.book.arrays import Floats, Positions
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
    debts = [_debts(market) for market in markets]
    by_wallet: dict[Address, float] = defaultdict(float)
    largest: list[tuple[float, AccountKey]] = []
    for market, (places, owed) in zip(markets, debts, strict=True):
        for key, debt in zip(market.screen.keys(places), owed.tolist(), strict=True):
            by_wallet[key.wallet] += debt
        top = _largest(owed, count)
        largest += zip(owed[top].tolist(), market.screen.keys(places[top]), strict=True)
    accounts = sorted(largest, key=lambda line: (-line[0], line[1]))[:count]
    line = min(nlargest(count, by_wallet.values()), default=0.0)
    wallets = sorted((-debt, wallet) for wallet, debt in by_wallet.items() if debt >= line)[:count]
    return Concentration(
        sum(float(owed.sum()) for _, owed in debts),
        tuple(Holder(key.wallet, key, debt) for debt, key in accounts),
        tuple(Holder(wallet, None, -debt) for debt, wallet in wallets),
    )


def _debts(market: RiskMarket) -> tuple[Positions, Floats]:
    """Rows that owe something, and how much, in US dollars."""
    ledgers = market.row_ledgers(market.screen)
    if not ledgers.size:
        return np.zeros(0, np.intp), np.zeros(0)
    debt = market.screen.requirement * market.ledger_rates()[ledgers]
    with np.errstate(invalid="ignore"):
        places = np.flatnonzero((debt > 0) & ~market.is_perp_row(ledgers))
    return places, debt[places]


def _largest(owed: Floats, count: int) -> Positions:
    """Places of the `count` largest, and of all that owe as much as the last of them."""
    if owed.size <= count or count <= 0:
        return np.arange(owed.size)
    least = np.partition(owed, owed.size - count)[owed.size - count]
    return np.flatnonzero(owed >= least)
