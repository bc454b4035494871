"""Interest and shares as the contract works them out (`Morpho._accrueInterest`, `MathLib`, `SharesMathLib`)."""

from __future__ import annotations

from app.domain.chain import ZERO_ADDRESS
from app.domain.units import UINT256_MAX, WAD
from app.protocols.morpho_blue.raw import BlueMarket, Totals

VIRTUAL_SHARES = 10**6
VIRTUAL_ASSETS = 1
UINT128_MAX = 2**128 - 1


def to_assets_down(shares: int, assets: int, total_shares: int) -> int:
    """What `shares` are worth, rounded down, given the totals of their side."""
    return shares * (assets + VIRTUAL_ASSETS) // (total_shares + VIRTUAL_SHARES)


def to_assets_up(shares: int, assets: int, total_shares: int) -> int:
    """What `shares` are worth, rounded up."""
    return -(-shares * (assets + VIRTUAL_ASSETS) // (total_shares + VIRTUAL_SHARES))


def to_shares_down(amount: int, assets: int, total_shares: int) -> int:
    """How many shares `amount` is, rounded down."""
    return amount * (total_shares + VIRTUAL_SHARES) // (assets + VIRTUAL_ASSETS)


def to_shares_up(amount: int, assets: int, total_shares: int) -> int:
    """How many shares `amount` is, rounded up."""
    return -(-amount * (total_shares + VIRTUAL_SHARES) // (assets + VIRTUAL_ASSETS))


def compounded(rate_wad: int, seconds: int) -> int | None:
    """e^(rate x seconds) - 1 to the third term of its series, WAD; None where the contract's arithmetic overflows."""
    first = rate_wad * seconds
    if first * first > UINT256_MAX:
        return None
    second = first * first // (2 * WAD)
    if second * first > UINT256_MAX:
        return None
    return first + second + second * first // (3 * WAD)


def accrued(market: BlueMarket, timestamp: int) -> Totals | None:
    """The market's totals with interest up to `timestamp` (not before the last accrual).

    Exact at the block the rate was read at. For a later time that average rate is taken to last, which an adaptive
    model's does not quite. None when totals or a needed rate are not known, and where the contract would revert.
    """
    totals = market.totals
    if totals is None:
        return None
    seconds = timestamp - totals.updated_at
    if seconds <= 0 or not totals.borrow_assets or market.params.irm == ZERO_ADDRESS:
        return totals
    if market.rate_wad is None:
        return None
    growth = compounded(market.rate_wad, seconds)
    if growth is None or totals.borrow_assets * growth > UINT256_MAX:
        return None
    interest = totals.borrow_assets * growth // WAD
    borrow_assets, supply_assets = totals.borrow_assets + interest, totals.supply_assets + interest
    fee = interest * totals.fee_wad // WAD
    fee_shares = to_shares_down(fee, supply_assets - fee, totals.supply_shares)
    supply_shares = totals.supply_shares + fee_shares
    if max(borrow_assets, supply_assets, supply_shares) > UINT128_MAX:
        return None
    return Totals(supply_assets, supply_shares, borrow_assets, totals.borrow_shares, timestamp, totals.fee_wad)
