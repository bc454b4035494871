"""A deployment's raw numbers, exactly as its contracts hold them. None is "could not be read", never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from app.domain.chain import Address

CORE_POOL = 0
_HALF = 128
_LOW = (1 << _HALF) - 1


def pack_debt(principal: int, index: int) -> int:
    """A debt as one raw number: the contract holds it as a principal and the borrow index it dates from, and only
    the two together stay the same between the account's own events. 0 without a debt.

    Raises:
        ValueError: one of them does not fit into half a word.
    """
    if not principal:
        return 0
    if principal >> _HALF or index >> _HALF or not index:
        raise ValueError(f"principal {principal} or borrow index {index} is out of range")
    return principal << _HALF | index


def unpack_debt(raw: int) -> tuple[int, int]:
    """Principal and index of a debt that is not 0."""
    return raw >> _HALF, raw & _LOW


@dataclass(frozen=True, slots=True)
class Roots:
    """The contracts beside the markets."""

    oracle: Address
    vai_controller: Address | None
    """None where there is none."""


@dataclass(frozen=True, slots=True)
class Listing:
    """One market: what changes only by configuration."""

    token: Address
    """The cToken."""
    code: str
    """The cToken's address in lower case: two markets may share an underlying."""
    asset: Address
    """The underlying; the zero address for the chain's native coin."""
    symbol: str
    decimals: int
    words: tuple[int, ...] | None
    """The Comptroller's `markets` answer; None when the last full read could not get it."""
    reserve_factor: int | None


@dataclass(frozen=True, slots=True)
class Numbers:
    """One market's books as last stored by it."""

    cash: int
    extra: int
    """What else the exchange rate counts: running flash loans or bad debt, by the rules."""
    borrows: int
    reserves: int
    supply: int
    borrow_index: int
    accrued_at: int
    """Block number or Unix seconds, by the rules."""
    rate: int
    """Borrow rate per block or second, 18 decimals."""
    exchange_rate: int
    """Underlying units per cToken unit, 18 decimals."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool of accounts with factors of its own. None is "could not be read"."""

    active: bool | None
    falls_back: bool | None
    """A market the pool does not list counts on the core pool's terms; otherwise not at all."""
    markets: Mapping[str, tuple[int, ...] | None]
    """The Comptroller's `poolMarkets` answers by market code."""


@dataclass(frozen=True)
class Raw:
    """Everything read about a deployment at one block, without any account."""

    roots: Roots
    listings: tuple[Listing, ...]
    """In the Comptroller's order."""
    numbers: Mapping[str, Numbers | None]
    prices: Mapping[str, int | None]
    """As the oracle gives them: USD x 10^(36 - decimals) for one whole token."""
    pools: Mapping[int, Pool]
    vai_index: int | None
    """Interest index of minted VAI as last stored; no view tells since when, so it is not accrued any further."""

    @cached_property
    def by_code(self) -> Mapping[str, Listing]:
        """Markets by code."""
        return {listing.code: listing for listing in self.listings}
