"""Answers about a whole market, for pages."""

from __future__ import annotations

from app.api.examples.risk import CURVE, SIMULATION, SUMMARY
from app.api.schemas.risk import CurveView, RiskSimulationView, RiskSummaryView


def market_answers() -> tuple[RiskSummaryView, CurveView, RiskSimulationView]:
    """The documented examples."""
    return (
        RiskSummaryView.model_validate(SUMMARY),
        CurveView.model_validate(CURVE),
        RiskSimulationView.model_validate(SIMULATION),
    )
