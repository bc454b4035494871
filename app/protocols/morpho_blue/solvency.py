"""The contract's rule of health (`Morpho._isHealthy`), its boundary in the price, and the least ways back."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.units import UINT256_MAX, WAD
from app.protocols.boundary import least
from app.protocols.morpho_blue.accrual import to_assets_up, to_shares_down, to_shares_up
from app.protocols.morpho_blue.raw import ORACLE_DECIMALS, Totals

ORACLE_SCALE: int = 10**ORACLE_DECIMALS


@dataclass(frozen=True, slots=True)
class Debtor:
    """One account in one market, with everything its health depends on."""

    totals: Totals
    """With interest up to the block."""
    lltv_wad: int
    price: int
    borrow_shares: int
    collateral: int

    @property
    def borrowed(self) -> int:
        """Debt in loan token units, rounded up; at least 1 for any shares."""
        return to_assets_up(self.borrow_shares, self.totals.borrow_assets, self.totals.borrow_shares)

    @property
    def max_borrow(self) -> int:
        """The debt up to which the account is healthy."""
        return max_borrow(self.collateral, self.price, self.lltv_wad)


def collateral_value(collateral: int, price: int | None) -> int | None:
    """In loan token units, rounded down; None without a price, and where the contract's product overflows."""
    if not collateral:
        return 0
    if price is None or collateral * price > UINT256_MAX:
        return None
    return collateral * price // ORACLE_SCALE


def max_borrow(collateral: int, price: int, lltv_wad: int) -> int:
    """The debt a collateral carries, rounded down twice as the contract does."""
    return collateral * price // ORACLE_SCALE * lltv_wad // WAD


def health_factor_wad(capacity: int, borrowed: int) -> int:
    """capacity / debt, rounded down: below 1 exactly when the contract says unhealthy. `borrowed` above 0."""
    return capacity * WAD // borrowed


def last_liquidatable_price(debtor: Debtor) -> int | None:
    """The highest oracle price at which the account is unhealthy; None when no price makes it healthy.

    The rule is two floors one in the other; each is undone by a ceiling, so one unit more is healthy.
    """
    if not debtor.collateral or not debtor.lltv_wad:
        return None
    value = -(-debtor.borrowed * WAD // debtor.lltv_wad)
    healthy = -(-value * ORACLE_SCALE // debtor.collateral)
    return None if healthy * debtor.collateral > UINT256_MAX else healthy - 1


def borrowing_room(debtor: Debtor) -> int:
    """The most the account may borrow now and be healthy, the rounding of the new shares included.

    The market's liquidity, which may be less, is another matter.
    """
    totals, capacity = debtor.totals, debtor.max_borrow

    def too_much(amount: int) -> bool:
        shares = to_shares_up(amount, totals.borrow_assets, totals.borrow_shares)
        owed = to_assets_up(debtor.borrow_shares + shares, totals.borrow_assets + amount, totals.borrow_shares + shares)
        return owed > capacity

    first = least(too_much, 1, capacity + 1)
    return 0 if first is None else first - 1


def least_repayment(debtor: Debtor, target_wad: int) -> int | None:
    """The least repayment that reaches the target, by the shares it burns and what the others then are worth."""
    totals, capacity = debtor.totals, debtor.max_borrow

    def reaches(amount: int) -> bool:
        burnt = to_shares_down(amount, totals.borrow_assets, totals.borrow_shares)
        left = debtor.borrow_shares - burnt
        if left <= 0:
            return True
        owed = to_assets_up(left, max(0, totals.borrow_assets - amount), totals.borrow_shares - burnt)
        return capacity * WAD >= target_wad * owed

    return least(reaches, 1, debtor.borrowed)


def least_addition(debtor: Debtor, target_wad: int) -> int | None:
    """The least collateral to add that reaches the target; None when the oracle's price or the LLTV is 0."""
    if not debtor.price or not debtor.lltv_wad:
        return None
    capacity = -(-target_wad * debtor.borrowed // WAD)
    value = -(-capacity * WAD // debtor.lltv_wad)
    return max(0, -(-value * ORACLE_SCALE // debtor.price) - debtor.collateral)
