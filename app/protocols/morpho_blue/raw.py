"""A deployment's raw numbers, exactly as its contracts hold them. None is "could not be read", never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from app.domain.chain import ZERO_ADDRESS, Address, Hash32
from app.protocols.abi import address_word, uint_word

ORACLE_DECIMALS = 36
"""An oracle's price is loan token units per collateral token unit, times 10^36."""
LEAST_DEBT = 1_000
"""A market in which everybody together owes fewer loan token units than this is not worth asking its oracle: less
than a cent of any dollar with 6 decimals, and what rounding leaves behind when all is repaid."""
MOST_MISSES = 25
"""An oracle that gave no price so many times in a row is asked only in full reads, and when its market moves."""


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
    misses: int = 0
    """Times in a row the oracle was asked and gave no price, counted up to MOST_MISSES."""
    witness: Address | None = None
    """A borrower whose health was asked of the contract, to find out whether the oracle tells it the same price."""
    agrees: bool | None = None
    """Whether the contract's verdict on the witness was the rules' one when last compared; None when never."""

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
    def wants_price(self) -> bool:
        """Whether anybody owes enough for the oracle to be asked."""
        return self.has_borrowers and self.totals is not None and self.totals.borrow_assets >= LEAST_DEBT

    @property
    def is_silent(self) -> bool:
        """Whether its oracle has failed for so long that it is asked only now and then."""
        return self.misses >= MOST_MISSES

    @property
    def activity(self) -> tuple[bool, bool, int, str]:
        """What markets are ranked by where not all can be followed: debts, a price, the last time anything was done."""
        return self.wants_price, not self.is_silent, self.totals.updated_at if self.totals else 0, self.id

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
    dropped: tuple[str, ...] = field(default=(), compare=False)
    """Ids followed until this read: their end is to be stored, and then they are forgotten."""


def market_id(unit: str) -> Hash32 | None:
    """The id an account's unit names; None when it is none."""
    try:
        found = Hash32.from_hex(unit)
    except ValueError:
        return None
    return found if str(found) == unit else None
