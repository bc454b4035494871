"""One market at one time, and what one account has in it."""

from __future__ import annotations

from typing import NamedTuple

from app.domain.account import AccountSnapshot
from app.protocols.morpho_blue.raw import BlueMarket, Totals
from app.protocols.morpho_blue.solvency import Debtor, collateral_value


class Terms(NamedTuple):
    """A market with its interest added up to a time. None is "not known"."""

    market: BlueMarket
    totals: Totals | None
    price: int | None


class Holding(NamedTuple):
    """A position as the contract holds it."""

    supply_shares: int
    borrow_shares: int
    collateral: int

    @property
    def needs_totals(self) -> bool:
        """Whether anything of it is worth what the market's totals say."""
        return bool(self.supply_shares or self.borrow_shares)


def holding_of(market: BlueMarket, snapshot: AccountSnapshot) -> Holding | None:
    """The account's position; None when the snapshot names anything that is not of this market."""
    supply_shares = borrow_shares = collateral = 0
    for position in snapshot.positions:
        if position.market == market.loan_code:
            supply_shares, borrow_shares = position.supplied_raw, position.borrowed_raw
        elif position.market == market.collateral_code:
            collateral = position.supplied_raw
        else:
            return None
    return Holding(supply_shares, borrow_shares, collateral)


def debtor_of(terms: Terms, holding: Holding) -> Debtor | None:
    """A holding with debt as the rule of health sees it; None without debt or when something needed is not known."""
    if terms.totals is None or terms.price is None or not holding.borrow_shares:
        return None
    if collateral_value(holding.collateral, terms.price) is None:
        return None
    lltv = terms.market.params.lltv_wad
    return Debtor(terms.totals, lltv, terms.price, holding.borrow_shares, holding.collateral)
