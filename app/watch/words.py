"""What is said of an episode, for people: one plain sentence, rounded so that it is never better than the truth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from eth_utils.address import to_checksum_address

from app.domain.account import AccountKey
from app.domain.chain import ChainId
from app.domain.rules import METRICS, LevelUnit, format_level
from app.domain.specs import chain_spec
from app.domain.units import WAD, format_units
from app.domain.watch import (
    BAD_BELOW,
    BEYOND,
    ChainSubject,
    EpisodeEvent,
    EventKind,
    MarketSubject,
    Metric,
    Severity,
    Subject,
)

WAD_DECIMALS = 18


@dataclass(frozen=True, slots=True)
class Told:
    """What a message is about: an event with its episode, rule and list."""

    watchlist: str
    rule_name: str
    metric: Metric
    clear_at: int | None
    """None: the rule is gone."""
    episode_id: int
    severity: Severity
    """Of the episode: the worst it has reached."""
    state: str
    """`open`, `cleared` or `retracted`, after the event."""
    opened_at: int
    chain_id: ChainId
    subject: Subject
    event: EpisodeEvent
    event_id: int
    label: str = ""
    """What the list calls the wallet."""
    place: str = ""
    """The deployment's name for people; empty: its id is said."""


_SHARES = frozenset(
    {
        Metric.UTILIZATION,
        Metric.PRICE_DISTANCE,
        Metric.JOINT_DISTANCE,
        Metric.COLLATERAL_CHANGE,
        Metric.DEBT_CHANGE,
        Metric.DEBT_AT_RISK,
        Metric.LONG_SHARE,
    }
)
"""Ratios that people read in percent."""

NAMES = {
    Metric.HEALTH_FACTOR: "health factor",
    Metric.UTILIZATION: "utilisation of the limit",
    Metric.PRICE_DISTANCE: "distance to the nearest liquidation price",
    Metric.JOINT_DISTANCE: "distance if prices move together",
    Metric.SIGMA_DISTANCE: "distance in daily standard deviations",
    Metric.SECONDS_TO_LIQUIDATION: "time to liquidation by interest alone",
    Metric.COLLATERAL_CHANGE: "fall of the collateral's value",
    Metric.DEBT_CHANGE: "rise of the debt's value",
    Metric.STATUS: "status",
    Metric.PARAMETERS: "positions with worse liquidation terms",
    Metric.DEBT_AT_RISK: "share of debt liquidatable after the move",
    Metric.LONG_SHARE: "longs' share of open interest",
    Metric.BLIND: "time without current data",
}

_NOTHING_LEFT = {
    Metric.HEALTH_FACTOR: "nothing is owed any more",
    Metric.PRICE_DISTANCE: "no price of one asset liquidates it any more",
    Metric.JOINT_DISTANCE: "no such move liquidates it any more",
    Metric.SIGMA_DISTANCE: "no such move liquidates it any more",
    Metric.SECONDS_TO_LIQUIDATION: "time alone does not liquidate it any more",
}
"""Of a value beyond every number, where that is what was hoped for."""


def shown(metric: Metric, value: int) -> str:
    """The number for people, rounded towards bad; but it never reads as a whole 1 (100 %) before it is there."""
    if value == BEYOND:
        return "beyond any number"
    match metric:
        case Metric.SECONDS_TO_LIQUIDATION | Metric.BLIND:
            return duration(value)
        case Metric.STATUS | Metric.PARAMETERS:
            return str(value)
        case _:
            in_percent = metric in _SHARES
            return _rounded(value, 16 if in_percent else 18, metric) + (" %" if in_percent else "")


def level_shown(metric: Metric, level: int) -> str:
    """A level for people: as it was set, to the last digit."""
    if metric in _SHARES:
        return (format_units(level, 16).rstrip("0").rstrip(".") or "0") + " %"
    is_time = METRICS[metric].unit is LevelUnit.SECONDS
    return duration(level) if is_time else format_level(metric, level)


def duration(seconds: int) -> str:
    """The two largest units, rounded down: `3 h 20 min`, `45 s`."""
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if (count := max(0, seconds) // size) or (size == 1 and not parts):
            parts.append(f"{count:,} {unit}")
            seconds -= count * size
        elif parts:
            break
    return " ".join(parts[:2])


def address_short(address: bytes) -> str:
    """`0x12…ab`: enough to recognise a wallet by in a line."""
    text = to_checksum_address(address)
    return f"{text[:6]}…{text[-4:]}"


def subject_words(subject: Subject, chain_id: ChainId, label: str = "", place: str = "") -> str:
    """Who or what: `cold (0x1234…abcd) on Aave V3`, `Aave V3`, `Ethereum`."""
    match subject:
        case AccountKey():
            who = address_short(subject.wallet)
            who = f"{label} ({who})" if label else who
            return f"{who} on {place or subject.deployment_id}"
        case MarketSubject():
            return place or subject.deployment_id
        case ChainSubject():
            return chain_spec(chain_id).name


def sentence(told: Told) -> str:
    """One event as one plain sentence."""
    event = told.event
    who = subject_words(told.subject, told.chain_id, told.label, told.place)
    severity = event.severity.name.lower()
    when = f" as of block {event.block.number}" if event.block else ""
    finding = finding_words(told.metric, event)
    match event.kind:
        case EventKind.OPENED:
            return f"{who}: {finding} ({severity}){when}"
        case EventKind.ESCALATED:
            return f"{who}: worse, {finding} (now {severity}){when}"
        case EventKind.REMINDED:
            return f"{who}: still open since {_utc(told.opened_at)}, {finding} ({severity}){when}"
        case EventKind.CLEARED:
            return f"{who}: cleared, {_cleared_words(told)}{when}"
        case EventKind.RETRACTED:
            dropped = f"block {event.block.number} was replaced" if event.block else "its block was replaced"
            return f"{who}: taken back, {dropped} and what was said of it does not hold ({NAMES[told.metric]})"


def finding_words(metric: Metric, event: EpisodeEvent) -> str:
    """What was found, as `health factor 1.0423 is at or below 1.05`."""
    value, level = event.value, event.level
    if value is None:
        return f"{NAMES[metric]} is not known now"
    match metric:
        case Metric.STATUS:
            status = event.inputs.get("status")
            return f"status is {str(status).replace('_', ' ')}" if status else "status is one that was asked for"
        case Metric.PARAMETERS:
            return f"{value} position{'' if value == 1 else 's'} got worse liquidation terms"
        case Metric.BLIND:
            reason = event.inputs.get("reason")
            return f"no current data for {duration(value)}" + (f": {reason}" if reason else "")
        case _:
            said = f"{NAMES[metric]} {shown(metric, value)}"
            if level is None:
                return said
            side = "below" if metric in BAD_BELOW else "above"
            return f"{said} is at or {side} {level_shown(metric, level)}"


def _cleared_words(told: Told) -> str:
    event, metric = told.event, told.metric
    reason = event.inputs.get("reason")
    if event.value is None or (reason and metric is not Metric.BLIND):
        return str(reason) if reason else "nothing is found any more"
    match metric:
        case Metric.STATUS:
            status = event.inputs.get("status")
            return f"status is {str(status).replace('_', ' ')}" if status else "status is another one now"
        case Metric.PARAMETERS:
            return "no position got worse terms since"
        case Metric.BLIND:
            return "the data is current again"
        case _ if event.value == BEYOND:
            return _NOTHING_LEFT.get(metric, f"{NAMES[metric]} is {shown(metric, event.value)}")
        case _:
            said = f"{NAMES[metric]} {shown(metric, event.value)}"
            if told.clear_at is None:
                return said
            side = "above" if metric in BAD_BELOW else "below"
            return f"{said} is {side} {level_shown(metric, told.clear_at)}"


def _rounded(value: int, decimals: int, metric: Metric) -> str:
    """`value` / 10^decimals with four decimals, two where it is a percentage or far off."""
    places = 4 if decimals == WAD_DECIMALS and abs(value) < 100 * WAD else 2
    size = 10 ** (decimals - places)
    down, up = value // size, -(-value // size)
    reads_as_whole = value < WAD <= up * size
    return format_units(down if metric in BAD_BELOW or reads_as_whole else up, places)


def _utc(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
