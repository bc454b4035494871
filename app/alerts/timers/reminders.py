"""Repeats what is open until somebody acknowledges it, on routes that ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from app.alerts.timers.options import TimerOptions
from app.domain.account import AccountKey
from app.domain.chain import Address
from app.domain.watch import EpisodeEvent, EventKind, MarketSubject, Severity, Subject
from app.store.deployments import load_deployments
from app.store.postgres.engine import Database
from app.store.postgres.session import ReadSession, WriteSession
from app.store.watch.channels import Route, load_routes
from app.store.watch.episode_writes import Entry, write_entries
from app.store.watch.episodes import Episode, StoredEvent, load_episodes_of
from app.store.watch.outbox import NewMessage, new_message_id, store_messages
from app.store.watch.timers import (
    hold_unacknowledged,
    load_labels,
    load_numbers,
    load_to_remind,
    load_unpaused,
    take_turn,
)
from app.watch.messages import messages_for
from app.watch.quiet import send_after
from app.watch.words import Told


class Reminders:
    """Looks for open episodes that a channel was told of too long ago."""

    def __init__(self, database: Database, options: TimerOptions) -> None:
        self._database = database
        self._options = options

    async def run(self, now: int) -> int:
        """Remind of what is due; of how many episodes.

        Raises:
            Retryable: the database failed.
        """
        async with self._database.read() as session:
            if not await self._due(session, now):
                return 0
        async with self._database.write() as write:
            if not await take_turn(write):
                return 0
            due = await self._due(write, now)
            held = set(await hold_unacknowledged(write, sorted(due)))
            return await _remind(write, {id: routes for id, routes in due.items() if id in held}, now)

    async def _due(self, session: ReadSession, now: int) -> dict[int, list[Route]]:
        """By episode: the routes that are to repeat it now. Nobody is reminded in quiet hours, nor after them of what
        came to nothing meanwhile."""
        due: dict[int, list[Route]] = {}
        routes = [route for route in await load_routes(session) if route.repeat_seconds]
        names = await load_unpaused(session, sorted({route.watchlist_id for route in routes})) if routes else {}
        for route in routes:
            least = _least_now(route, now)
            if least is None or route.watchlist_id not in names:
                continue
            told_before = now - (route.repeat_seconds or 0)
            most = self._options.reminders_at_once
            for id in await load_to_remind(session, route.watchlist_id, route.channel_id, least, told_before, most):
                due.setdefault(id, []).append(route)
        return due


def _least_now(route: Route, now: int) -> Severity | None:
    """The mildest severity that may be told at this moment; None: nothing may."""
    wanted = [one for one in Severity if one >= route.min_severity and send_after(route, one, now) == now]
    return min(wanted, default=None)


async def _remind(session: WriteSession, due: Mapping[int, list[Route]], now: int) -> int:
    numbers = await load_numbers(session, sorted(due))
    episodes = [one for one in await load_episodes_of(session, sorted(due)) if one.id in numbers]
    reminded = [_event(one, numbers[one.id], now) for one in episodes]
    ids = await write_entries(
        session,
        [
            Entry(one.id, one.chain_id, event, None, one.state, one.severity, one.announced_at)
            for one, event in zip(episodes, reminded, strict=True)
        ],
    )
    words = await Words.load(session, episodes)
    messages: list[NewMessage] = []
    for one, event, (_, event_id) in zip(episodes, reminded, ids, strict=True):
        # What is said is as of the block it was found at; the reminder itself rests on none.
        said = replace(event, block=numbers[one.id].event.block)
        messages += messages_for(words.told(one, said, event_id), due[one.id], frozenset(), new_message_id)
    await store_messages(session, messages, now)
    return len(episodes)


def _event(episode: Episode, found: StoredEvent, now: int) -> EpisodeEvent:
    numbers = found.event
    return EpisodeEvent(EventKind.REMINDED, episode.severity, now, None, numbers.value, numbers.level, numbers.inputs)


class Words:
    """What lists, wallets and deployments are called."""

    def __init__(
        self, lists: Mapping[int, str], labels: Mapping[tuple[int, Address], str], places: Mapping[str, str]
    ) -> None:
        self._lists, self._labels, self._places = lists, labels, places

    @classmethod
    async def load(cls, session: ReadSession, episodes: list[Episode]) -> Words:
        """All that is needed for these episodes."""
        lists = sorted({one.watchlist_id for one in episodes})
        wallets = sorted({one.subject.wallet for one in episodes if isinstance(one.subject, AccountKey)})
        chains = {one.chain_id for one in episodes if _deployment_of(one.subject)}
        places: dict[str, str] = {}
        for chain_id in chains:
            places |= {one.id: one.name for one in await load_deployments(session, chain_id)}
        return cls(await load_unpaused(session, lists), await load_labels(session, lists, wallets), places)

    def told(self, one: Episode, event: EpisodeEvent, event_id: int) -> Told:
        """An event of an episode as it is told."""
        subject = one.subject
        label = self._labels.get((one.watchlist_id, subject.wallet), "") if isinstance(subject, AccountKey) else ""
        return Told(
            watchlist=self._lists.get(one.watchlist_id, ""),
            rule_name=one.rule_name,
            metric=one.metric,
            clear_at=None,
            episode_id=one.id,
            severity=one.severity,
            state=one.state.value,
            opened_at=one.opened_at,
            chain_id=one.chain_id,
            subject=subject,
            event=event,
            event_id=event_id,
            label=label,
            place=self._places.get(_deployment_of(subject), ""),
        )


def _deployment_of(subject: Subject) -> str:
    """Empty for a chain."""
    return subject.deployment_id if isinstance(subject, AccountKey | MarketSubject) else ""
