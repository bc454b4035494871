"""A deployment's raw numbers, exactly as its contracts hold them. None is "could not be read", never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property

from app.domain.chain import Address

NO_EMODE = 0


@dataclass(frozen=True, slots=True)
class Roots:
    """The contracts a deployment consists of, and what never varies between its reserves."""

    pool: Address
    configurator: Address
    oracle: Address
    sentinel: Address
    """Price oracle sentinel; the zero address where there is none."""
    revision: int
    base_currency: Address
    """The asset values are counted in; the zero address for USD."""
    base_unit: int
    base_symbol: str
    """`USD`, or the base asset's symbol."""


class FeedForm(IntEnum):
    """How a price source tells when it was last updated."""

    SILENT = 0
    LATEST_ROUND_DATA = 1
    LATEST_TIMESTAMP = 2


@dataclass(frozen=True, slots=True)
class Configuration:
    """A reserve's configuration word, decoded as far as risk needs it."""

    ltv_bps: int
    threshold_bps: int
    decimals: int
    active: bool
    frozen: bool
    paused: bool
    siloed: bool
    emode_category: int
    debt_ceiling: int

    @classmethod
    def from_word(cls, word: int) -> Configuration:
        """Bit positions of `ReserveConfiguration`; those a version does not use any more are 0 there."""
        return cls(
            ltv_bps=word & 0xFFFF,
            threshold_bps=word >> 16 & 0xFFFF,
            decimals=word >> 48 & 0xFF,
            active=bool(word >> 56 & 1),
            frozen=bool(word >> 57 & 1),
            paused=bool(word >> 60 & 1),
            siloed=bool(word >> 62 & 1),
            emode_category=word >> 168 & 0xFF,
            debt_ceiling=word >> 212 & (1 << 40) - 1,
        )


@dataclass(frozen=True, slots=True)
class Reserve:
    """One reserve: what changes only by configuration."""

    id: int
    """Its bit position in every bitmap."""
    asset: Address
    code: str
    symbol: str
    decimals: int
    word: int | None
    """The configuration word; None when the last full read could not get it."""
    a_token: Address
    variable_debt_token: Address
    stable_debt_token: Address
    """The zero address where there is none."""
    grace_until: int | None
    """No liquidation up to this time, inclusive; None where the version has no grace periods."""
    source: Address | None
    """The oracle's price source of this asset."""
    feed_form: FeedForm


@dataclass(frozen=True, slots=True)
class Indices:
    """One reserve's interest as last stored by the pool. Indices and yearly rates in RAY."""

    liquidity_index: int
    liquidity_rate: int
    borrow_index: int
    borrow_rate: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Price:
    """The oracle's price of one whole token in base units, and when its feed last moved, if the feed says."""

    value: int | None
    updated_at: int | None


@dataclass(frozen=True, slots=True)
class EMode:
    """One efficiency mode. Fields a version does not have, or that could not be read, are None."""

    ltv_bps: int | None
    threshold_bps: int | None
    bonus_bps: int | None
    price_source: Address | None = None
    collateral_bitmap: int | None = None
    ltv_zero_bitmap: int | None = None
    isolated: bool | None = None


@dataclass(frozen=True)
class Raw:
    """Everything read about a deployment at one block, without any account."""

    roots: Roots
    listing: tuple[Address, ...]
    """Assets by reserve id; the zero address where a reserve was dropped."""
    reserves: tuple[Reserve, ...]
    """Every listed reserve that could ever be read, by id."""
    indices: Mapping[str, Indices | None]
    prices: Mapping[str, Price]
    emodes: Mapping[int, EMode]
    """Categories in use, and those that could not be read. One that is missing is not in use."""
    emode_prices: Mapping[int, int | None]
    """Prices of the eModes that have a price source of their own (until 3.1)."""
    liquidation_allowed: bool | None
    """The sentinel's word; None without a sentinel or when it does not answer."""

    @cached_property
    def by_code(self) -> Mapping[str, Reserve]:
        """Reserves by market code."""
        return {reserve.code: reserve for reserve in self.reserves}

    @cached_property
    def by_id(self) -> Mapping[int, Reserve]:
        """Reserves by bit position."""
        return {reserve.id: reserve for reserve in self.reserves}

    @cached_property
    def configurations(self) -> Mapping[str, Configuration | None]:
        """Decoded configuration words by market code."""
        return {r.code: None if r.word is None else Configuration.from_word(r.word) for r in self.reserves}

    def repriced(self, prices: Mapping[str, Price], emode_prices: Mapping[int, int | None]) -> Raw:
        """The same with other prices. What is derived from the reserves alone is not derived again: what-if asks for
        thousands of these."""
        other = replace(self, prices=prices, emode_prices=emode_prices)
        other.__dict__.update(by_code=self.by_code, configurations=self.configurations)
        return other
