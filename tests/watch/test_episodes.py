"""What one measure does to an episode, whatever came before it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.account import AccountKey
from app.domain.chain import Address
from app.domain.watch import EpisodeEvent, EpisodeState, EventKind, Measured, Metric, Open, Rule, Severity
from app.watch.episodes import LastTold, Past, Step, advance, close, unwind

WHO = AccountKey("pool", Address(b"\1" * 20))
LEVELS = {Severity.INFO: 120, Severity.WARNING: 110, Severity.CRITICAL: 100}


def rule(metric: Metric = Metric.HEALTH_FACTOR, cooldown_seconds: int = 0) -> Rule:
    """Bad at or below 120, 110, 100; good above 130. Turned round for a metric that is bad when high."""
    fields: Rule = Rule(1, 1, "health", metric, LEVELS, 130, cooldown_seconds=cooldown_seconds)
    if fields.is_bad_below:
        return fields
    levels = {severity: 200 - level for severity, level in LEVELS.items()}
    return Rule(1, 1, "use", metric, levels, 70, cooldown_seconds=cooldown_seconds)


@dataclass
class Life:
    """One subject under one rule, measured again and again."""

    rule: Rule
    current: Open | None = None
    last: LastTold | None = None
    announced_at: int | None = None
    steps: list[Step] = field(default_factory=list)
    worst_said: Severity | None = None

    def measure(self, value: int | None, now: int) -> list[Step]:
        """Take the steps, and remember as a store would."""
        last = self.last
        if self.current is not None and self.announced_at is not None:
            last = LastTold(self.announced_at, self.current.severity)
        taken = advance(self.rule, self.current, Measured(WHO, value), last, now, None)
        for step in taken:
            if step.event.kind is EventKind.OPENED:
                self.announced_at = None
            if not step.is_muted and self.announced_at is None:
                self.announced_at = now
            if step.state is EpisodeState.OPEN:
                self.current = Open(1, 1, WHO, step.severity, is_muted=step.is_muted)
            else:
                if self.announced_at is not None:
                    self.last = LastTold(self.announced_at, step.severity)
                self.current = None
        self.steps += taken
        return taken


_metrics = st.sampled_from([Metric.HEALTH_FACTOR, Metric.UTILIZATION])
_values = st.lists(st.one_of(st.none(), st.integers(60, 140)), max_size=40)


@given(_metrics, _values, st.integers(0, 30))
def test_an_episode_opens_again_only_after_it_ended(metric: Metric, values: list[int | None], cooldown: int) -> None:
    life = Life(rule(metric, cooldown))
    for now, value in enumerate(values):
        life.measure(value, now)
    kinds = [step.event.kind for step in life.steps if step.event.kind in (EventKind.OPENED, EventKind.CLEARED)]
    turns = [EventKind.OPENED, EventKind.CLEARED] * len(kinds)
    assert kinds == turns[: len(kinds)]


@given(_metrics, _values, st.integers(0, 30))
def test_severity_never_falls_within_an_episode(metric: Metric, values: list[int | None], cooldown: int) -> None:
    life, severity = Life(rule(metric, cooldown)), None
    for now, value in enumerate(values):
        for step in life.measure(value, now):
            if step.event.kind is EventKind.OPENED:
                severity = step.severity
            assert severity is not None
            assert step.severity >= severity
            severity = step.severity
            assert step.event.kind is not EventKind.ESCALATED or step.is_announced


@given(_metrics, st.lists(st.integers(121, 130), max_size=30))
def test_trembling_between_the_level_and_the_clear_level_is_one_episode(metric: Metric, values: list[int]) -> None:
    life = Life(rule(metric))
    turn = (lambda value: value) if life.rule.is_bad_below else (lambda value: 200 - value)
    life.measure(turn(120), 0)
    for now, value in enumerate(values, 1):
        life.measure(turn(value if now % 2 else 120), now)
    assert [step.event.kind for step in life.steps] == [EventKind.OPENED]
    life.measure(turn(131), 99)
    assert life.current is None


@given(_metrics, _values)
def test_what_is_not_known_changes_nothing(metric: Metric, values: list[int | None]) -> None:
    blind, seeing = Life(rule(metric)), Life(rule(metric))
    for now, value in enumerate(values):
        blind.measure(value, now)
        if value is not None:
            seeing.measure(value, now)
    assert blind.steps == seeing.steps


@given(_metrics, _values, st.integers(1, 30))
def test_a_cool_down_never_silences_a_worse_state(metric: Metric, values: list[int | None], cooldown: int) -> None:
    """At any moment: whoever is worse than everything that was said within the cool-down has been told of."""
    life, said = Life(rule(metric, cooldown)), list[tuple[int, Severity]]()
    for now, value in enumerate(values):
        for step in life.measure(value, now):
            if step.is_announced and step.event.kind is not EventKind.CLEARED:
                said.append((now, step.severity))
        current = life.current
        if current is not None and current.is_muted:
            assert any(severity >= current.severity for _, severity in said)
            assert life.last is not None
            assert now - life.last.at < cooldown


@given(_metrics, _values, st.integers(0, 30))
def test_of_a_muted_episode_nothing_is_said_and_of_every_other_its_end(
    metric: Metric, values: list[int | None], cooldown: int
) -> None:
    life, told = Life(rule(metric, cooldown)), False
    for now, value in enumerate(values):
        for step in life.measure(value, now):
            told = (told and step.event.kind is not EventKind.OPENED) or step.is_announced
            assert step.is_muted is not told
            if step.event.kind is EventKind.CLEARED:
                assert step.is_announced is told


def test_a_cool_down_that_ends_while_the_episode_is_open_has_it_announced() -> None:
    life = Life(rule(cooldown_seconds=100))
    assert [step.is_announced for step in life.measure(115, 0) + life.measure(131, 10)] == [True, True]
    (muted,) = life.measure(115, 20)
    assert muted.is_muted
    assert not muted.is_announced
    assert life.measure(115, 99) == []
    (said,) = life.measure(115, 100)
    assert said.event.kind is EventKind.REMINDED
    assert said.is_announced
    assert said.event.block is None


def test_cool_downs_count_from_what_was_told_so_that_short_episodes_do_not_mute_each_other_for_ever() -> None:
    life = Life(rule(cooldown_seconds=100))
    told = [
        now
        for now in range(0, 400, 20)
        if any(s.is_announced for s in life.measure(115 if now % 40 == 0 else 131, now))
    ]
    assert told == [0, 20, 120, 140, 240, 260, 360, 380]


def test_levels_count_as_reached_when_hit_exactly_and_the_clear_level_only_when_passed() -> None:
    life = Life(rule())
    assert life.measure(121, 0) == []
    (opened,) = life.measure(120, 1)
    assert (opened.severity, opened.event.value, opened.event.level) == (Severity.INFO, 120, 120)
    (worse,) = life.measure(100, 2)
    assert (worse.severity, worse.event.level) == (Severity.CRITICAL, 100)
    assert life.measure(130, 3) == []
    (ended,) = life.measure(131, 4)
    assert (ended.event.kind, ended.event.level, ended.severity) == (EventKind.CLEARED, 130, Severity.CRITICAL)


def test_a_notice_ends_at_the_next_look_without_a_word_and_the_next_one_is_another() -> None:
    notice = Rule(1, 1, "terms", Metric.PARAMETERS, {Severity.WARNING: 1}, 1)
    life = Life(notice)
    life.measure(2, 0)
    kinds = [(step.event.kind, step.is_announced) for step in life.measure(1, 1)]
    assert kinds == [(EventKind.CLEARED, False), (EventKind.OPENED, True)]
    assert [step.is_announced for step in life.measure(None, 2)] == [False]
    assert life.current is None


def test_closing_for_a_reason_says_it_unless_nobody_was_told_of_the_episode() -> None:
    step = close(Open(1, 1, WHO, Severity.WARNING), "the rule was deleted", 9)
    assert step.event.inputs == {"reason": "the rule was deleted"}
    assert (step.state, step.is_announced, step.event.block) == (EpisodeState.CLEARED, True, None)
    assert not close(Open(1, 1, WHO, Severity.WARNING, is_muted=True), "gone", 9).is_announced


def _past(*kinds: tuple[EventKind, Severity, bool]) -> list[Past]:
    return [Past(EpisodeEvent(kind, severity, 1, None), dropped) for kind, severity, dropped in kinds]


BEGUN, WORSE, ENDED, SAID = EventKind.OPENED, EventKind.ESCALATED, EventKind.CLEARED, EventKind.REMINDED
INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL


@pytest.mark.parametrize(
    ("past", "state", "after", "severity"),
    [
        ([(BEGUN, INFO, True)], "open", "retracted", INFO),
        ([(BEGUN, INFO, True), (WORSE, CRITICAL, True), (ENDED, CRITICAL, True)], "cleared", "retracted", CRITICAL),
        ([(BEGUN, INFO, False), (WORSE, CRITICAL, True)], "open", "open", INFO),
        (
            [(BEGUN, INFO, False), (WORSE, WARNING, False), (WORSE, CRITICAL, True), (ENDED, CRITICAL, True)],
            "cleared",
            "open",
            WARNING,
        ),
        ([(BEGUN, WARNING, False), (ENDED, WARNING, True)], "cleared", "open", WARNING),
        ([(BEGUN, INFO, False), (WORSE, WARNING, True), (ENDED, WARNING, False)], "cleared", "cleared", INFO),
    ],
)
def test_what_rests_on_a_replaced_block_is_taken_back(
    past: list[tuple[EventKind, Severity, bool]], state: str, after: str, severity: Severity
) -> None:
    worst = max(one[1] for one in past)
    step = unwind(Metric.HEALTH_FACTOR, EpisodeState(state), worst, False, _past(*past), 5)
    assert step is not None
    assert (step.state, step.severity, step.is_announced) == (EpisodeState(after), severity, True)
    assert step.event.kind is EventKind.RETRACTED
    muted = unwind(Metric.HEALTH_FACTOR, EpisodeState(state), worst, True, _past(*past), 5)
    assert muted is not None
    assert not muted.is_announced


def test_nothing_is_taken_back_of_what_stands() -> None:
    assert (
        unwind(Metric.STATUS, EpisodeState.OPEN, INFO, False, _past((BEGUN, INFO, False), (SAID, INFO, False)), 5)
        is None
    )


def test_the_silent_end_of_a_notice_is_taken_back_in_silence() -> None:
    step = unwind(
        Metric.PARAMETERS, EpisodeState.CLEARED, INFO, False, _past((BEGUN, INFO, False), (ENDED, INFO, True)), 5
    )
    assert step is not None
    assert (step.state, step.is_announced) == (EpisodeState.OPEN, False)
