"""Rules to begin with: sensible levels, each to be added with one click and changed through the API."""

from __future__ import annotations

from dataclasses import dataclass

from app.api.schemas.watchlists import LevelsIn, RuleIn


@dataclass(frozen=True, slots=True)
class Preset:
    """A rule that is offered."""

    code: str
    title: str
    why: str
    rule: RuleIn


def _rule(name: str, metric: str, *, warning: str | None = None, critical: str | None = None, **more: object) -> RuleIn:
    levels = LevelsIn(warning=warning, critical=critical)
    return RuleIn.model_validate({"name": name, "metric": metric, "levels": levels, **more})


PRESETS = (
    Preset(
        "health",
        "Health factor: warning at 1.10, critical at 1.03",
        "The protocol's own number. Ends above 1.15, so that trembling around a level is one episode.",
        _rule("health factor", "health_factor", warning="1.1", critical="1.03", clear_at="1.15"),
    ),
    Preset(
        "distance",
        "Price: warning when a move of 10 % liquidates, critical at 4 %",
        "The nearest liquidation price of any asset, others unchanged.",
        _rule("price distance", "price_distance", warning="0.1", critical="0.04", clear_at="0.12"),
    ),
    Preset(
        "sigmas",
        "Volatility: warning within 3 daily standard deviations, critical within 1.5",
        "All volatile assets together, measured in their own daily moves: the same unease for calm and wild assets.",
        _rule("sigma distance", "sigma_distance", warning="3", critical="1.5", clear_at="3.5", group="volatile"),
    ),
    Preset(
        "status",
        "Status: critical once an account is liquidatable",
        "The protocol's own verdict at the newest block.",
        _rule("liquidatable", "status", critical="1", statuses=["liquidatable"]),
    ),
    Preset(
        "unknown",
        "Status: warning while an account cannot be assessed",
        "A silent oracle or a failed read is not calm.",
        _rule("unknown", "status", warning="1", statuses=["unknown"]),
    ),
    Preset(
        "parameters",
        "Parameters: warning when the protocol makes liquidation easier",
        "A lower liquidation threshold or a higher maintenance margin on something the wallet holds.",
        _rule("parameters", "parameters", warning="1"),
    ),
    Preset(
        "blind",
        "Blindness: warning after 2 minutes without current data, critical after 10",
        "Every list has this one anyway; a rule of its own takes its place.",
        _rule("blind", "blind", warning="120", critical="600"),
    ),
)
