"""The contract's own arithmetic on signed numbers, line by line, as a second opinion.

Source: Comet.sol and CometCore.sol of compound-finance/comet.
"""

from __future__ import annotations

from app.domain.account import AccountSnapshot
from app.protocols.compound_v3.raw import Raw

FACTOR, INDEX = 10**18, 10**15


def sdiv(a: int, b: int) -> int:
    """Solidity's signed division: towards zero."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def indices(raw: Raw, now: int) -> tuple[int, int]:
    """`accruedInterestIndices`: supply and borrow."""
    totals, curves = raw.totals, raw.curves
    assert totals is not None
    assert curves is not None
    elapsed = now - totals.accrued_at
    if elapsed == 0:
        return totals.supply_index, totals.borrow_index
    supplied = totals.total_supply * totals.supply_index // INDEX
    borrowed = totals.total_borrow * totals.borrow_index // INDEX
    used = 0 if supplied == 0 else borrowed * FACTOR // supplied
    grown = []
    for curve, index in ((curves.supply, totals.supply_index), (curves.borrow, totals.borrow_index)):
        if used <= curve.kink:
            rate = curve.base + curve.slope_low * used // FACTOR
        else:
            rate = curve.base + curve.slope_low * curve.kink // FACTOR
            rate += curve.slope_high * (used - curve.kink) // FACTOR
        grown.append(index + index * (rate * elapsed) // FACTOR)
    return grown[0], grown[1]


def principal_of(raw: Raw, account: AccountSnapshot) -> int:
    return sum(p.supplied_raw - p.borrowed_raw for p in account.positions if p.market == raw.base.code)


def present_value(principal: int, supply_index: int, borrow_index: int) -> int:
    """`presentValue`: signed."""
    if principal >= 0:
        return principal * supply_index // INDEX
    return -(-principal * borrow_index // INDEX)


def principal_value(value: int, supply_index: int, borrow_index: int) -> int:
    """`principalValue`: signed, supply rounded down, debt up."""
    if value >= 0:
        return value * INDEX // supply_index
    return -((-value * INDEX + borrow_index - 1) // borrow_index)


def liquidity(
    raw: Raw, account: AccountSnapshot, supply_index: int, borrow_index: int, *, borrowing: bool
) -> int | None:
    """What `isLiquidatable` and `isBorrowCollateralized` look at the sign of; None where they revert."""
    principal = principal_of(raw, account)
    if principal >= 0:
        return 0
    price = raw.prices[raw.base.code]
    if not price or raw.base.terms is None:
        return None
    result = sdiv(present_value(principal, supply_index, borrow_index) * price, raw.base.terms.scale)
    balances = {p.market: p.supplied_raw for p in account.positions if p.is_collateral}
    for one in raw.collaterals:
        if one.code in balances:
            if result >= 0:
                return result
            price = raw.prices[one.code]
            if not price or one.terms is None:
                return None
            value = balances[one.code] * price // one.terms.scale
            result += value * (one.terms.borrow_factor if borrowing else one.terms.liquidate_factor) // FACTOR
    return result


def truth(raw: Raw, account: AccountSnapshot, now: int) -> tuple[int, int, int, int] | None:
    """isLiquidatable, isBorrowCollateralized (stored indices), borrowBalanceOf, balanceOf (accrued ones)."""
    assert raw.totals is not None
    stored = raw.totals.supply_index, raw.totals.borrow_index
    against = liquidity(raw, account, *stored, borrowing=False)
    borrowing = liquidity(raw, account, *stored, borrowing=True)
    if against is None or borrowing is None:
        return None
    value = present_value(principal_of(raw, account), *indices(raw, now))
    return int(against < 0), int(borrowing >= 0), max(-value, 0), max(value, 0)


def absorbable(raw: Raw, account: AccountSnapshot, now: int) -> bool | None:
    """Whether `absorb` goes through: it accrues before it looks."""
    found = liquidity(raw, account, *indices(raw, now), borrowing=False)
    return None if found is None else found < 0
