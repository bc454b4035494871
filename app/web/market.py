"""What the market page shows: the API's answers about everybody, put into rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.api.schemas.risk import BandView, CurveView, RiskSimulationView, RiskSummaryView
from app.web import format as shown
from app.web.curve_chart import CurveChart, curve_chart
from app.web.source import PageSource

GROUPS = {
    "volatile": "All volatile assets",
    "eth": "ETH-like assets",
    "btc": "BTC-like assets",
    "stable": "Stablecoins",
}
FALLS = ("-0.1", "-0.2", "-0.3")
STABLE_MOVES = ("-0.05", "0.05", "0.1")
"""Stable assets move by less, and it is their rise that takes those along who owe them."""
BAR = 100
"""Length of the longest bar."""


@dataclass(frozen=True, slots=True)
class Fall:
    """One point of a curve, in the API's own strings."""

    label: str
    accounts: int
    perp_accounts: int
    debt_usd: str
    collateral_usd: str


@dataclass(frozen=True, slots=True)
class GroupItem:
    """One group's curve and what falls with it."""

    name: str
    code: str
    chart: CurveChart | None
    falls: tuple[Fall, ...]


@dataclass(frozen=True, slots=True)
class BandItem:
    """One band of a histogram; `bar` is its share of the longest one, up to `BAR`."""

    label: str
    accounts: int
    requirement_usd: str
    bar: float


@dataclass(frozen=True, slots=True)
class MarketPage:
    """Everything on the page."""

    summary: RiskSummaryView
    groups: tuple[GroupItem, ...]
    simulations: tuple[tuple[str, RiskSimulationView], ...]
    """With what each is called."""
    health: tuple[BandItem, ...]
    utilizations: tuple[BandItem, ...]

    @property
    def has_perps(self) -> bool:
        """Whether any perp account is known."""
        return any(self.summary.perps.accounts.model_dump().values())

    @property
    def excluded(self) -> str:
        """Who is in no sum, in words; empty where everybody is."""
        left_out = self.summary.excluded
        parts = [
            (left_out.unknown_accounts, "unknown"),
            (left_out.unconverted_accounts, "with values nobody states in USD"),
            (left_out.outside_book_accounts, "valued one by one only"),
        ]
        said = [f"{shown.integer(count)} {what}" for count, what in parts if count]
        return ", ".join(said)


async def load_market(source: PageSource) -> MarketPage:
    """Ask for everything the page needs. Raises what the source raises."""
    summary = await source.load_risk_summary()
    curves = [await source.load_group_curve(group) for group in GROUPS]
    falls = await source.load_falls()
    return MarketPage(
        summary,
        tuple(_group(curve) for curve in curves),
        tuple((shown.distance(view.moves[0].change), view) for view in falls),
        _bands(summary.lending.health, "{:g}".format),
        _bands(summary.lending.utilizations, "{:.0%}".format),
    )


def _group(curve: CurveView) -> GroupItem:
    asked = STABLE_MOVES if curve.moved == "stable" else FALLS
    falls = [_fall(curve, curve.moves.index(move)) for move in asked if move in curve.moves]
    return GroupItem(GROUPS[curve.moved], curve.moved, curve_chart(curve), tuple(falls))


def _fall(curve: CurveView, at: int) -> Fall:
    return Fall(
        shown.distance(curve.moves[at]),
        curve.lending.accounts[at],
        curve.perps.accounts[at],
        curve.lending.debt_usd[at],
        curve.lending.collateral_usd[at],
    )


def _bands(bands: Sequence[BandView], write: Callable[[float], str]) -> tuple[BandItem, ...]:
    most = max((band.accounts for band in bands), default=0) or 1
    return tuple(
        BandItem(_range(band, write), band.accounts, band.requirement_usd, round(BAR * band.accounts / most, 1))
        for band in bands
    )


def _range(band: BandView, write: Callable[[float], str]) -> str:
    low = None if band.at_least is None else write(float(band.at_least))
    high = None if band.below is None else write(float(band.below))
    if low is None:
        return f"below {high}"
    return f"{low} and more" if high is None else f"{low} to {high}"
