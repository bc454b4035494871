"""A Comet's raw numbers, exactly as the contract holds them. None is "could not be read", never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from app.domain.chain import Address

INDEX_SCALE = 10**15
"""1.0 of both interest indices."""
PRICE_DECIMALS = 8
"""Decimals of every price and value, whatever they are counted in."""
MAX_COLLATERALS = 24
"""As many as an account has flags for."""

PAUSED_SUPPLY = 1 << 0
"""Neither repaying nor adding collateral goes through."""
PAUSED_ABSORB = 1 << 3
"""Nobody is liquidated."""


@dataclass(frozen=True, slots=True)
class BaseTerms:
    """How the base asset is priced."""

    feed: Address
    scale: int


@dataclass(frozen=True, slots=True)
class Base:
    """The asset that is lent and borrowed. Supplied, it earns interest and is never collateral."""

    asset: Address
    code: str
    """The asset's address in lower case."""
    symbol: str
    decimals: int
    terms: BaseTerms | None
    """None when the last full read could not get them."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the Comet's code says of one collateral; factors with 18 decimals."""

    feed: Address
    scale: int
    """Units of one whole token."""
    borrow_factor: int
    """Weight for borrowing and withdrawing."""
    liquidate_factor: int
    """Weight against liquidation."""
    liquidation_factor: int
    """What a liquidation credits of the value it takes."""
    supply_cap: int
    """0: nothing may be added any more, what is there still counts."""


@dataclass(frozen=True, slots=True)
class Collateral:
    """One collateral asset."""

    asset: Address
    code: str
    """The asset's address in lower case."""
    symbol: str
    decimals: int
    terms: Terms | None
    """None when the last full read could not get them."""


class Curve(NamedTuple):
    """One interest curve, per second, 18 decimals."""

    kink: int
    base: int
    slope_low: int
    slope_high: int


@dataclass(frozen=True, slots=True)
class Curves:
    """Both curves; they are constants of the Comet's code."""

    supply: Curve
    borrow: Curve


@dataclass(frozen=True, slots=True)
class Totals:
    """The Comet's books as of its last accrual."""

    supply_index: int
    borrow_index: int
    total_supply: int
    """All positive principals."""
    total_borrow: int
    """All negative principals."""
    accrued_at: int
    """Unix seconds of the last accrual."""
    pause_flags: int


@dataclass(frozen=True)
class Raw:
    """Everything read about a Comet at one block, without any account."""

    base: Base
    collaterals: tuple[Collateral, ...]
    """In the Comet's order: an account's flags go by it."""
    curves: Curves | None
    currency: str
    """What prices and values are counted in."""
    totals: Totals | None
    prices: Mapping[str, int | None]
    """Base and collaterals by code: one whole token, 8 decimals."""

    @property
    def assets(self) -> tuple[Base | Collateral, ...]:
        """The base asset, then the collaterals."""
        return (self.base, *self.collaterals)

    @cached_property
    def by_code(self) -> Mapping[str, Collateral]:
        """Collaterals by code."""
        return {collateral.code: collateral for collateral in self.collaterals}
