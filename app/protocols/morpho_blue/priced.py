"""What a deployment answers about accounts at one timestamp. Values in the units of each market's loan token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from app.domain.account import AccountSnapshot
from app.domain.chain import ZERO_ADDRESS
from app.domain.legs import Factor, Leg
from app.domain.market import MarketQuote
from app.domain.risk import Health, Restoration, RiskAssessment, RiskStatus
from app.domain.units import SECONDS_PER_YEAR, WAD
from app.protocols.base import PricedState, Truth
from app.protocols.calibration import Confirmation
from app.protocols.morpho_blue.accrual import accrued, to_assets_up
from app.protocols.morpho_blue.assessment import assess, lltv_bps, restore
from app.protocols.morpho_blue.book import basis, make_factors, make_legs
from app.protocols.morpho_blue.raw import BlueMarket, Raw, Totals
from app.protocols.morpho_blue.solvency import collateral_value, health_factor_wad
from app.protocols.morpho_blue.terms import Terms, debtor_of, holding_of

_UNKNOWN = Health(RiskStatus.UNKNOWN, None, None, None)
_RAY_PER_WAD = 10**9


class MorphoPrices(PricedState):
    """A deployment with interest added up to one timestamp; each market's when it is first asked for."""

    def __init__(self, raw: Raw, confirmation: Confirmation, timestamp: int, prices: dict[str, int] | None = None):
        self._raw = raw
        self._confirmation = confirmation
        self._timestamp = timestamp
        self._prices = prices or {}
        """Oracle prices taken instead of the read ones, by market id."""
        self._terms: dict[str, Terms] = {}

    def health(self, snapshot: AccountSnapshot) -> Health:
        terms = self.terms(snapshot.key.unit)
        if terms is None or self._confirmation.failed:
            return _UNKNOWN
        holding = holding_of(terms.market, snapshot)
        if holding is None or (holding.needs_totals and terms.totals is None):
            return _UNKNOWN
        value = collateral_value(holding.collateral, terms.price)
        if not holding.borrow_shares:
            return Health(RiskStatus.NO_DEBT, None, value, 0, 0)
        if value is None or terms.price is None or terms.totals is None:
            return _UNKNOWN
        totals = terms.totals
        borrowed = to_assets_up(holding.borrow_shares, totals.borrow_assets, totals.borrow_shares)
        capacity = value * terms.market.params.lltv_wad // WAD
        return Health(
            RiskStatus.HEALTHY if capacity >= borrowed else RiskStatus.LIQUIDATABLE,
            health_factor_wad(capacity, borrowed),
            value,
            borrowed,
            -(-borrowed * WAD // capacity) if capacity else None,
        )

    def assess(self, snapshot: AccountSnapshot) -> RiskAssessment:
        return assess(self.terms(snapshot.key.unit), self._confirmation, snapshot)

    def truth(self, snapshot: AccountSnapshot) -> Truth | None:
        """Supply shares, borrow shares, collateral, and 1 if the contract calls the position healthy, else 0."""
        terms = self.terms(snapshot.key.unit)
        holding = None if terms is None else holding_of(terms.market, snapshot)
        if terms is None or holding is None:
            return None
        numbers = (holding.supply_shares, holding.borrow_shares, holding.collateral)
        if not holding.borrow_shares:
            return (*numbers, 1)
        debtor = debtor_of(terms, holding)
        return None if debtor is None else (*numbers, int(debtor.max_borrow >= debtor.borrowed))

    def restoration(self, snapshot: AccountSnapshot, target_health_wad: int) -> Restoration:
        terms = self.terms(snapshot.key.unit)
        holding = None if terms is None else holding_of(terms.market, snapshot)
        debtor = None if terms is None or holding is None else debtor_of(terms, holding)
        if terms is None or debtor is None or self._confirmation.failed:
            return Restoration(target_health_wad, (), ())
        return restore(terms.market, debtor, target_health_wad)

    def with_price(self, market: str, price: int) -> MorphoPrices:
        """Another price of a market's collateral, in its oracle's scale; the loan token is the measure itself."""
        prices = {unit: price for unit, one in self._raw.markets.items() if one.collateral_code == market}
        return MorphoPrices(self._raw, self._confirmation, self._timestamp, {**self._prices, **prices})

    def legs(self, snapshot: AccountSnapshot) -> tuple[Leg, ...] | None:
        return None if self._confirmation.failed else make_legs(self.terms(snapshot.key.unit), snapshot)

    def legs_basis(self) -> object:
        return self._confirmation.failed, basis(self._all_terms())

    def factors(self) -> tuple[Factor, ...]:
        return make_factors(self._all_terms())

    def quotes(self) -> tuple[MarketQuote, ...]:
        """Without prices: each would be in another currency than the next."""
        return tuple(quote for market in self._raw.markets.values() for quote in self._quotes(market))

    def terms(self, unit: str) -> Terms | None:
        """One market at this time; None when it is not followed."""
        found = self._terms.get(unit)
        if found is None:
            market = self._raw.markets.get(unit)
            if market is None:
                return None
            price = self._prices.get(unit, None if market.agrees is False else market.price)
            found = self._terms[unit] = Terms(market, accrued(market, self._timestamp), price)
        return found

    def _all_terms(self) -> Iterator[Terms]:
        for unit in self._raw.markets:
            terms = self.terms(unit)
            if terms is not None:
                yield terms

    def _quotes(self, market: BlueMarket) -> tuple[MarketQuote, MarketQuote]:
        terms = self.terms(market.id)
        totals = terms.totals if terms is not None else None
        bps = lltv_bps(market)
        rates = _yearly_rates(market, totals)
        loan = MarketQuote(
            market.loan_code,
            supply_rate_ray=rates.supply,
            borrow_rate_ray=rates.borrow,
            liquidation_threshold_bps=0,
            max_ltv_bps=0,
            total_supplied_assets=None if totals is None else totals.supply_assets,
            total_borrowed_assets=None if totals is None else totals.borrow_assets,
        )
        return loan, MarketQuote(market.collateral_code, liquidation_threshold_bps=bps, max_ltv_bps=bps)


class _Rates(NamedTuple):
    supply: int | None
    borrow: int | None


def _yearly_rates(market: BlueMarket, totals: Totals | None) -> _Rates:
    """Before compounding, RAY; the lenders' is what the borrowers pay less the fee, spread over all that is lent."""
    if market.params.irm == ZERO_ADDRESS:
        return _Rates(0, 0)
    if totals is None or market.rate_wad is None:
        return _Rates(None, None)
    borrow = market.rate_wad * SECONDS_PER_YEAR * _RAY_PER_WAD
    if not totals.supply_assets:
        return _Rates(None, borrow)
    supply = borrow * totals.borrow_assets * (WAD - totals.fee_wad) // (totals.supply_assets * WAD)
    return _Rates(supply, borrow)
