"""The protocol's rule of margin, with its rounding at each step.

A position is worth its size at the market's price, truncated towards zero; the requirement is the maintenance ratio
of all those worths added up without their signs, rounded down; the account value is the balance with fees, funding,
realised and unrealised results and the counted part of other collateral, rounded down to units of the settlement
token. An account is liquidatable when its value is below the requirement. Sources: `AccountBalance`, `Vault`,
`ClearingHouse._isLiquidatable`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, cast

from app.domain.account import AccountSnapshot, LendingPosition, PerpPosition
from app.domain.risk import Reason, RiskStatus
from app.domain.units import WAD, div_truncated
from app.protocols.perp_curie.account_reads import PerpParams
from app.protocols.perp_curie.funding import payment
from app.protocols.perp_curie.raw import DUST, RATIO, VALUE_DECIMALS, PerpMarket, Raw, Settlement, Status

ONE: int = 10**VALUE_DECIMALS
"""1.0 of sizes, prices and values."""


@dataclass(frozen=True, slots=True)
class Book:
    """Raw state at a time: so many seconds after the block it was read at."""

    raw: Raw
    elapsed_seconds: int

    def with_price(self, code: str, price: int) -> Book:
        """The same with another price of one market or collateral; the settlement token has none."""
        raw = self.raw
        market, collateral = raw.markets.get(code), raw.collaterals.get(code)
        if market is not None:
            is_open = market.status is Status.OPEN
            moved = replace(market, mark_price=price) if is_open else replace(market, fixed_price=price)
            raw = replace(raw, markets={**raw.markets, code: moved})
        elif collateral is not None:
            raw = replace(raw, collaterals={**raw.collaterals, code: replace(collateral, price=price)})
        return Book(raw, self.elapsed_seconds)


class Held(NamedTuple):
    """One perp position as the contract counts it. 18 decimals. A tuple like `Posted`: health makes one of each."""

    position: PerpPosition
    market: PerpMarket
    size: int
    """0 for dust."""
    price: int | None
    """None only where nothing is held that would be priced."""
    value: int
    """Signed as the size."""
    funding: int
    """Above 0 it is owed."""
    fee: int
    orders: int

    @property
    def unrealized_pnl(self) -> int:
        return self.value + self.position.entry_notional_raw


class Posted(NamedTuple):
    """One token posted as margin; the settlement token's amount and value may be negative."""

    position: LendingPosition
    price: int
    """One whole token."""
    value: int
    counted: int
    """The part of the value that counts."""
    ratio: int
    """Of the value that counts, of 10^6."""


class Totals(NamedTuple):
    """What the verdict is reached by. 18 decimals."""

    wealth: int
    """The account value before it is rounded to the settlement token's units."""
    notional: int
    mm_ratio: int
    scale: int
    """One unit of the settlement token."""

    @property
    def equity(self) -> int:
        """`ClearingHouse.getAccountValue`."""
        return self.wealth // self.scale * self.scale

    @property
    def requirement(self) -> int:
        """`AccountBalance.getMarginRequirementForLiquidation`."""
        return self.notional * self.mm_ratio // RATIO

    @property
    def is_liquidatable(self) -> bool:
        """Below the requirement, strictly. Without any there is no position to liquidate, whatever the equity is."""
        return self.equity < self.requirement and self.requirement > 0

    def reaches(self, target_wad: int) -> bool:
        """Whether the health factor is at least `target_wad`; always without a requirement."""
        return not self.requirement or self.equity * WAD >= target_wad * self.requirement


class Verdict(NamedTuple):
    """What the totals say of an account."""

    status: RiskStatus
    health_factor_wad: int | None
    """Equity / requirement, rounded down; None without a requirement."""
    utilization_wad: int | None
    """Requirement / equity, rounded up; 0 without a requirement, None with one and nothing to cover it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An account at a time, everything known."""

    held: tuple[Held, ...]
    posted: tuple[Posted, ...]
    settlement: Settlement
    owed_realized_pnl: int
    totals: Totals

    @property
    def unrealized_pnl(self) -> int:
        return sum(one.unrealized_pnl for one in self.held)

    @property
    def pending_funding(self) -> int:
        """`Exchange.getAllPendingFundingPayment`."""
        return sum(one.funding for one in self.held)

    @property
    def pending_fee(self) -> int:
        return sum(one.fee for one in self.held)

    @property
    def collateral_value(self) -> int:
        """Everything but the unrealised result: what the Vault calls the total collateral value."""
        return self.totals.wealth - self.unrealized_pnl

    @property
    def has_orders(self) -> bool:
        return any(one.orders for one in self.held)

    @property
    def verdict(self) -> Verdict:
        """Below 1 exactly when liquidatable; below 0 with a negative equity."""
        equity, requirement = self.totals.equity, self.totals.requirement
        if not requirement:
            return Verdict(RiskStatus.NO_DEBT, None, 0)
        return Verdict(
            RiskStatus.LIQUIDATABLE if equity < requirement else RiskStatus.HEALTHY,
            equity * WAD // requirement,
            -(-requirement * WAD // equity) if equity > 0 else None,
        )


def read_standing(book: Book, snapshot: AccountSnapshot) -> Standing | tuple[Reason, ...]:
    """The account, or everything that is missing to know it."""
    raw = book.raw
    if raw.timestamp is None or raw.terms is None:
        what = "the block's time" if raw.timestamp is None else "the margin ratios"
        return (Reason("market_unavailable", f"{what} could not be read"),)
    posted = [_posted(raw, position) for position in snapshot.positions]
    held = [_held(book, position) for position in snapshot.perps]
    missing = [one for one in (*posted, *held) if isinstance(one, Reason)]
    if missing:
        return tuple(missing)
    tokens, perps = cast(list[Posted], posted), cast(list[Held], held)
    owed = wealth = snapshot.params[0]
    for token in tokens:
        wealth += token.counted
    notional = 0
    for perp in perps:
        wealth += perp.unrealized_pnl + perp.fee - perp.funding
        notional += abs(perp.value)
    totals = Totals(wealth, notional, raw.terms.mm_ratio, raw.settlement.scale)
    return Standing(tuple(perps), tuple(tokens), raw.settlement, owed, totals)


def worth(size: int, price: int) -> int:
    """A signed size at a price, truncated towards zero."""
    return div_truncated(size * price, ONE)


def _held(book: Book, position: PerpPosition) -> Held | Reason:
    market, code = book.raw.markets.get(position.market), position.market
    if market is None:
        return Reason("market_unavailable", "the market is not known", code)
    if market.status is None:
        return Reason("market_unavailable", f"{market.symbol}: whether it is open could not be read", code)
    params = PerpParams(*position.params)
    size = position.size_raw if abs(position.size_raw) >= DUST else 0
    if size and market.price is None:
        return Reason("price_unavailable", f"{market.symbol}: the protocol gives no price", code)
    funding = _funding(book, market, position, params)
    if funding is None:
        return Reason("funding_unavailable", f"{market.symbol}: its funding could not be told", code)
    value = worth(size, market.price or 0)
    return Held(position, market, size, market.price, value, funding, params.pending_fee, params.orders)


def _funding(book: Book, market: PerpMarket, position: PerpPosition, params: PerpParams) -> int | None:
    """Of a taker by the growth since his last settlement; of who has orders what was read, and by his size alone
    what has come since the block it was read at."""
    seconds = book.elapsed_seconds
    growth = market.growth_after(seconds)
    if not params.orders:
        if not position.size_raw:
            return 0
        return None if growth is None else payment(position.size_raw, params.last_growth, growth)
    if not seconds:
        return params.pending_funding
    if growth is None or market.growth is None:
        return None
    return params.pending_funding + payment(position.size_raw, market.growth.value, growth)


def _posted(raw: Raw, position: LendingPosition) -> Posted | Reason:
    code = position.market
    if code == raw.settlement.code:
        value = (position.supplied_raw - position.borrowed_raw) * raw.settlement.scale
        return Posted(position, ONE, value, value, RATIO)
    token = raw.collaterals.get(code)
    if token is None or token.decimals is None or token.ratio is None:
        name = "the collateral" if token is None else token.symbol
        return Reason("market_unavailable", f"{name}: what it counts for could not be read", code)
    if token.price is None:
        return Reason("price_unavailable", f"{token.symbol}: its feed gives no price", code)
    value = collateral_value(position.supplied_raw, token.decimals, token.price)
    return Posted(position, token.price, value, value * token.ratio // RATIO, token.ratio)


def collateral_value(amount: int, decimals: int, price: int) -> int:
    """An amount of a token at a price, 18 decimals, rounded down (`Vault._getSettlementByCollateral`).

    The contract multiplies by the feed's own digits and divides by their scale; with the price brought to 18
    decimals that is the same number.
    """
    up, down = max(0, VALUE_DECIMALS - decimals), max(0, decimals - VALUE_DECIMALS)
    return int(amount * 10**up * price // ONE // 10**down)
