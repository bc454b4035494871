"""Rules as people write them and as they are shown: for the API and the command line."""

from __future__ import annotations

from collections.abc import Sequence

from app.api.schemas.watchlists import LevelsView, RuleIn, RuleView
from app.domain.risk import RiskStatus
from app.domain.rules import METRICS, Known, faults_of, format_level, parse_level
from app.domain.units import format_units, parse_units
from app.domain.watch import BAD_BELOW, Metric, Rule, Severity
from app.errors import Refused
from app.store.watch.rules import StoredRule

_WAD_DECIMALS = 18


class BadRule(Refused):
    """A rule that is not sound. The message says everything that is wrong with it."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


def rule_of(given: RuleIn, watchlist_id: int, known: Known, rule_id: int = 0) -> Rule:
    """The rule that was meant.

    Raises:
        BadRule: it is not sound, or names what is not known.
    """
    metric = Metric(given.metric)
    faults: list[str] = []

    def level(text: str | None) -> int:
        try:
            return 0 if text is None else parse_level(metric, text)
        except ValueError as error:
            faults.append(str(error))
            return 0

    levels = {
        Severity[name.upper()]: level(text) for name, text in given.levels.model_dump().items() if text is not None
    }
    mildest = levels[min(levels)] if levels else 0
    clear_at = mildest if given.clear_at is None else level(given.clear_at)
    move = _move(given.move, faults)
    if faults:
        raise BadRule(faults)
    rule = Rule(
        id=rule_id,
        watchlist_id=watchlist_id,
        name=given.name,
        metric=metric,
        levels=levels,
        clear_at=clear_at,
        asset=given.asset,
        group=given.group,
        move_wad=move,
        window_seconds=given.window_seconds,
        statuses=frozenset(RiskStatus(status) for status in given.statuses),
        deployment_id=given.deployment_id,
        chain_id=given.chain_id,
        cooldown_seconds=given.cooldown_seconds,
    )
    if found := faults_of(rule, known):
        raise BadRule(found)
    return rule


def rule_view(stored: StoredRule) -> RuleView:
    """A rule as it is shown."""
    rule = stored.rule
    levels = {
        severity.name.lower(): format_level(rule.metric, rule.levels[severity]) if severity in rule.levels else None
        for severity in Severity
    }
    move = None if rule.move_wad is None else format_units(rule.move_wad, _WAD_DECIMALS).rstrip("0").rstrip(".")
    return RuleView.model_validate(
        {
            "id": rule.id,
            "watchlist_id": rule.watchlist_id,
            "name": rule.name,
            "metric": rule.metric.value,
            "unit": METRICS[rule.metric].unit.value,
            "bad_when": "at_or_below" if rule.metric in BAD_BELOW else "at_or_above",
            "levels": LevelsView(**levels),
            "clear_at": format_level(rule.metric, rule.clear_at),
            "asset": rule.asset,
            "group": rule.group,
            "move": move,
            "window_seconds": rule.window_seconds,
            "statuses": sorted(status.value for status in rule.statuses),
            "deployment_id": rule.deployment_id,
            "chain_id": rule.chain_id,
            "cooldown_seconds": rule.cooldown_seconds,
            "is_enabled": stored.is_enabled,
            "created_at": stored.created_at,
        }
    )


def _move(text: str | None, faults: list[str]) -> int | None:
    try:
        return None if text is None else parse_units(text, _WAD_DECIMALS)
    except ValueError:
        faults.append("move is a decimal number such as -0.2, with at most 18 decimals")
        return None
