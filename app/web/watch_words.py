"""Words of the watchlist pages: severities, states of messages, rules as sentences, what a list opens with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.api.schemas.alerts import DeliveryView, RouteView
from app.api.schemas.watchlists import RuleView
from app.api.watch.desk_views import Glance, ListsGlance
from app.domain.rules import parse_level
from app.domain.specs import chain_spec
from app.domain.watch import Metric
from app.watch.words import NAMES, duration, level_shown
from app.web.words import Band

EVALUATED_WITHIN_SECONDS = 60
"""Rules that have not been evaluated at the newest block for longer are said to be behind."""

CANNOT_BE_SAID = Band("unknown", "Cannot be said")
SEVERITIES: Mapping[str | None, Band] = {
    "critical": Band("liquidatable", "Critical"),
    "warning": Band("brink", "Warning"),
    "info": Band("note", "Info"),
    None: Band("wide", "Nothing open"),
}
_STATES = {
    "delivered": Band("wide", "Delivered"),
    "dead": Band("liquidatable", "Given up"),
    "cancelled": Band("no_debt", "Cancelled"),
}
ENDINGS = {"cleared": Band("no_debt", "Cleared"), "retracted": Band("unknown", "Taken back")}
STEPS = {
    "opened": "opened",
    "escalated": "got worse",
    "cleared": "cleared",
    "retracted": "taken back: its block was replaced",
    "reminded": "reminded",
}


@dataclass(frozen=True, slots=True)
class Opening:
    """What a list's page says first."""

    band: Band
    far: str
    rest: str = ""


def delivery_band(delivery: DeliveryView, now: int) -> Band:
    """How a message stands."""
    if delivery.state != "pending":
        return _STATES[delivery.state]
    if delivery.attempts:
        return Band("thin", "Trying again")
    return Band("clock", "Waits for its hour" if delivery.send_after > now else "Under way")


def opening_of(glance: Glance) -> Opening:
    """The worst first; and no list is called calm that cannot be seen."""
    told = [line for line in glance.open if line.view.announced_at is not None]
    if told:
        worst = told[0]
        count = len(told)
        critical = sum(line.view.severity == "critical" for line in told)
        far = f"{count} open {'episode' if count == 1 else 'episodes'}"
        if critical:
            far += f", {critical} critical"
        return Opening(SEVERITIES[worst.view.severity], far, f"{worst.who}: {worst.finding}")
    blind = blind_of(glance)
    if blind:
        return Opening(CANNOT_BE_SAID, "Cannot be said", "; ".join(blind))
    if not glance.rules:
        return Opening(Band("no_debt", "Not watching"), "No rule yet", "nothing is looked for before there is one")
    if not glance.watchlist.members:
        return Opening(Band("no_debt", "Not watching"), "No wallet yet", "put wallets on the list to watch them")
    if glance.watchlist.is_paused:
        return Opening(Band("no_debt", "Paused"), "Paused", "nothing is evaluated and nobody is told")
    rules = sum(rule.is_enabled for rule in glance.rules)
    return Opening(
        SEVERITIES[None], "Nothing found", f"{rules} {'rule' if rules == 1 else 'rules'} held against every block"
    )


def blind_of(glance: Glance | ListsGlance) -> list[str]:
    """Why what is shown may not be the truth, chain by chain."""
    found = [f"{chain.chain}: {chain.stale_reason or 'stale'}" for chain in glance.chains if chain.stale]
    for chain in glance.chains:
        at = glance.evaluated_at.get(chain.chain_id)
        if chain.stale or at is None:
            continue
        if at == 0 or glance.now - at > EVALUATED_WITHIN_SECONDS:
            since = "" if at == 0 else f" for {duration(glance.now - at)}"
            found.append(f"{chain.chain}: rules have not been evaluated{since}")
    return found


def rule_words(rule: RuleView) -> str:
    """`health factor at or below 1.1 (warning), 1.02 (critical); ends past 1.15`."""
    metric = Metric(rule.metric)
    levels = [
        f"{_level(metric, level)} ({name})" for name, level in rule.levels.model_dump().items() if level is not None
    ]
    match metric:
        case Metric.STATUS:
            severity = next(name for name, level in rule.levels.model_dump().items() if level is not None)
            return f"status is {' or '.join(one.replace('_', ' ') for one in rule.statuses)} ({severity})"
        case Metric.PARAMETERS:
            return f"{NAMES[metric]}: {', '.join(levels)} or more"
        case _:
            side = "at or below" if rule.bad_when == "at_or_below" else "at or above"
            said = f"{NAMES[metric]}{_of(rule)} {side} {', '.join(levels)}"
            return f"{said}; ends past {_level(metric, rule.clear_at)}"


def route_words(route: RouteView) -> str:
    """When a channel is told what."""
    parts = ["everything" if route.min_severity == "info" else f"{route.min_severity} and worse"]
    if route.quiet_from:
        but = f", but {route.quiet_override} at any time" if route.quiet_override else ""
        parts.append(f"quiet from {route.quiet_from} to {route.quiet_to} ({route.timezone}){but}")
    if route.repeat_seconds:
        parts.append(f"again every {duration(route.repeat_seconds)} until acknowledged")
    if route.digest_at:
        parts.append(f"a digest at {route.digest_at} ({route.timezone})")
    return "; ".join(parts)


def _of(rule: RuleView) -> str:
    parts = [f" of {rule.asset}" if rule.asset else "", f" of {rule.group} assets" if rule.group else ""]
    parts += [f" by {rule.move}" if rule.move else ""]
    parts += [f" within {duration(rule.window_seconds)}" if rule.window_seconds else ""]
    parts += [f" in {rule.deployment_id}" if rule.deployment_id else ""]
    parts += [f" on {chain_spec(rule.chain_id).name}" if rule.chain_id else ""]
    return "".join(parts)


def _level(metric: Metric, text: str) -> str:
    return level_shown(metric, parse_level(metric, text))
