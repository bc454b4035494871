"""A deployment's raw numbers, exactly as its contracts hold them. None is "could not be read", never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

from app.domain.chain import Address

VALUE_DECIMALS = 18
"""Of every price and value. The settlement token counts as one US dollar, as the protocol itself has it."""
RATIO = 10**6
"""1.0 of the protocol's ratios."""
DUST = 10
"""A position of fewer units than this counts as none (`AccountBalance._DUST`)."""
BASE_DECIMALS = 18
"""Of every base token: the registry takes no others."""


class Roots(NamedTuple):
    """The contracts the clearing house names."""

    account_balance: Address
    vault: Address
    exchange: Address
    order_book: Address
    insurance_fund: Address
    """An account too: fees and bad debts are booked to it."""
    config: Address
    collateral_manager: Address


class Terms(NamedTuple):
    """What holds for the whole clearing house; ratios of 10^6."""

    mm_ratio: int
    """Maintenance margin: what of the notional has to be covered."""
    im_ratio: int
    liquidation_penalty_ratio: int
    max_funding_rate: int
    """Bound of the premium funding is paid on, of the index price."""
    twap_interval_seconds: int
    """What the premium is averaged over."""
    paused: int
    """1 while the clearing house takes no orders and no liquidations."""


class Status(IntEnum):
    """Of a market, as `StatusUpdated` numbers them."""

    OPEN = 0
    PAUSED = 1
    CLOSED = 2


class Growth(NamedTuple):
    """The market's funding growth at the block: premium times seconds since ever, times 2^96."""

    value: int
    anchor: int | None
    """An earlier settled growth that `value` follows from; None where no such was found: then `value` is right only
    as far as the payments of the witnesses tell, which is one unit of 10^-18 dollars for accounts their size."""


@dataclass(frozen=True, slots=True)
class PerpMarket:
    """One base token."""

    base: Address
    code: str
    """The base token's address in lower case."""
    symbol: str
    status: Status | None
    fixed_price: int | None
    """What positions are valued at in a market that is paused or closed; None while it is open."""
    mark_price: int | None = None
    """What they are valued at while it is open; None also when a pool too young for its averages has none."""
    growth: Growth | None = None
    """None while nobody is known to be in the market whose payments would tell."""
    premium_x96: int | None = None
    """By how much the growth grows a second, at the averages of this block; None unless the market is open."""
    witnesses: tuple[Address, ...] = ()
    """Traders without orders whose pending payments tell the growth, largest position first."""

    @property
    def price(self) -> int | None:
        """What positions are valued at, 18 decimals."""
        return self.mark_price if self.status is Status.OPEN else self.fixed_price

    def growth_after(self, seconds: int) -> int | None:
        """The growth so many seconds after the block, the premium staying what it is; None when not known."""
        if self.growth is None or self.status is None:
            return None
        if not seconds or self.status is not Status.OPEN:
            return self.growth.value
        return None if self.premium_x96 is None else self.growth.value + self.premium_x96 * seconds


@dataclass(frozen=True, slots=True)
class Settlement:
    """The token profits and losses are paid in. Its balance may be negative."""

    asset: Address
    code: str
    symbol: str
    decimals: int

    @property
    def scale(self) -> int:
        """What one unit is worth with 18 decimals."""
        return int(10 ** (VALUE_DECIMALS - self.decimals))


@dataclass(frozen=True, slots=True)
class Collateral:
    """Another token that may be posted as margin."""

    asset: Address
    code: str
    symbol: str
    decimals: int | None
    feed_decimals: int | None
    ratio: int | None
    """What of its value counts, of 10^6."""
    price: int | None = None
    """One whole token at its feed's 15-minute average, 18 decimals."""


@dataclass(frozen=True)
class Raw:
    """Everything read about a deployment at one block, without any account."""

    roots: Roots
    settlement: Settlement
    terms: Terms | None
    timestamp: int | None = None
    """Of the block all this was read at."""
    markets: Mapping[str, PerpMarket] = field(default_factory=dict)
    """By code, sorted."""
    collaterals: Mapping[str, Collateral] = field(default_factory=dict)
    """By code, sorted."""

    @cached_property
    def codes(self) -> frozenset[str]:
        """Of every market there is."""
        return frozenset((self.settlement.code, *self.markets, *self.collaterals))
