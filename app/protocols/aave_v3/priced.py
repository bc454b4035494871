"""What an Aave deployment answers about accounts at one timestamp."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.account import AccountSnapshot
from app.domain.legs import Factor, Leg
from app.domain.market import MarketQuote
from app.domain.risk import Health, Restoration, RiskAssessment, RiskStatus
from app.domain.units import RAY, UINT256_MAX, WAD
from app.protocols.aave_v3.account_data import available_borrows, average_bps, health_factor_wad, utilization_wad
from app.protocols.aave_v3.accrual import Accrued
from app.protocols.aave_v3.assessment import assess
from app.protocols.aave_v3.book import Names, basis, make_factors, make_legs
from app.protocols.aave_v3.restoration import restore
from app.protocols.base import PricedState, Truth
from app.protocols.calibration import Confirmation

_UNKNOWN = Health(RiskStatus.UNKNOWN, None, None, None)
_NO_DEBT, _HEALTHY, _LIQUIDATABLE = RiskStatus.NO_DEBT, RiskStatus.HEALTHY, RiskStatus.LIQUIDATABLE
_make_tuple = tuple.__new__
# Looking a member up in its enum, and making a named tuple by name, take a fifth of the time of an account.


class AavePrices(PricedState):
    """A deployment with interest accrued to one timestamp."""

    __slots__ = ("_accrued", "_borrowed_addend", "_confirmation", "_names", "_rules", "_supplied_addend")

    def __init__(self, accrued: Accrued, confirmation: Confirmation) -> None:
        self._accrued = accrued
        self._confirmation = confirmation
        self._rules = accrued.rules
        self._supplied_addend = accrued.rules.supplied_addend
        self._borrowed_addend = accrued.rules.borrowed_addend
        self._names = Names(accrued)

    def health(self, snapshot: AccountSnapshot) -> Health:
        if self._confirmation.failed:
            return _UNKNOWN
        rows = self._accrued.rows(snapshot.params[0])
        supplied_addend, borrowed_addend = self._supplied_addend, self._borrowed_addend
        collateral = debt = weighted = 0
        for position in snapshot.positions:
            borrowed, is_collateral = position.borrowed_raw, position.is_collateral
            row = rows[position.market]
            if row is None:
                return _UNKNOWN
            if not (borrowed or is_collateral):
                continue
            income, debt_index, price, unit, value_addend, threshold, _ = row
            if not price:
                return _UNKNOWN
            if is_collateral and threshold is not None:
                value = (position.supplied_raw * income + supplied_addend) // RAY * price // unit
                collateral += value
                weighted += value * threshold
            if borrowed:
                debt += ((borrowed * debt_index + borrowed_addend) // RAY * price + value_addend) // unit
        if not debt:
            return Health(_NO_DEBT, None, collateral, 0, 0)
        factor = health_factor_wad(self._rules, collateral, debt, weighted)
        status = _LIQUIDATABLE if factor < WAD else _HEALTHY
        return _make_tuple(Health, (status, factor, collateral, debt, utilization_wad(debt, weighted), None))

    def assess(self, snapshot: AccountSnapshot) -> RiskAssessment:
        return assess(self._accrued, self._confirmation, snapshot)

    def truth(self, snapshot: AccountSnapshot) -> Truth | None:
        """The six numbers of getUserAccountData: collateral, debt and available borrows as value, average
        threshold and LTV in bps, health factor (2^256 - 1 without debt)."""
        rows, rules = self._accrued.rows(snapshot.params[0]), self._rules
        collateral = debt = weighted = lendable = 0
        for position in snapshot.positions:
            if not (position.borrowed_raw or position.is_collateral):
                continue
            row = rows[position.market]
            if row is None:
                return None
            income, debt_index, price, unit, value_addend, threshold, ltv = row
            if price is None:
                return None
            if position.is_collateral and threshold is not None:
                value = (position.supplied_raw * income + self._supplied_addend) // RAY * price // unit
                collateral += value
                weighted += value * threshold
                lendable += value * ltv
            if position.borrowed_raw:
                assets = (position.borrowed_raw * debt_index + self._borrowed_addend) // RAY
                debt += (assets * price + value_addend) // unit
        average_ltv = average_bps(collateral, lendable)
        return (
            collateral,
            debt,
            available_borrows(rules, collateral, debt, average_ltv),
            average_bps(collateral, weighted),
            average_ltv,
            health_factor_wad(rules, collateral, debt, weighted) if debt else UINT256_MAX,
        )

    def restoration(self, snapshot: AccountSnapshot, target_health_wad: int) -> Restoration:
        if self._confirmation.failed:
            return Restoration(target_health_wad, (), ())
        return restore(self._accrued, snapshot, target_health_wad)

    def with_price(self, market: str, price: int) -> AavePrices:
        return self.with_prices({market: price})

    def with_prices(self, prices: Mapping[str, int]) -> AavePrices:
        return AavePrices(self._accrued.with_prices(prices), self._confirmation)

    def prices_of(self, snapshot: AccountSnapshot) -> dict[str, int]:
        rows = self._accrued.rows(snapshot.params[0])
        known = {position.market: rows[position.market] for position in snapshot.positions}
        return {market: row[2] for market, row in known.items() if row is not None and row[2]}

    @property
    def truncates_threshold(self) -> bool:
        return not self._rules.summed_threshold

    def legs(self, snapshot: AccountSnapshot) -> tuple[Leg, ...] | None:
        return None if self._confirmation.failed else make_legs(self._accrued, snapshot, self._names)

    def legs_basis(self) -> object:
        return self._confirmation.failed, basis(self._accrued)

    def factors(self) -> tuple[Factor, ...]:
        return make_factors(self._accrued)

    def quotes(self) -> tuple[MarketQuote, ...]:
        raw = self._accrued.raw
        quotes: list[MarketQuote] = []
        for reserve in raw.reserves:
            price, indices = raw.prices[reserve.code], raw.indices[reserve.code]
            configuration = raw.configurations[reserve.code]
            quotes.append(
                MarketQuote(
                    reserve.code,
                    price=price.value or None,
                    price_updated_at=price.updated_at,
                    supply_rate_ray=indices.liquidity_rate if indices else None,
                    borrow_rate_ray=indices.borrow_rate if indices else None,
                    liquidation_threshold_bps=configuration.threshold_bps if configuration else None,
                    max_ltv_bps=configuration.ltv_bps if configuration else None,
                )
            )
        return tuple(quotes)
