"""What a deployment answers about accounts at one block."""

from __future__ import annotations

from app.domain.account import AccountSnapshot
from app.domain.legs import Factor, Leg
from app.domain.market import MarketQuote
from app.domain.risk import Health, Restoration, RiskAssessment, RiskStatus
from app.domain.specs import chain_spec
from app.domain.units import BPS, SECONDS_PER_YEAR, WAD
from app.protocols.base import PricedState, Truth
from app.protocols.calibration import Confirmation
from app.protocols.compound_v2.accrual import Accrued
from app.protocols.compound_v2.assessment import assess, utilization_wad
from app.protocols.compound_v2.book import basis, make_factors, make_legs
from app.protocols.compound_v2.legs import add_up, oracle_price, pool_of, read_legs, shown_price, vai_debt
from app.protocols.compound_v2.raw import CORE_POOL, Listing, pack_debt, unpack_debt
from app.protocols.compound_v2.restoration import restore

_UNKNOWN = Health(RiskStatus.UNKNOWN, None, None, None)
_WAD_TO_RAY = 10**9


class CompoundPrices(PricedState):
    """A deployment with interest accrued to one block.

    Verdicts accrue every market, as a liquidation would for the two it touches; `truth` uses the stored numbers, as
    the Comptroller's own view does.
    """

    __slots__ = ("_accrued", "_chain_id", "_confirmation", "_stored")

    def __init__(self, accrued: Accrued, stored: Accrued, confirmation: Confirmation, chain_id: int) -> None:
        self._accrued = accrued
        self._stored = stored
        self._confirmation = confirmation
        self._chain_id = chain_id

    def health(self, snapshot: AccountSnapshot) -> Health:
        if self._confirmation.failed:
            return _UNKNOWN
        accrued = self._accrued
        rows, skips_empty = accrued.rows(pool_of(accrued, snapshot)), accrued.rules.skips_empty
        vai = vai_debt(accrued, snapshot)
        if vai is None:
            return _UNKNOWN
        collateral = capacity = 0
        debt = vai
        for position in snapshot.positions:
            row = rows.get(position.market)
            if row is None:
                return _UNKNOWN
            rate, index, price, _, _, listed, weight = row
            if not (position.is_collateral and listed):
                continue
            tokens, borrowed = position.supplied_raw, 0
            if position.borrowed_raw:
                principal, since = unpack_debt(position.borrowed_raw)
                borrowed = principal * index // since
            if price is None:
                if skips_empty and not (tokens or borrowed):
                    continue
                return _UNKNOWN
            if tokens:
                collateral += tokens * rate // WAD * price // WAD
                capacity += weight * tokens // WAD
            debt += price * borrowed // WAD
        if not debt:
            return Health(RiskStatus.NO_DEBT, None, collateral, 0, 0)
        factor = capacity * WAD // debt
        status = RiskStatus.LIQUIDATABLE if factor < WAD else RiskStatus.HEALTHY
        return Health(status, factor, collateral, debt, utilization_wad(capacity, debt))

    def assess(self, snapshot: AccountSnapshot) -> RiskAssessment:
        return assess(self._accrued, self._confirmation, snapshot)

    def truth(self, snapshot: AccountSnapshot) -> Truth | None:
        """Liquidity and shortfall of getAccountLiquidity (USD, 18 decimals); None where it answers with an error."""
        legs, missing = read_legs(self._stored, snapshot)
        vai = vai_debt(self._stored, snapshot)
        if missing or vai is None:
            return None
        totals = add_up(legs, vai)
        spare = totals.capacity - totals.requirement
        return (max(spare, 0), max(-spare, 0))

    def restoration(self, snapshot: AccountSnapshot, target_health_wad: int) -> Restoration:
        if self._confirmation.failed:
            return Restoration(target_health_wad, (), ())
        return restore(self._accrued, snapshot, target_health_wad)

    def with_price(self, market: str, price: int) -> CompoundPrices:
        raw_price = oracle_price(price, self._accrued.raw.by_code[market].decimals)
        accrued, stored = (one.with_price(market, raw_price) for one in (self._accrued, self._stored))
        return CompoundPrices(accrued, stored, self._confirmation, self._chain_id)

    def raw_debt(self, market: str, units: int) -> int:
        books = self._accrued.books(market)
        return units if books is None else pack_debt(units, books.borrow_index)

    def legs(self, snapshot: AccountSnapshot) -> tuple[Leg, ...] | None:
        return None if self._confirmation.failed else make_legs(self._accrued, snapshot)

    def legs_basis(self) -> object:
        return self._confirmation.failed, basis(self._accrued)

    def factors(self) -> tuple[Factor, ...]:
        return make_factors(self._accrued)

    def quotes(self) -> tuple[MarketQuote, ...]:
        return tuple(self._quote(listing) for listing in self._accrued.raw.listings)

    def _quote(self, listing: Listing) -> MarketQuote:
        raw, code = self._accrued.raw, listing.code
        price, numbers, row = raw.prices[code], raw.numbers[code], self._accrued.rows(CORE_POOL)[code]
        borrow_rate = supply_rate = supplied = borrowed = None
        if numbers is not None and row is not None:
            supplied = numbers.supply * row.rate // WAD
            borrowed = numbers.borrows * row.borrow_index // numbers.borrow_index if numbers.borrow_index else None
            borrow_rate = int(numbers.rate * self._periods_per_year()) * _WAD_TO_RAY
            pooled = numbers.cash + numbers.extra + numbers.borrows - numbers.reserves
            if pooled > 0 and listing.reserve_factor is not None:
                kept = WAD - listing.reserve_factor
                supply_rate = borrow_rate * numbers.borrows // pooled * kept // WAD
        return MarketQuote(
            code,
            price=shown_price(price, listing.decimals) or None if price else None,
            supply_rate_ray=supply_rate,
            borrow_rate_ray=borrow_rate,
            liquidation_threshold_bps=row.threshold * BPS // WAD if row else None,
            max_ltv_bps=row.factor * BPS // WAD if row else None,
            total_supplied_assets=supplied,
            total_borrowed_assets=borrowed,
        )

    def _periods_per_year(self) -> float:
        """Seconds, or blocks at the chain's usual pace."""
        if self._accrued.rules.by_seconds:
            return SECONDS_PER_YEAR
        return SECONDS_PER_YEAR / chain_spec(self._chain_id).block_seconds
