"""The life of an episode, as rules without a store: what one measure does to it, and what a replaced block takes back.

An episode opens when a level is reached, escalates when a worse one is, and ends past the clear level; between the
levels and the clear level nothing happens. Its severity never falls while it is open. A value that is not known
changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from app.domain.chain import BlockRef
from app.domain.watch import EpisodeEvent, EpisodeState, EventKind, Measured, Metric, Open, Rule, Severity

NOTICES = frozenset({Metric.PARAMETERS})
"""Metrics of what happened, not of how things stand: each finding is an episode of its own, and it ends with the next
evaluation without a word."""


@dataclass(frozen=True, slots=True)
class LastTold:
    """The newest episode of the same rule and subject that was told and still stands: cool-downs count from it."""

    at: int
    peak: Severity
    """The worst that was said in it."""


@dataclass(frozen=True, slots=True)
class Step:
    """An event, and how the episode stands after it. An OPENED begins another episode."""

    event: EpisodeEvent
    state: EpisodeState
    severity: Severity
    is_muted: bool
    is_announced: bool
    """Whether people are told of this event."""


@dataclass(frozen=True, slots=True)
class Past:
    """An event that has not been retracted."""

    event: EpisodeEvent
    is_dropped: bool
    """Whether the block it stands on was replaced."""


def advance(
    rule: Rule, current: Open | None, measured: Measured, last: LastTold | None, now: int, block: BlockRef | None
) -> list[Step]:
    """What one measure of one subject does.

    Args:
        current: the subject's open episode of this rule; None: there is none.
        last: for the cool-down; it is not asked for where the rule has none.
        now: Unix seconds.
        block: what was measured at; None where time decided.
    """
    value = measured.value
    if current is None:
        worst = None if value is None else rule.severity(value)
        return [] if worst is None else [_opened(rule, worst, measured, last, now, block)]
    if rule.metric in NOTICES:
        ended = EpisodeEvent(EventKind.CLEARED, current.severity, now, block, value, rule.clear_at, measured.inputs)
        step = Step(ended, EpisodeState.CLEARED, current.severity, current.is_muted, is_announced=False)
        return [step, *advance(rule, None, measured, last, now, block)]
    if value is not None:
        if rule.is_clear(value):
            ended = EpisodeEvent(EventKind.CLEARED, current.severity, now, block, value, rule.clear_at, measured.inputs)
            return [Step(ended, EpisodeState.CLEARED, current.severity, current.is_muted, not current.is_muted)]
        worst = rule.severity(value)
        if worst is not None and worst > current.severity:
            level = rule.levels[worst]
            worse = EpisodeEvent(EventKind.ESCALATED, worst, now, block, value, level, measured.inputs)
            return [Step(worse, EpisodeState.OPEN, worst, is_muted=False, is_announced=True)]
    if current.is_muted and not _is_cooling(rule, last, now):
        # It rests on no block: what it repeats stands as long as the opening does.
        level_now = rule.levels.get(current.severity)
        said = EpisodeEvent(EventKind.REMINDED, current.severity, now, None, value, level_now, measured.inputs)
        return [Step(said, EpisodeState.OPEN, current.severity, is_muted=False, is_announced=True)]
    return []


def close(current: Open, reason: str, now: int) -> Step:
    """End an episode for a reason that is no measure: nobody asks any more. It rests on no block."""
    ended = EpisodeEvent(EventKind.CLEARED, current.severity, now, None, inputs={"reason": reason})
    return Step(ended, EpisodeState.CLEARED, current.severity, current.is_muted, not current.is_muted)


def unwind(
    metric: Metric, state: EpisodeState, severity: Severity, is_muted: bool, past: Sequence[Past], now: int
) -> Step | None:
    """Take back what rests on replaced blocks: an episode that opened there never was; one that escalated there is as
    bad as before; one that cleared there is open again. None: nothing rests on such a block.

    Args:
        past: the episode's events in the order they happened, without those retracted before.
    """
    dropped = [one.event for one in past if one.is_dropped]
    if not dropped:
        return None
    kinds = {event.kind for event in dropped}
    stands = [one.event.severity for one in past if not one.is_dropped and _tells_severity(one.event)]
    if EventKind.OPENED in kinds:
        after, now_severity = EpisodeState.RETRACTED, severity
    else:
        after = EpisodeState.OPEN if EventKind.CLEARED in kinds else state
        now_severity = max(stands, default=severity)
    inputs = {"reason": "reorg", "retracted": ", ".join(event.kind.value for event in dropped)}
    worst = max(event.severity for event in dropped)
    taken_back = EpisodeEvent(EventKind.RETRACTED, worst, now, dropped[0].block, inputs=inputs)
    return Step(taken_back, after, now_severity, is_muted, not is_muted and _was_told(metric, kinds))


def _opened(
    rule: Rule, worst: Severity, measured: Measured, last: LastTold | None, now: int, block: BlockRef | None
) -> Step:
    level = rule.levels[worst]
    event = EpisodeEvent(EventKind.OPENED, worst, now, block, measured.value, level, measured.inputs)
    is_muted = last is not None and _is_cooling(rule, last, now) and worst <= last.peak
    return Step(event, EpisodeState.OPEN, worst, is_muted, not is_muted)


def _is_cooling(rule: Rule, last: LastTold | None, now: int) -> bool:
    return last is not None and now - last.at < rule.cooldown_seconds


def _tells_severity(event: EpisodeEvent) -> bool:
    return event.kind in (EventKind.OPENED, EventKind.ESCALATED)


def _was_told(metric: Metric, kinds: Collection[EventKind]) -> bool:
    """Whether any of such events of an episode that is not muted was told: all are but the end of a notice."""
    return metric not in NOTICES or any(kind is not EventKind.CLEARED for kind in kinds)
