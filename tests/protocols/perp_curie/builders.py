"""Made-up markets, and accounts in them. What answers calls about them: `contracts`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt

from app.domain.account import AccountKey, AccountSnapshot, LendingPosition, PerpPosition
from app.domain.chain import Address
from app.domain.market import Deployment
from app.protocols.perp_curie.raw import Roots, Status, Terms
from tests.protocols.perp_curie import reference

WAD = 10**18
BLOCK = 1_000
NOW = 1_750_000_000
SETTLED_AT = NOW - 7_200
GROWTH = 1_234_567 * 2**96 + 89_012_345
"""Of every market, when somebody last settled."""

HOUSE = Address(b"\xc0" * 20)
ROOTS = Roots(*(Address(bytes([0xD0 + number] * 20)) for number in range(7)))
USDC = Address(b"\x5c" * 20)
USDC_CODE = str(USDC)
TERMS = Terms(62_500, 100_000, 25_000, 100_000, 900, 0)
POOLED = (7_005, 7_000, 90_000, 90_011)
"""What orders hold: base and the base borrowed for them, quote and the quote borrowed."""


@dataclass(frozen=True)
class Perp:
    """One market; prices with 18 decimals."""

    symbol: str
    number: int
    price: int
    status: Status = Status.OPEN
    pool_twap: int = 0
    """The pool's average price; 0 for the price itself."""
    settled_growth: int = GROWTH
    seconds: int = NOW - SETTLED_AT
    """Since then."""

    @property
    def base(self) -> Address:
        return Address(bytes([0x40 + self.number] * 20))

    @property
    def code(self) -> str:
        return str(self.base)

    @property
    def sqrt_twap(self) -> int:
        return isqrt((self.pool_twap or self.price) * 2**192 // WAD)

    @property
    def premium(self) -> int:
        return reference.premium_x96(self.sqrt_twap, self.price, TERMS.max_funding_rate)

    @property
    def growth(self) -> int:
        """Funding stands still in a market that is not open."""
        return self.settled_growth + (self.premium * self.seconds if self.status is Status.OPEN else 0)


ETH = Perp("vETH", 1, 2_008_251_567_029_069_786_589, pool_twap=2_020 * WAD)
BTC = Perp("vBTC", 2, 60_123_456_789_012_345_678_901, pool_twap=59_990 * WAD)
OLD = Perp("vOLD", 3, 5 * WAD, Status.CLOSED)
STILL = Perp("vSTILL", 4, 11 * WAD, Status.PAUSED)


@dataclass(frozen=True)
class Posted:
    """One token that may be posted besides USDC."""

    symbol: str
    number: int
    decimals: int
    price: int
    """In the feed's decimals."""
    feed_decimals: int = 8
    ratio: int = 700_000

    @property
    def asset(self) -> Address:
        return Address(bytes([0x80 + self.number] * 20))

    @property
    def code(self) -> str:
        return str(self.asset)


WETH = Posted("WETH", 1, 18, 200_123_456_789)
FRAX = Posted("FRAX", 2, 6, 99_876_543, ratio=950_000)
BIG = Posted("BIG", 3, 21, 3 * 10**18, 18, 500_000)
"""More decimals than values have."""

DEPLOYMENT = Deployment(
    "perp-curie-test",
    31337,
    "perp-curie",
    "Perpetual Protocol v2 (test)",
    HOUSE,
    1,
    {"base_token_veth": ETH.base, "base_token_vold": OLD.base},
)
WALLET = Address(b"\x01" * 20)


def taker(market: Perp, size: int, notional: int | None = None, last: int | None = None) -> PerpPosition:
    """A position without orders; by default taken on at the market's price and settled a little earlier."""
    cost = -reference.mul_div(size, market.price, WAD) if notional is None else notional
    return PerpPosition(market.code, size, cost, (GROWTH - 3 * 2**96 if last is None else last, 0, 0, 0))


def maker(market: Perp, size: int, notional: int, *, fee: int = 0, funding: int = 0, orders: int = 1) -> PerpPosition:
    return PerpPosition(market.code, size, notional, (GROWTH, orders, fee, funding))


def snapshot(
    balance: int = 0,
    *perps: PerpPosition,
    owed: int = 0,
    tokens: Mapping[Posted, int] | None = None,
    wallet: Address = WALLET,
) -> AccountSnapshot:
    """`balance` in units of USDC, below 0 a debt."""
    margins = [LendingPosition(token.code, amount, 0, True) for token, amount in (tokens or {}).items()]
    if balance:
        margins.append(LendingPosition(USDC_CODE, max(balance, 0), max(-balance, 0), True))
    return AccountSnapshot(
        AccountKey(DEPLOYMENT.id, wallet),
        BLOCK,
        tuple(sorted(margins, key=lambda one: one.market)),
        (owed, int(any(perp.params[1] for perp in perps))),
        tuple(sorted(perps, key=lambda one: one.market)),
    )
