"""The least that brings an account to a target health factor: one repayment, or one addition of collateral."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.account import AccountSnapshot
from app.domain.risk import Remedy, Restoration
from app.domain.units import BPS, RAY, WAD, mul_div_up
from app.protocols.aave_v3.account_data import is_below
from app.protocols.aave_v3.accrual import Accrued
from app.protocols.aave_v3.legs import Leg, Totals, add_up, read_legs
from app.protocols.aave_v3.rules import Rules
from app.protocols.boundary import least, least_unbounded

MAX_ASSETS = 2**128
"""No addition beyond this is looked at."""

_PLATEAU_LIMIT = 512


def restore(accrued: Accrued, snapshot: AccountSnapshot, target_wad: int) -> Restoration:
    """Remedies as if done at this very timestamp, through the pool's own rounding of what it burns and mints.

    Empty when the target is reached already, when the account's risk is unknown, and of each kind when nothing of
    that kind reaches it. Only assets the account has as collateral are offered for addition, and nothing a paused
    or (for additions) frozen reserve would refuse; caps are not looked at.
    """
    legs, missing = read_legs(accrued, snapshot)
    totals = add_up(legs)
    if missing or not is_below(accrued.rules, totals.collateral, totals.debt, totals.weighted, target_wad):
        return Restoration(target_wad, (), ())
    repay = [_repay(accrued, leg, totals, target_wad) for leg in legs if leg.position.borrowed_raw]
    add = [_add(accrued, leg, totals, target_wad) for leg in legs if leg.threshold_bps]
    return Restoration(
        target_wad,
        tuple(remedy for remedy in repay if remedy is not None),
        tuple(remedy for remedy in add if remedy is not None),
    )


def _repay(accrued: Accrued, leg: Leg, totals: Totals, target_wad: int) -> Remedy | None:
    """The least repayment of this debt."""
    configuration = accrued.raw.configurations[leg.reserve.code]
    if configuration is None or configuration.paused or not configuration.active:
        return None
    rules, price = accrued.rules, leg.terms.price or 0
    others = totals.debt - (leg.borrowed_value or 0)
    addend = rules.debt_value_addend(leg.unit)

    def reaches(assets: int) -> bool:
        left = leg.position.borrowed_raw - _scaled(rules, assets, leg.debt_index)
        balance = (left * leg.debt_index + rules.borrowed_addend) // RAY if left > 0 else 0
        debt = others + (balance * price + addend) // leg.unit
        return not is_below(rules, totals.collateral, debt, totals.weighted, target_wad)

    return _remedy(leg, least(reaches, 1, leg.borrowed_assets))


def _add(accrued: Accrued, leg: Leg, totals: Totals, target_wad: int) -> Remedy | None:
    """The least addition of this collateral."""
    configuration = accrued.raw.configurations[leg.reserve.code]
    if configuration is None or configuration.paused or configuration.frozen or not configuration.active:
        return None
    rules, price, threshold = accrued.rules, leg.terms.price or 0, leg.threshold_bps
    own = leg.supplied_value or 0
    rest_collateral, rest_weighted = totals.collateral - own, totals.weighted - own * threshold

    def value(assets: int) -> int:
        scaled = leg.position.supplied_raw + _scaled(rules, assets, leg.income)
        return (scaled * leg.income + rules.supplied_addend) // RAY * price // leg.unit

    def reaches(assets: int) -> bool:
        worth = value(assets)
        weighted = rest_weighted + worth * threshold
        return not is_below(rules, rest_collateral + worth, totals.debt, weighted, target_wad)

    if rules.summed_threshold or threshold * rest_collateral >= rest_weighted:
        return _remedy(leg, least_unbounded(reaches, 1, MAX_ASSETS))
    # Capacity steps down by 1 bp of the collateral wherever the truncated average threshold does: search from the
    # least value that could reach the target at all, plateau by plateau.
    needed = (target_wad * totals.debt - totals.debt // 2) * BPS // WAD - BPS
    worth = max(own, -((rest_weighted - needed) // threshold))
    start = least_unbounded(lambda assets: value(assets) >= worth, 1, MAX_ASSETS)
    for _ in range(_PLATEAU_LIMIT):
        if start is None:
            return None
        end = _plateau_end(value, start, rest_collateral, rest_weighted, threshold)
        found = least(reaches, start, MAX_ASSETS if end is None else end)
        if found is not None or end is None:
            return _remedy(leg, found)
        start = end + 1 if end < MAX_ASSETS else None
    return None


def _plateau_end(
    value: Callable[[int], int], start: int, rest_collateral: int, rest_weighted: int, threshold: int
) -> int | None:
    """The last amount with the same truncated average threshold as `start`, this asset pulling the average down;
    None when there is no last one."""
    worth = value(start)
    average = (rest_weighted + worth * threshold) // (rest_collateral + worth)
    falling = average - threshold
    if falling <= 0:
        return None
    highest = (rest_weighted - average * rest_collateral) // falling
    beyond = least_unbounded(lambda assets: value(assets) > highest, start, MAX_ASSETS)
    return None if beyond is None else beyond - 1


def _scaled(rules: Rules, assets: int, index: int) -> int:
    """What the pool burns or mints in scaled units for an amount: rayDivFloor since 3.5, rayDiv half up before."""
    return assets * RAY // index if rules.directed_balances else (assets * RAY + index // 2) // index


def _remedy(leg: Leg, assets: int | None) -> Remedy | None:
    if assets is None:
        return None
    return Remedy(leg.reserve.code, assets, mul_div_up(assets, leg.terms.price or 0, leg.unit))
