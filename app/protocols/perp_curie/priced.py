"""What a deployment answers about accounts at one time."""

from __future__ import annotations

from app.domain.account import AccountSnapshot
from app.domain.legs import Factor, Leg
from app.domain.market import MarketQuote
from app.domain.risk import Health, Restoration, RiskAssessment, RiskStatus
from app.domain.units import BPS
from app.protocols.base import PricedState, Truth
from app.protocols.calibration import Confirmation
from app.protocols.perp_curie.assessment import assess
from app.protocols.perp_curie.book import basis, make_factors, make_legs
from app.protocols.perp_curie.margin import ONE, Book, Standing, read_standing
from app.protocols.perp_curie.raw import RATIO
from app.protocols.perp_curie.restoration import restore

_UNKNOWN = Health(RiskStatus.UNKNOWN, None, None, None)


class CuriePrices(PricedState):
    """Values in US dollars with 18 decimals, one settlement token counting as one dollar, as the protocol does.

    At the very time of the block everything equals the contracts' own answers. Later, funding is what the block's
    premium makes of it, and all else stays: what would come by funding alone.
    """

    __slots__ = ("_book", "_confirmation")

    def __init__(self, book: Book, confirmation: Confirmation) -> None:
        self._book = book
        self._confirmation = confirmation

    def health(self, snapshot: AccountSnapshot) -> Health:
        if self._confirmation.failed:
            return _UNKNOWN
        standing = read_standing(self._book, snapshot)
        if not isinstance(standing, Standing):
            return _UNKNOWN
        status, factor, utilization = standing.verdict
        return Health(status, factor, standing.collateral_value, None, utilization, standing.totals.notional)

    def assess(self, snapshot: AccountSnapshot) -> RiskAssessment:
        return assess(self._book, self._confirmation, snapshot)

    def truth(self, snapshot: AccountSnapshot) -> Truth | None:
        """Account value, maintenance requirement, notional, owed realised result, unrealised result and pending fee:
        `ClearingHouse.getAccountValue`, `AccountBalance.getMarginRequirementForLiquidation`,
        `.getTotalAbsPositionValue` and the three of `.getPnlAndPendingFee`."""
        standing = read_standing(self._book, snapshot)
        if not isinstance(standing, Standing):
            return None
        totals = standing.totals
        return (
            totals.equity,
            totals.requirement,
            totals.notional,
            standing.owed_realized_pnl,
            standing.unrealized_pnl,
            standing.pending_fee,
        )

    def restoration(self, snapshot: AccountSnapshot, target_health_wad: int) -> Restoration:
        standing = None if self._confirmation.failed else read_standing(self._book, snapshot)
        if not isinstance(standing, Standing):
            return Restoration(target_health_wad, (), ())
        return restore(standing, target_health_wad)

    def with_price(self, market: str, price: int) -> CuriePrices:
        """Another price of a market (the mark, or what a market that is not open is valued at) or of a collateral."""
        return CuriePrices(self._book.with_price(market, price), self._confirmation)

    def legs(self, snapshot: AccountSnapshot) -> tuple[Leg, ...] | None:
        return None if self._confirmation.failed else make_legs(self._book, snapshot)

    def legs_basis(self) -> object:
        return self._confirmation.failed, basis(self._book)

    def factors(self) -> tuple[Factor, ...]:
        return make_factors(self._book)

    def quotes(self) -> tuple[MarketQuote, ...]:
        """The settlement token, the collaterals with the part of them that counts, and the marks."""
        raw = self._book.raw
        collaterals = (
            MarketQuote(
                one.code,
                price=one.price,
                liquidation_threshold_bps=None if one.ratio is None else one.ratio * BPS // RATIO,
                max_ltv_bps=None if one.ratio is None else one.ratio * BPS // RATIO,
            )
            for one in raw.collaterals.values()
        )
        perps = (MarketQuote(one.code, price=one.price) for one in raw.markets.values())
        settlement = MarketQuote(raw.settlement.code, price=ONE, liquidation_threshold_bps=BPS, max_ltv_bps=BPS)
        return (settlement, *collaterals, *perps)
