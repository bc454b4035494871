"""A deployment's markets with interest accrued to one timestamp, on the terms of each eMode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from app.domain.chain import ZERO_ADDRESS, Address
from app.protocols.aave_v3.interest import project_debt, project_income
from app.protocols.aave_v3.raw import NO_EMODE, Configuration, EMode, Price, Raw
from app.protocols.aave_v3.rules import Rules

_NOT_IN_USE = EMode(0, 0, 0, collateral_bitmap=0, ltv_zero_bitmap=0, isolated=False)

Row: TypeAlias = tuple[int, int, int | None, int, int, int | None, int]
"""income index, debt index, price (None: there is none), unit, addend of the debt's value, threshold (None: skipped),
LTV"""


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms one market counts for an account of one eMode."""

    price: int | None
    price_market: str | None
    """Market whose oracle price applies: the market itself, unless its eMode has a price source of its own."""
    threshold_bps: int | None
    """None where the contract passes over the market as collateral."""
    ltv_bps: int
    in_emode: bool


class Rows(dict[str, Row | None]):
    """Rows of one eMode by market code, made when first asked for; None where a needed read failed."""

    def __init__(self, accrued: Accrued, emode: int) -> None:
        super().__init__()
        self._accrued = accrued
        self._emode = emode

    def __missing__(self, code: str) -> Row | None:
        row = self[code] = self._accrued.make_row(code, self._emode)
        return row


class Accrued:
    """Raw state, rules and a timestamp; whatever is derived from them is computed once, when first needed."""

    __slots__ = ("_indices", "_rows", "raw", "rules", "timestamp")

    def __init__(self, raw: Raw, rules: Rules, timestamp: int) -> None:
        self.raw = raw
        self.rules = rules
        self.timestamp = timestamp
        self._rows: dict[int, Rows] = {}
        self._indices: dict[str, tuple[int, int] | None] = {}

    def rows(self, emode: int) -> Rows:
        """What markets count for an account of that eMode."""
        rows = self._rows.get(emode)
        if rows is None:
            rows = self._rows[emode] = Rows(self, emode)
        return rows

    def make_row(self, code: str, emode: int) -> Row | None:
        """One market's row; None when its indices, its configuration or the eMode could not be read."""
        terms, indices = self.terms(code, emode), self.indices(code)
        if terms is None or indices is None:
            return None
        unit = self.unit(code)
        addend = self.rules.debt_value_addend(unit)
        return (*indices, terms.price, unit, addend, terms.threshold_bps, terms.ltv_bps)

    def unit(self, code: str) -> int:
        """One whole token of a known market in its own units."""
        unit: int = 10 ** self.raw.by_code[code].decimals
        return unit

    def indices(self, code: str) -> tuple[int, int] | None:
        """The market's projected liquidity and borrow index; None when they could not be read.

        Raises:
            ValueError: the timestamp lies before the market's last accrual.
        """
        if code not in self._indices:
            stored = self.raw.indices.get(code)
            if stored is None:
                self._indices[code] = None
            else:
                elapsed = self.timestamp - stored.updated_at
                if elapsed < 0:
                    raise ValueError(f"interest cannot be accrued back from {stored.updated_at} to {self.timestamp}")
                debt = project_debt(
                    stored.borrow_index, stored.borrow_rate, elapsed, polynomial=self.rules.polynomial_interest
                )
                self._indices[code] = project_income(stored.liquidity_index, stored.liquidity_rate, elapsed), debt
        return self._indices[code]

    def terms(self, code: str, emode: int) -> Terms | None:
        """The market's terms for an account of that eMode; None when configuration or eMode could not be read."""
        configuration = self.raw.configurations.get(code)
        if configuration is None:
            return None
        mode = self.raw.emodes.get(emode, _NOT_IN_USE) if emode != NO_EMODE else _NOT_IN_USE
        if mode.threshold_bps is None or mode.ltv_bps is None:
            return None
        if self.rules.emode_bitmaps:
            if mode.collateral_bitmap is None:
                return None
            in_emode = bool(mode.collateral_bitmap >> self.raw.by_code[code].id & 1)
        else:
            in_emode = emode != NO_EMODE and configuration.emode_category == emode
        ltv = self._ltv(code, configuration, mode, in_emode=in_emode, emode=emode)
        if ltv is None:
            return None
        threshold: int | None = mode.threshold_bps if in_emode else configuration.threshold_bps
        if configuration.threshold_bps == 0 and not self.rules.counts_zero_threshold:
            threshold = None
        price, price_market = self._price(code, emode, mode, in_emode=in_emode)
        return Terms(price, price_market, threshold, ltv, in_emode)

    def with_prices(self, moved: Mapping[str, int]) -> Accrued:
        """The same with other oracle prices for some markets."""
        raw = self.raw
        prices = {**raw.prices, **{code: Price(price, raw.prices[code].updated_at) for code, price in moved.items()}}
        emode_prices = raw.emode_prices
        if emode_prices:
            by_asset: dict[Address | None, int | None] = {raw.by_code[one].asset: moved[one] for one in moved}
            emode_prices = {
                number: by_asset.get(raw.emodes[number].price_source, value) for number, value in emode_prices.items()
            }
        other = Accrued(self.raw.repriced(prices, emode_prices), self.rules, self.timestamp)
        other._indices = self._indices
        return other

    def _ltv(self, code: str, configuration: Configuration, mode: EMode, *, in_emode: bool, emode: int) -> int | None:
        """The LTV that applies; None when the eMode's part in it could not be read."""
        if not self.rules.emode_ltv_zero:
            return mode.ltv_bps if in_emode and configuration.ltv_bps else configuration.ltv_bps
        if in_emode:
            if mode.ltv_zero_bitmap is None:
                return None
            return 0 if mode.ltv_zero_bitmap >> self.raw.by_code[code].id & 1 else mode.ltv_bps
        if self.rules.emode_isolation and emode != NO_EMODE:
            if mode.isolated is None:
                return None
            if mode.isolated:
                return 0
        return configuration.ltv_bps

    def _price(self, code: str, emode: int, mode: EMode, *, in_emode: bool) -> tuple[int | None, str | None]:
        """The price that applies and whose it is. An eMode price source that has no price fails every market."""
        own = self.raw.prices[code].value
        if self.rules.emode_bitmaps or emode == NO_EMODE or mode.price_source in (None, ZERO_ADDRESS):
            return own, code
        override = self.raw.emode_prices.get(emode)
        if override is None:
            return None, None
        if not in_emode or not override:
            return own, code
        source = str(mode.price_source)
        return override, source if source in self.raw.by_code else None
