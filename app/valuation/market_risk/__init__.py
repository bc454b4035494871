"""What moves of prices would do to everybody: curves, cascades, distributions. Floats of the book, in US dollars."""

from app.valuation.market_risk.cascade import DEFAULT_DEPTH_USD, Cascade, CascadeSums, Impact, ImpactModel, cascade
from app.valuation.market_risk.concentration import Concentration, Holder, concentration
from app.valuation.market_risk.curve import CurveSums, RiskCurve, risk_curve
from app.valuation.market_risk.market import JointMove, RiskMarket
from app.valuation.market_risk.share import DebtAtRisk, debt_at_risk, sum_of
from app.valuation.market_risk.summary import Band, DeploymentSummary, UsdSums, summarise
from app.valuation.market_risk.verdicts import Screened, Verdicts, decided, screen_under, verdict_under

__all__ = [
    "DEFAULT_DEPTH_USD",
    "Band",
    "Cascade",
    "CascadeSums",
    "Concentration",
    "CurveSums",
    "DebtAtRisk",
    "DeploymentSummary",
    "Holder",
    "Impact",
    "ImpactModel",
    "JointMove",
    "RiskCurve",
    "RiskMarket",
    "Screened",
    "UsdSums",
    "Verdicts",
    "cascade",
    "concentration",
    "debt_at_risk",
    "decided",
    "risk_curve",
    "screen_under",
    "sum_of",
    "summarise",
    "verdict_under",
]
