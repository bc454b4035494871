"""What the tables must hold, worked out another way: not by steps from event to event, but from the whole list of what
was measured on the branch, read anew at every evaluation.

For each rule and subject there is a list of facts, one for each evaluation that asked. A reorg takes facts out of the
list. An episode is a spell in it: it begins at the first fact that reaches a level, ends at the first one past the
clear level, and is as bad as its worst. What is told follows from how the spells differ before and after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.domain.chain import Hash32
from app.domain.watch import EventKind, Metric, Rule, Severity
from tests.simulation_watch.chain import Tree
from tests.simulation_watch.memory import Evaluated
from tests.simulation_watch.setting import EVERYTHING, PAIRS, RULES, WORST, Pair, Setting


@dataclass(frozen=True, slots=True)
class Fact:
    """What one evaluation made of one pair."""

    number: int
    """Of the evaluation."""
    block: Hash32
    rank: Severity | None = None
    is_past_clear: bool = False
    cuts: int | None = None
    """Set: people took away the rule or the wallet, which ended the spell that began at this evaluation. Whatever
    becomes of the block, that stays so."""


@dataclass(slots=True)
class Spell:
    """An episode."""

    began: int
    worst: Severity
    ended: int | None = None


@dataclass(frozen=True, slots=True, order=True)
class Said:
    """An event that must be there, and who must have been told."""

    rule_id: int
    subject: str
    kind: EventKind
    severity: Severity
    channels: tuple[int, ...]


@dataclass
class Truth:
    """The model of one history."""

    tree: Tree
    facts: dict[Pair, list[Fact]] = field(default_factory=lambda: {pair: [] for pair in PAIRS})
    told_at: dict[tuple[Pair, int], int] = field(default_factory=dict)
    """By episode: when it was first told."""
    told_to: dict[tuple[Pair, int], set[int]] = field(default_factory=dict)
    evaluated: list[Hash32] = field(default_factory=list)
    """Blocks, in the order of the evaluations."""

    def evaluate(self, one: Evaluated, setting: Setting) -> list[Said]:
        """What one more evaluation must say."""
        at = one.block.ref.hash
        line = self.tree.line(at)
        number = len(self.evaluated)
        before = next((block for block in reversed(self.evaluated) if block in line), None)
        said: list[Said] = []
        for pair in PAIRS:
            said += _Look(self, pair, setting, number, one.at).take(line, at, before)
        self.evaluated.append(at)
        return sorted(said)

    def spells(self, pair: Pair) -> list[Spell]:
        """The episodes that stand."""
        return spells(RULES[pair[0]], self.facts[pair])


@dataclass
class _Look:
    """One evaluation of one pair."""

    truth: Truth
    pair: Pair
    setting: Setting
    number: int
    now: int
    said: list[Said] = field(default_factory=list)

    def take(self, line: set[Hash32], at: Hash32, before: Hash32 | None) -> list[Said]:
        truth, pair, rule = self.truth, self.pair, RULES[self.pair[0]]
        old = truth.facts[pair]
        facts = [fact for fact in old if fact.block in line or fact.cuts is not None]
        self._compare_with_dropped(rule, spells(rule, old), spells(rule, facts), facts)
        current = _open(spells(rule, facts))
        if self.setting.is_paused(pair):
            truth.facts[pair] = facts
            return self.said
        if not self.setting.asks(pair):
            if current is not None:
                facts.append(Fact(self.number, at, cuts=current.began))
                self._follow_up(EventKind.CLEARED, current)
            truth.facts[pair] = facts
            return self.said
        value = truth.tree.value(pair, at, before)
        rank = None if value is None else rule.severity(value)
        facts.append(Fact(self.number, at, rank, value is not None and rule.is_clear(value)))
        truth.facts[pair] = facts
        self._compare(rule, current, spells(rule, facts))
        return self.said

    def _compare_with_dropped(self, rule: Rule, old: Sequence[Spell], left: Sequence[Spell], kept: list[Fact]) -> None:
        numbers = {fact.number for fact in kept if fact.cuts is None}
        by_start = {spell.began: spell for spell in left}
        for spell in old:
            after = by_start.get(spell.began) if spell.began in numbers else None
            if after is None:
                self._follow_up(EventKind.RETRACTED, spell)
            elif after.worst != spell.worst or (spell.ended is not None and after.ended is None):
                is_silent = rule.metric is Metric.PARAMETERS
                self._follow_up(EventKind.RETRACTED, spell, is_silent=is_silent)

    def _compare(self, rule: Rule, before: Spell | None, after: list[Spell]) -> None:
        if before is not None:
            now = next(spell for spell in after if spell.began == before.began)
            if now.ended is not None:
                self._follow_up(EventKind.CLEARED, now, is_silent=rule.metric is Metric.PARAMETERS)
            elif now.worst > before.worst:
                self._say(EventKind.ESCALATED, now, now.worst)
            elif (self.pair, now.began) not in self.truth.told_at and not self._is_cooling(rule, after, now):
                self._say(EventKind.REMINDED, now, now.worst)
        if (begun := _open(after)) is not None and begun.began == self.number:
            last = self._last_told(after, begun)
            if last is not None and self._is_cooling(rule, after, begun) and begun.worst <= last.worst:
                self.said.append(self._as_said(EventKind.OPENED, begun.worst, set()))
            else:
                self._say(EventKind.OPENED, begun, begun.worst)

    def _last_told(self, all_spells: list[Spell], but: Spell) -> Spell | None:
        told = [one for one in all_spells if one is not but and (self.pair, one.began) in self.truth.told_at]
        return told[-1] if told else None

    def _is_cooling(self, rule: Rule, all_spells: list[Spell], but: Spell) -> bool:
        last = self._last_told(all_spells, but)
        return last is not None and self.now - self.truth.told_at[self.pair, last.began] < rule.cooldown_seconds

    def _say(self, kind: EventKind, spell: Spell, severity: Severity) -> None:
        """Told to every route that wants this severity."""
        name = (self.pair, spell.began)
        self.truth.told_at.setdefault(name, self.now)
        channels = {EVERYTHING} | ({WORST} if severity is Severity.CRITICAL else set())
        self.truth.told_to.setdefault(name, set()).update(channels)
        self.said.append(self._as_said(kind, severity, channels))

    def _follow_up(self, kind: EventKind, spell: Spell, *, is_silent: bool = False) -> None:
        """Told to whoever heard of the episode."""
        told = set() if is_silent else self.truth.told_to.get((self.pair, spell.began), set())
        self.said.append(self._as_said(kind, spell.worst, told))

    def _as_said(self, kind: EventKind, severity: Severity, channels: set[int]) -> Said:
        return Said(self.pair[0], str(self.pair[1]), kind, severity, tuple(sorted(channels)))


def spells(rule: Rule, facts: Sequence[Fact]) -> list[Spell]:
    """The episodes in a list of facts."""
    found: list[Spell] = []
    for fact in facts:
        current = _open(found)
        if fact.cuts is not None:
            if current is not None and current.began == fact.cuts:
                current.ended = fact.number
            continue
        if current is not None and (rule.metric is Metric.PARAMETERS or fact.is_past_clear):
            current.ended = fact.number
            current = None
        if fact.rank is not None:
            if current is None:
                found.append(Spell(fact.number, fact.rank))
            else:
                current.worst = max(current.worst, fact.rank)
    return found


def _open(found: Sequence[Spell]) -> Spell | None:
    return found[-1] if found and found[-1].ended is None else None
