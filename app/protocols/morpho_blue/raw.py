"""A deployment's raw numbers, exactly as its contracts hold them. None is "could not be read", never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from app.domain.chain import ZERO_ADDRESS, Address, Hash32
from app.protocols.abi import address_word, uint_word

ORACLE_DECIMALS = 36
"""An oracle's price is loan token units per collateral token unit, times 10^36."""


@dataclass(frozen=True, slots=True)
class Params:
    """What a market is: its id is the hash of these five words, so they never change."""

    loan_token: Address
    collateral_token: Address
    oracle: Address
    irm: Address
    """Interest rate model; the zero address where debts bear no interest."""
    lltv_wad: int
    """Liquidation loan-to-value: the part of the collateral's value that may be owed."""

    def words(self) -> bytes:
        """The struct as ABI words."""
        addresses = (self.loan_token, self.collateral_token, self.oracle, self.irm)
        return b"".join(map(address_word, addresses)) + uint_word(self.lltv_wad)


@dataclass(frozen=True, slots=True)
class Totals:
    """A market as last stored by the contract, without the interest since `updated_at`."""

    supply_assets: int
    supply_shares: int
    borrow_assets: int
    borrow_shares: int
    updated_at: int
    fee_wad: int
    """Part of the interest that goes to the fee recipient."""

    def values(self) -> tuple[int, ...]:
        """The struct's members in the contract's order."""
        return (
            self.supply_assets,
            self.supply_shares,
            self.borrow_assets,
            self.borrow_shares,
            self.updated_at,
            self.fee_wad,
        )

    def words(self) -> bytes:
        """The struct as ABI words."""
        return b"".join(map(uint_word, self.values()))


@dataclass(frozen=True, slots=True)
class Token:
    """How a token is shown to people; the contract's own sums know neither."""

    symbol: str
    decimals: int | None
    """None when the token does not say, or says what no amount can be shown with: then raw units are shown."""


@dataclass(frozen=True)
class BlueMarket:
    """One market at one block."""

    id: str
    """0x and 64 lower-case hex digits."""
    params: Params
    loan: Token
    collateral: Token
    totals: Totals | None = None
    rate_wad: int | None = None
    """Average interest per second since `totals.updated_at` up to this block, by the market's model; None also
    while nothing is borrowed or there is no model: then it makes no difference."""
    price: int | None = None
    """The oracle's price, in its own scale; None also while nobody owes anything: then nobody asks."""

    @cached_property
    def loan_code(self) -> str:
        """Market code of what is lent and borrowed here."""
        return f"{self.id}-loan"

    @cached_property
    def collateral_code(self) -> str:
        """Market code of what is collateral here."""
        return f"{self.id}-collateral"

    @property
    def bears_interest(self) -> bool:
        """Whether the totals move by themselves."""
        return self.totals is not None and self.totals.borrow_assets > 0 and self.params.irm != ZERO_ADDRESS

    @property
    def has_borrowers(self) -> bool:
        """Whether anybody's health depends on the oracle."""
        return self.totals is not None and self.totals.borrow_shares > 0

    @property
    def loan_decimals(self) -> int:
        return self.loan.decimals or 0

    @property
    def collateral_decimals(self) -> int:
        """0 where no price could be written with the token's own."""
        decimals = self.collateral.decimals or 0
        return decimals if decimals <= ORACLE_DECIMALS + self.loan_decimals else 0

    @property
    def price_decimals(self) -> int:
        """Decimals with which the oracle's number is the price of one whole collateral token in whole loan tokens."""
        return ORACLE_DECIMALS + self.loan_decimals - self.collateral_decimals

    @property
    def currency(self) -> str:
        """What the market's values are counted in: the loan token. Never `USD`, whatever a token calls itself."""
        symbol = self.loan.symbol
        return str(self.params.loan_token)[:10] if symbol.upper() == "USD" else symbol


@dataclass(frozen=True)
class Raw:
    """Everything read about a deployment at one block, without any account."""

    fee_recipient: Address
    """Who is given supply shares when interest is added, without an event that names him."""
    markets: Mapping[str, BlueMarket]
    """By id, in the order of ids."""


def market_id(unit: str) -> Hash32 | None:
    """The id an account's unit names; None when it is none."""
    try:
        found = Hash32.from_hex(unit)
    except ValueError:
        return None
    return found if str(found) == unit else None
