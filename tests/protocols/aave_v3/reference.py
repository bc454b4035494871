"""The six numbers of getUserAccountData a second time: slow, on exact rationals, written from the protocol's rules
and not from the adapter. Rounding is spelt out where it happens.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

from app.domain.account import AccountSnapshot
from app.protocols.aave_v3.raw import Raw

RAY = Fraction(10**27)
YEAR = 31_536_000


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def income(raw: Raw, code: str, now: int) -> int:
    indices = raw.indices[code]
    assert indices is not None
    elapsed = now - indices.updated_at
    if elapsed == 0:
        return indices.liquidity_index
    grown = RAY + floor(Fraction(indices.liquidity_rate * elapsed, YEAR))
    return half_up(grown * indices.liquidity_index / RAY)


def debt_index(raw: Raw, code: str, now: int, *, since_3_4: bool) -> int:
    indices = raw.indices[code]
    assert indices is not None
    rate, t = indices.borrow_rate, now - indices.updated_at
    if t == 0:
        return indices.borrow_index
    if since_3_4:
        x = floor(Fraction(rate * t, YEAR))
        cube = half_up(Fraction(x) * floor(Fraction(x, 6)) / RAY)
        factor = RAY + x + half_up(Fraction(x) * (floor(Fraction(x, 2)) + cube) / RAY)
    else:
        second = floor(half_up(Fraction(rate) * rate / RAY) / Fraction(YEAR * YEAR))
        third = floor(half_up(Fraction(second) * rate / RAY) / Fraction(YEAR))
        before = max(t - 2, 0)
        factor = RAY + floor(Fraction(rate * t, YEAR))
        factor += floor(Fraction(t * (t - 1) * second, 2)) + floor(Fraction(t * (t - 1) * before * third, 6))
    return half_up(factor * indices.borrow_index / RAY)


def account_data(raw: Raw, account: AccountSnapshot, now: int, version: str) -> tuple[int, ...]:
    """By the rules of a version such as "3.5"."""
    minor = int(version.split(".")[1])
    emode = account.params[0]
    mode = raw.emodes.get(emode)
    collateral = debt = lendable = weighted = 0
    for position in account.positions:
        reserve = raw.by_code[position.market]
        word = reserve.word
        assert word is not None
        ltv, threshold = word % 2**16, (word // 2**16) % 2**16
        skipped = threshold == 0 and minor <= 5
        inside = False
        if emode and mode is not None:
            category = (word // 2**168) % 2**8
            inside = category == emode if minor <= 1 else bool((mode.collateral_bitmap or 0) // 2**reserve.id % 2)
        price = raw.prices[position.market].value
        if inside and minor <= 1 and raw.emode_prices.get(emode):
            price = raw.emode_prices[emode]
        assert price is not None
        if inside and mode is not None:
            threshold = mode.threshold_bps or 0
            if minor >= 6:
                ltv = 0 if (mode.ltv_zero_bitmap or 0) // 2**reserve.id % 2 else mode.ltv_bps or 0
            elif ltv:
                ltv = mode.ltv_bps or 0
        elif minor >= 7 and mode is not None and mode.isolated:
            ltv = 0
        unit = 10**reserve.decimals
        if position.is_collateral and not skipped:
            exact = Fraction(position.supplied_raw * income(raw, position.market, now)) / RAY
            value = floor(Fraction((floor(exact) if minor >= 5 else half_up(exact)) * price, unit))
            collateral += value
            lendable += value * ltv
            weighted += value * threshold
        if position.borrowed_raw:
            index = debt_index(raw, position.market, now, since_3_4=minor >= 4)
            exact = Fraction(position.borrowed_raw * index) / RAY
            if minor >= 5:
                debt += ceil(Fraction(ceil(exact) * price, unit))
            else:
                debt += floor(Fraction(half_up(exact) * price, unit))
    average_ltv = floor(Fraction(lendable, collateral)) if collateral else 0
    average_threshold = floor(Fraction(weighted, collateral)) if collateral else 0
    limit = Fraction(collateral * average_ltv, 10_000)
    available = max(0, (floor(limit) if minor >= 5 else half_up(limit)) - debt)
    if not debt:
        health = 2**256 - 1
    elif minor >= 5:
        health = floor(Fraction(floor(Fraction(weighted * 10**18 + debt // 2, debt)), 10_000))
    else:
        capacity = half_up(Fraction(collateral * average_threshold, 10_000))
        health = floor(Fraction(capacity * 10**18 + debt // 2, debt))
    return collateral, debt, available, average_threshold, average_ltv, health
