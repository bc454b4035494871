"""An Aave account as sums that are linear in a few numbers a block: its legs, and those numbers.

Two factors a reserve: dollars (the deployment's base currency) that one scaled unit supplied, and one borrowed, is
worth. An eMode with a price source of its own has factors of its own. What integers truncate on the way is left out:
the book screens, `AavePrices.health` decides.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.account import AccountSnapshot
from app.domain.legs import Factor, Leg
from app.domain.units import BPS, RAY
from app.protocols.aave_v3.accrual import Accrued
from app.protocols.aave_v3.raw import NO_EMODE

BASE_UNIT = 10**8
"""Of the base currency, in which the oracle prices."""


def make_legs(accrued: Accrued, snapshot: AccountSnapshot, names: Names) -> tuple[Leg, ...] | None:
    """The account's legs; None when something it needs could not be read, and it is UNKNOWN."""
    emode = snapshot.params[0]
    rows = accrued.rows(emode)
    legs: list[Leg] = []
    for position in snapshot.positions:
        code = position.market
        row = rows[code] if code in accrued.raw.by_code else None
        if row is None:
            return None
        threshold = row[5]
        if position.is_collateral and threshold is not None:
            held = float(position.supplied_raw)
            legs.append(Leg(names[code, emode][0], held, held * threshold / BPS, 0.0))
        if position.borrowed_raw:
            legs.append(Leg(names[code, emode][1], 0.0, 0.0, float(position.borrowed_raw)))
    return tuple(legs)


class Names(dict[tuple[str, int], tuple[str, str]]):
    """Names of the supply and the debt factor by market and eMode, made when first asked for."""

    def __init__(self, accrued: Accrued) -> None:
        super().__init__()
        self._accrued = accrued

    def __missing__(self, place: tuple[str, int]) -> tuple[str, str]:
        code, emode = place
        terms = self._accrued.terms(code, emode)
        own = terms is None or terms.price_market == code
        where = code if own else f"{code}:{emode}"
        names = self[place] = (f"s:{where}", f"b:{where}")
        return names


def make_factors(accrued: Accrued) -> tuple[Factor, ...]:
    """Every factor at the block."""
    raw = accrued.raw
    sources = [number for number in raw.emode_prices if number != NO_EMODE]
    found: dict[str, Factor] = {}
    names = Names(accrued)
    for code in raw.by_code:
        for emode in (NO_EMODE, *sources):
            for factor in _pair(accrued, code, emode, names):
                found.setdefault(factor.name, factor)
    return tuple(found.values())


def basis(accrued: Accrued) -> object:
    """What legs depend on besides the account: equal values mean that legs made before still hold."""
    raw = accrued.raw
    unread = frozenset(code for code, indices in raw.indices.items() if indices is None)
    # whether an eMode's price source has a price decides which factor its accounts hang on
    overrides = {emode: bool(price) for emode, price in raw.emode_prices.items()}
    return accrued.rules, raw.configurations, raw.emodes, overrides, unread


def _pair(accrued: Accrued, code: str, emode: int, names: Names) -> Iterator[Factor]:
    terms, indices = accrued.terms(code, emode), accrued.indices(code)
    price = terms.price if terms is not None else None
    market = terms.price_market if terms is not None else code
    for place, name in enumerate(names[code, emode]):
        value = indices[place] / RAY * price / BASE_UNIT / accrued.unit(code) if indices and price else None
        yield Factor(name, value, rises_with=market)
