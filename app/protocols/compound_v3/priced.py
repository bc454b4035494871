"""What a Comet answers about accounts at one block."""

from __future__ import annotations

from app.domain.account import AccountSnapshot
from app.domain.legs import Factor, Leg
from app.domain.market import MarketQuote
from app.domain.risk import Health, Restoration, RiskAssessment, RiskStatus
from app.domain.units import BPS, SECONDS_PER_YEAR, WAD
from app.protocols.base import PricedState, Truth
from app.protocols.calibration import Confirmation
from app.protocols.compound_v3.accrual import present_value, rate, utilization
from app.protocols.compound_v3.assessment import assess, utilization_wad, verdict
from app.protocols.compound_v3.book import basis, make_factors, make_legs
from app.protocols.compound_v3.legs import Book, view_carries
from app.protocols.compound_v3.raw import INDEX_SCALE
from app.protocols.compound_v3.restoration import restore

_UNKNOWN = Health(RiskStatus.UNKNOWN, None, None, None)
_WAD_TO_RAY = 10**9


class CometPrices(PricedState):
    """A Comet with interest accrued to one block.

    Verdicts use the accrued indices, as a liquidation does; `truth` uses the stored ones for the two views that
    leave the interest since the last accrual out.
    """

    __slots__ = ("_book", "_confirmation", "_stored")

    def __init__(self, book: Book, stored: Book, confirmation: Confirmation) -> None:
        self._book = book
        self._stored = stored
        self._confirmation = confirmation

    def health(self, snapshot: AccountSnapshot) -> Health:
        if self._confirmation.failed:
            return _UNKNOWN
        book = self._book
        rows, base_code, indices = book.rows, book.base_code, book.indices
        collateral = capacity = debt = 0
        for position in snapshot.positions:
            if position.market == base_code:
                if indices is None:
                    return _UNKNOWN
                if position.borrowed_raw:
                    if book.base_price is None:
                        return _UNKNOWN
                    owed = position.borrowed_raw * indices.borrow // INDEX_SCALE
                    debt = owed * book.base_price // book.base_scale
                continue
            row = rows.get(position.market)
            if row is None or row.price is None:
                return _UNKNOWN
            if position.is_collateral:
                value = position.supplied_raw * row.price // row.scale
                collateral += value
                capacity += value * row.liquidate_factor // WAD
        if not debt:
            return Health(RiskStatus.NO_DEBT, None, collateral, 0, 0)
        factor = capacity * WAD // debt
        return Health(verdict(factor), factor, collateral, debt, utilization_wad(capacity, debt))

    def assess(self, snapshot: AccountSnapshot) -> RiskAssessment:
        return assess(self._book, self._stored, self._confirmation, snapshot)

    def truth(self, snapshot: AccountSnapshot) -> Truth | None:
        """isLiquidatable and isBorrowCollateralized (1 is true) by the stored indices, borrowBalanceOf and balanceOf
        by the accrued ones; None where one of them reverts."""
        stored, indices = self._stored, self._book.indices
        safe = view_carries(stored, snapshot, borrowing=False)
        collateralized = view_carries(stored, snapshot, borrowing=True)
        if safe is None or collateralized is None or indices is None:
            return None
        supplied = next((p.supplied_raw for p in snapshot.positions if p.market == self._book.base_code), 0)
        balance = present_value(supplied, indices.supply)
        return (int(not safe), int(collateralized), self._book.debt(snapshot), balance)

    def restoration(self, snapshot: AccountSnapshot, target_health_wad: int) -> Restoration:
        if self._confirmation.failed:
            return Restoration(target_health_wad, (), ())
        return restore(self._book, snapshot, target_health_wad)

    def with_price(self, market: str, price: int) -> CometPrices:
        book, stored = (one.with_price(market, price) for one in (self._book, self._stored))
        return CometPrices(book, stored, self._confirmation)

    def legs(self, snapshot: AccountSnapshot) -> tuple[Leg, ...] | None:
        return None if self._confirmation.failed else make_legs(self._book, snapshot)

    def legs_basis(self) -> object:
        return self._confirmation.failed, basis(self._book)

    def factors(self) -> tuple[Factor, ...]:
        return make_factors(self._book)

    def quotes(self) -> tuple[MarketQuote, ...]:
        """Base and collaterals. How much of a collateral there is in all is not read."""
        collaterals = (
            MarketQuote(
                code,
                price=None if row is None else row.price,
                liquidation_threshold_bps=None if row is None else row.liquidate_factor * BPS // WAD,
                max_ltv_bps=None if row is None else row.borrow_factor * BPS // WAD,
                total_borrowed_assets=0,
            )
            for code, row in self._book.rows.items()
        )
        return (self._base_quote(), *collaterals)

    def _base_quote(self) -> MarketQuote:
        raw, indices = self._book.raw, self._book.indices
        quote = MarketQuote(raw.base.code, price=self._book.base_price, liquidation_threshold_bps=0, max_ltv_bps=0)
        if raw.totals is None or raw.curves is None or indices is None:
            return quote
        used = utilization(raw.totals)
        return MarketQuote(
            quote.market,
            quote.price,
            supply_rate_ray=rate(raw.curves.supply, used) * SECONDS_PER_YEAR * _WAD_TO_RAY,
            borrow_rate_ray=rate(raw.curves.borrow, used) * SECONDS_PER_YEAR * _WAD_TO_RAY,
            liquidation_threshold_bps=0,
            max_ltv_bps=0,
            total_supplied_assets=present_value(raw.totals.total_supply, indices.supply),
            total_borrowed_assets=present_value(raw.totals.total_borrow, indices.borrow),
        )
