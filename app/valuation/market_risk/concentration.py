"""How much of the debt a few hold."""

from __future__ import annotations

from collections import defaultdict
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


def concentration(market: RiskMarket, count: int = 10, *, below: float | None = None) -> Concentration:
    """The `count` largest. `below`: only accounts with a health below it."""
    screen = market.screen
    ledgers = market.row_ledgers(screen)
    rates = market.ledger_rates()[ledgers] if ledgers.size else np.zeros(0)
    debt = screen.requirement * rates
    with np.errstate(invalid="ignore"):
        chosen = (debt > 0) & ~market.is_perp_row(ledgers)
        if below is not None:
            chosen &= screen.health < below
    places = np.flatnonzero(chosen)
    keys = market.keys(places)
    owed = debt[places].tolist()
    largest = sorted(zip(owed, keys, strict=True), key=lambda one: (-one[0], one[1]))[:count]
    by_wallet: dict[Address, float] = defaultdict(float)
    for amount, key in zip(owed, keys, strict=True):
        by_wallet[key.wallet] += amount
    wallets = sorted(by_wallet.items(), key=lambda one: (-one[1], one[0]))[:count]
    return Concentration(
        float(debt[places].sum()),
        tuple(Holder(key.wallet, key, amount) for amount, key in largest),
        tuple(Holder(wallet, None, amount) for wallet, amount in wallets),
    )
