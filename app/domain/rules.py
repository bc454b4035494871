"""What makes a rule sound: the unit of each metric, the parameters it takes, and the order of its levels."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import pairwise

from app.domain.risk import RiskStatus
from app.domain.units import format_units, parse_units
from app.domain.watch import BEYOND, Metric, Rule

MOST_COOLDOWN_SECONDS = 7 * 86_400
LEAST_WINDOW_SECONDS = 60
MOST_WINDOW_SECONDS = 30 * 86_400
MOST_NAME_LENGTH = 100
_MOST_DIGITS = 60


class LevelUnit(StrEnum):
    """What levels and values of a metric are given in."""

    RATIO = "ratio"
    """WAD inside, a decimal number outside."""
    SECONDS = "seconds"
    COUNT = "count"

    @property
    def decimals(self) -> int:
        """Decimals of the integer inside."""
        return 18 if self is LevelUnit.RATIO else 0


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """What a rule on one metric has to say, and may say. The names are those of `Rule`'s fields."""

    unit: LevelUnit
    needs: frozenset[str] = frozenset()
    allows: frozenset[str] = frozenset()
    is_flag: bool = False
    """1 or 0: one severity, whose level is 1."""


def _spec(unit: LevelUnit, needs: str = "", allows: str = "", *, is_flag: bool = False) -> MetricSpec:
    return MetricSpec(unit, frozenset(needs.split()), frozenset(allows.split()), is_flag)


METRICS: Mapping[Metric, MetricSpec] = {
    Metric.HEALTH_FACTOR: _spec(LevelUnit.RATIO, allows="deployment_id"),
    Metric.UTILIZATION: _spec(LevelUnit.RATIO, allows="deployment_id"),
    Metric.PRICE_DISTANCE: _spec(LevelUnit.RATIO, allows="asset deployment_id"),
    Metric.JOINT_DISTANCE: _spec(LevelUnit.RATIO, "group", "deployment_id"),
    Metric.SIGMA_DISTANCE: _spec(LevelUnit.RATIO, "group", "deployment_id"),
    Metric.SECONDS_TO_LIQUIDATION: _spec(LevelUnit.SECONDS, allows="deployment_id"),
    Metric.COLLATERAL_CHANGE: _spec(LevelUnit.RATIO, "window_seconds", "deployment_id"),
    Metric.DEBT_CHANGE: _spec(LevelUnit.RATIO, "window_seconds", "deployment_id"),
    Metric.STATUS: _spec(LevelUnit.COUNT, "statuses", "deployment_id", is_flag=True),
    Metric.PARAMETERS: _spec(LevelUnit.COUNT, allows="deployment_id"),
    Metric.DEBT_AT_RISK: _spec(LevelUnit.RATIO, "group move_wad", "deployment_id chain_id"),
    Metric.LONG_SHARE: _spec(LevelUnit.RATIO, "deployment_id"),
    Metric.BLIND: _spec(LevelUnit.SECONDS, allows="chain_id"),
}
PARAMETERS = ("asset", "group", "move_wad", "window_seconds", "statuses", "deployment_id", "chain_id")
"""Fields of `Rule` that some metrics take and others do not."""
assert set(PARAMETERS) <= {field.name for field in fields(Rule)}


@dataclass(frozen=True, slots=True)
class Known:
    """The names a rule may use; None: whatever it likes."""

    groups: Collection[str] | None = None
    deployment_ids: Collection[str] | None = None
    chain_ids: Collection[int] | None = None


def parse_level(metric: Metric, text: str) -> int:
    """A level as people write it, in the metric's unit: 1.05, or 3600.

    Raises:
        ValueError: not a number of that unit; the message is fit to be shown.
    """
    unit = METRICS[metric].unit
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a level has at most {_MOST_DIGITS} digits")
    try:
        return parse_units(text, unit.decimals)
    except ValueError:
        form = "a decimal number such as 1.05, with at most 18 decimals" if unit.decimals else "a whole number"
        raise ValueError(f"a level of {metric.value} is {form}") from None


def format_level(metric: Metric, value: int) -> str:
    """A level or value of a metric as people write it, exact, without trailing zeros: 1050000000000000000 -> `1.05`."""
    text = format_units(value, METRICS[metric].unit.decimals)
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def format_value(metric: Metric, value: int | None) -> str | None:
    """A value as `format_level` gives it; None where there is no number: not known, or beyond every one."""
    return None if value is None or value == BEYOND else format_level(metric, value)


def faults_of(rule: Rule, known: Known = Known()) -> list[str]:
    """Everything that is wrong with a rule, one sentence each; nothing when it is sound."""
    faults = _name_faults(rule.name) + _parameter_faults(rule) + _level_faults(rule) + _known_faults(rule, known)
    if not 0 <= rule.cooldown_seconds <= MOST_COOLDOWN_SECONDS:
        faults.append(f"cooldown_seconds is between 0 and {MOST_COOLDOWN_SECONDS}")
    if rule.window_seconds is not None and not LEAST_WINDOW_SECONDS <= rule.window_seconds <= MOST_WINDOW_SECONDS:
        faults.append(f"window_seconds is between {LEAST_WINDOW_SECONDS} and {MOST_WINDOW_SECONDS}")
    return faults


def _name_faults(name: str) -> list[str]:
    if 0 < len(name.strip()) == len(name) <= MOST_NAME_LENGTH and name.isprintable():
        return []
    return [f"a name has 1 to {MOST_NAME_LENGTH} printable characters, none of them a space at its ends"]


def _parameter_faults(rule: Rule) -> list[str]:
    spec = METRICS[rule.metric]
    given = {name for name in PARAMETERS if getattr(rule, name) not in (None, frozenset())}
    faults = [f"{rule.metric.value} needs {_told(name)}" for name in PARAMETERS if name in spec.needs - given]
    faults += [
        f"{rule.metric.value} takes no {_told(name)}" for name in PARAMETERS if name in given - spec.needs - spec.allows
    ]
    if rule.metric is Metric.DEBT_AT_RISK and len(given & {"deployment_id", "chain_id"}) != 1:
        faults.append("debt_at_risk is of one deployment_id or of one chain_id")
    if rule.move_wad is not None and not -(10**18) <= rule.move_wad <= 10 * 10**18:
        faults.append("move is between -1 (all is lost) and 10")
    if rule.move_wad == 0:
        faults.append("move is a fall (negative) or a rise, not 0")
    return faults


def _told(name: str) -> str:
    return "move" if name == "move_wad" else name


def _level_faults(rule: Rule) -> list[str]:
    """A worse severity lies further out, and the clear level on the good side of all, or on the mildest."""
    if not rule.levels:
        return ["at least one severity needs a level"]
    if METRICS[rule.metric].is_flag:
        is_flag = list(rule.levels.values()) == [1] and rule.clear_at == 1
        return [] if is_flag else [f"{rule.metric.value} has one severity, and its level and clear_at are 1"]
    faults = []
    outward = [level for _, level in sorted(rule.levels.items())]
    sign = -1 if rule.is_bad_below else 1
    if any(sign * milder >= sign * worse for milder, worse in pairwise(outward)):
        faults.append(f"a worse severity has a {'lower' if rule.is_bad_below else 'higher'} level")
    mildest = outward[0]
    if sign * rule.clear_at > sign * mildest:
        where = "at or above" if rule.is_bad_below else "at or below"
        faults.append(f"clear_at is {where} the mildest level, {format_level(rule.metric, mildest)}")
    if min(*outward, rule.clear_at) < (0 if rule.is_bad_below else 1):
        faults.append("levels and clear_at are not below 0" if rule.is_bad_below else "levels and clear_at are above 0")
    return faults


def _known_faults(rule: Rule, known: Known) -> list[str]:
    faults = []
    if known.groups is not None and rule.group is not None and rule.group not in known.groups:
        faults.append(f"no asset group {rule.group!r}; there are: {', '.join(sorted(known.groups))}")
    deployments, chains = known.deployment_ids, known.chain_ids
    if deployments is not None and rule.deployment_id is not None and rule.deployment_id not in deployments:
        faults.append(f"no deployment {rule.deployment_id!r} is followed; /v1/deployments lists those that are")
    if chains is not None and rule.chain_id is not None and rule.chain_id not in chains:
        faults.append(f"chain {rule.chain_id} is not followed")
    if RiskStatus.HEALTHY in rule.statuses:
        faults.append("statuses are of those worth an alert: liquidatable, unknown, no_debt")
    return faults
