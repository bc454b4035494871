"""An account in one market as a sum that is linear in two numbers a block: its legs, and those numbers.

Whole loan tokens that one collateral unit, and one borrow share, is worth. Lenders and collateral without debt are left
out: nothing can happen to them. What the contract rounds is left out too: the book screens, `MorphoPrices.health`
decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from app.domain.account import AccountSnapshot
from app.domain.legs import Factor, Leg
from app.domain.units import WAD
from app.protocols.morpho_blue.accrual import VIRTUAL_ASSETS, VIRTUAL_SHARES
from app.protocols.morpho_blue.solvency import ORACLE_SCALE
from app.protocols.morpho_blue.terms import Terms, holding_of


def make_legs(terms: Terms | None, snapshot: AccountSnapshot) -> tuple[Leg, ...] | None:
    """The account's legs; None when something it needs could not be read, and it is UNKNOWN."""
    holding = None if terms is None else holding_of(terms.market, snapshot)
    if terms is None or holding is None or (holding.needs_totals and terms.totals is None):
        return None
    if not holding.borrow_shares:
        return ()
    unit, collateral = terms.market.id, float(holding.collateral)
    return (
        Leg(f"s:{unit}", collateral, collateral * terms.market.params.lltv_wad / WAD, 0.0),
        Leg(f"b:{unit}", 0.0, 0.0, float(holding.borrow_shares)),
    )


def make_factors(markets: Iterable[Terms]) -> tuple[Factor, ...]:
    """Every factor of these markets."""
    return tuple(factor for terms in markets for factor in _pair(terms))


def basis(markets: Iterable[Terms]) -> object:
    """What legs depend on besides the account: equal values mean that legs made before still hold."""
    return {terms.market.id: terms.totals is None for terms in markets}


def _pair(terms: Terms) -> Iterator[Factor]:
    """Collateral is dearer in loan tokens that are cheaper: its factor falls with the loan token's own price."""
    market, totals = terms.market, terms.totals
    loan_unit = 10**market.loan_decimals
    price = None if terms.price is None else terms.price / ORACLE_SCALE / loan_unit
    yield Factor(f"s:{market.id}", price, rises_with=market.collateral_code, falls_with=market.loan_code)
    share = None
    if totals is not None:
        share = (totals.borrow_assets + VIRTUAL_ASSETS) / (totals.borrow_shares + VIRTUAL_SHARES) / loan_unit
    yield Factor(f"b:{market.id}", share)
