"""Which steps an evaluation takes, worked out before any of them is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from app.domain.chain import ChainId
from app.domain.watch import EpisodeState, Metric, Open, Rule, Subject
from app.store.blocks import StoredBlock
from app.store.watch.episode_steps import Dropped, Standing
from app.store.watch.episode_writes import Entry, NewEpisode
from app.watch.episodes import LastTold, Past, Step, advance, close, unwind
from app.watch.lists import Lists
from app.watch.measures import Found


@dataclass(frozen=True, slots=True)
class Draft:
    """An event to be written, and what its message says of the episode."""

    entry: Entry
    is_announced: bool
    watchlist_id: int
    watchlist: str
    rule_id: int | None
    rule_name: str
    metric: Metric
    subject: Subject
    opened_at: int


@dataclass(frozen=True, slots=True)
class Known:
    """The open episodes, once everything that rested on blocks that are gone is taken back and everything nobody asks
    about any more is closed."""

    open: dict[tuple[int, Subject], Standing]
    """By rule and subject."""
    unwound: tuple[Draft, ...]
    """What that takes."""
    dropped_events: tuple[int, ...]
    """Ids of the events that rested on blocks that are gone."""

    @classmethod
    def after(cls, lists: Lists, opened: Sequence[Standing], dropped: Sequence[Dropped], now: int) -> Known:
        """From what is stored."""
        standing = {one.id: one for one in opened}
        drafts: list[Draft] = []
        for one in dropped:
            episode = one.episode
            past = [Past(event.event, event.id in one.dropped) for event in one.events]
            is_muted = episode.announced_at is None
            step = unwind(episode.metric, episode.state, episode.severity, is_muted, past, now)
            if step is not None:
                drafts.append(_draft(episode, step, now, None))
                standing[episode.id] = replace(episode, state=step.state, severity=step.severity)
        left = {}
        for episode in standing.values():
            if episode.state is not EpisodeState.OPEN:
                continue
            reason = lists.reason_to_close(episode)
            if reason is not None:
                drafts.append(_draft(episode, close(_open(episode), reason, now), now, None))
            elif episode.rule_id is not None:
                left[episode.rule_id, episode.subject] = episode
        return cls(left, tuple(drafts), tuple(sorted(id for one in dropped for id in one.dropped)))

    def cooling(self, lists: Lists, found: Sequence[Found]) -> list[tuple[int, Subject]]:
        """Rules and subjects for which it matters when people were told last: what may open or is muted, under rules
        that have a cool-down."""
        return [
            (one.rule_id, measured.subject)
            for one in found
            if (rule := lists.rules[one.rule_id]).cooldown_seconds
            for measured in one.measured
            if self._may_be_cooling(rule, measured.subject, measured.value)
        ]

    def _may_be_cooling(self, rule: Rule, subject: Subject, value: int | None) -> bool:
        episode = self.open.get((rule.id, subject))
        if episode is not None and episode.announced_at is None:
            return True
        return value is not None and rule.severity(value) is not None


def draft(
    lists: Lists,
    known: Known,
    found: Sequence[Found],
    told: Mapping[tuple[int, Subject], LastTold],
    block: StoredBlock,
    now: int,
) -> list[Draft]:
    """What the measures at a block do to the episodes."""
    names = {one.id: one.name for one in lists.lists}
    drafts: list[Draft] = []
    for one in found:
        rule = lists.rules[one.rule_id]
        for measured in one.measured:
            episode = known.open.get((rule.id, measured.subject))
            current = None if episode is None else _open(episode)
            last = told.get((rule.id, measured.subject))
            for step in advance(rule, current, measured, last, now, block.ref):
                block_id = None if step.event.block is None else block.id
                if episode is not None:
                    drafts.append(_draft(episode, step, now, block_id))
                else:
                    drafts.append(_begun(rule, names, measured.subject, step, block.ref.chain_id, now, block.id))
                if step.state is not EpisodeState.OPEN:
                    episode = None  # a notice that ends may be followed by the next
    return drafts


def _open(episode: Standing) -> Open:
    return Open(
        episode.id, episode.rule_id or 0, episode.subject, episode.severity, is_muted=episode.announced_at is None
    )


def _draft(episode: Standing, step: Step, now: int, block_id: int | None) -> Draft:
    """A step of an episode that is there."""
    announced_at = episode.announced_at if step.is_muted or episode.announced_at is not None else now
    entry = Entry(episode.id, episode.chain_id, step.event, block_id, step.state, step.severity, announced_at)
    return Draft(
        entry,
        step.is_announced,
        episode.watchlist_id,
        episode.watchlist,
        episode.rule_id,
        episode.rule_name,
        episode.metric,
        episode.subject,
        episode.opened_at,
    )


def _begun(
    rule: Rule, names: Mapping[int, str], subject: Subject, step: Step, chain_id: ChainId, now: int, block_id: int
) -> Draft:
    """The first step of an episode."""
    new = NewEpisode(rule.watchlist_id, rule.id, rule.name, rule.metric, subject)
    announced_at = None if step.is_muted else now
    entry = Entry(new, chain_id, step.event, block_id, step.state, step.severity, announced_at)
    name = names[rule.watchlist_id]
    return Draft(
        entry, step.is_announced, rule.watchlist_id, name, rule.id, rule.name, rule.metric, subject, opened_at=now
    )
