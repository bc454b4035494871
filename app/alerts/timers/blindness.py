"""Says when nothing can be said: episodes of chains whose data is not current, measured by the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.alerts.timers.looking import Looking
from app.alerts.timers.options import TimerOptions
from app.alerts.timers.sight import Sight, by_chain, chains_of, measure, rules_of
from app.domain.chain import ChainId
from app.domain.watch import ChainSubject, Metric, Rule, Subject
from app.store.postgres.engine import Database
from app.store.postgres.session import ReadSession, WriteSession
from app.store.watch.channels import load_routes
from app.store.watch.episode_steps import load_last_told, load_told_channels
from app.store.watch.episode_writes import Entry, NewEpisode, write_entries
from app.store.watch.outbox import NewMessage, new_message_id, store_messages
from app.store.watch.timers import BUILT_IN, BlindEpisode, FollowedList, hold_lists, load_blind_episodes, take_turn
from app.watch.episodes import LastTold, Step, advance, close
from app.watch.messages import messages_for
from app.watch.words import Told


@dataclass(frozen=True, slots=True)
class _Move:
    """A step of one list's episode."""

    watchlist_id: int
    watchlist: str
    rule: Rule | None
    """None: it is asked by none any more."""
    rule_name: str
    chain_id: ChainId
    before: BlindEpisode | None
    step: Step


class Blindness:
    """Holds every list's rules of blindness against the clock."""

    def __init__(self, database: Database, options: TimerOptions, looking: Looking) -> None:
        self._database = database
        self._options = options
        self._looking = looking

    async def run(self, now: int) -> int:
        """Take the steps that are due, and tell them; how many there were.

        Raises:
            Retryable: the database failed.
        """
        async with self._database.read() as session:
            version, lists = await self._looking.lists(session)
            sights = await self._looking.sights(session, now)
            required = await self._looking.required(session)
            if not await self._moves(session, lists, sights, required, now):
                return 0
        async with self._database.write() as write:
            if not await take_turn(write) or await hold_lists(write) != version:
                return 0  # somebody else is at it, or what was read is not so any more: soon again
            moves = await self._moves(write, lists, sights, required, now)
            await _write(write, moves, now)
            return len(moves)

    async def _moves(
        self,
        session: ReadSession,
        lists: list[FollowedList],
        sights: Mapping[ChainId, Sight],
        required: frozenset[ChainId],
        now: int,
    ) -> list[_Move]:
        standing: dict[tuple[int, int, Subject], list[BlindEpisode]] = {}
        for one in await load_blind_episodes(session):
            standing.setdefault((one.watchlist_id, one.open.rule_id, one.open.subject), []).append(one)
        asked = [
            (watched, chain_id, rule)
            for watched in lists
            for chain_id in chains_of(watched, required)
            for rule in rules_of(watched, chain_id, self._options)
        ]
        told = await load_last_told(
            session, [(rule.id, ChainSubject(chain_id)) for _, chain_id, rule in asked if rule.cooldown_seconds]
        )
        moves: list[_Move] = []
        for watched, chain_id, rule in asked:
            subject = ChainSubject(chain_id)
            current = next(iter(standing.pop((watched.id, rule.id, subject), ())), None)
            last = told.get((rule.id, subject))
            steps = advance(
                rule,
                None if current is None else current.open,
                measure(by_chain(sights, chain_id, now), watched, self._options, now),
                None if last is None else LastTold(*last),
                now,
                None,
            )
            moves += [_Move(watched.id, watched.name, rule, rule.name, chain_id, current, step) for step in steps]
        return moves + _endings(standing, lists, now)


def _endings(
    left: Mapping[tuple[int, int, Subject], list[BlindEpisode]], lists: list[FollowedList], now: int
) -> list[_Move]:
    """What no rule asks for any more ends; episodes of paused lists stay as they are."""
    names = {one.id: one.name for one in lists}
    return [
        _Move(
            one.watchlist_id,
            names[one.watchlist_id],
            None,
            one.rule_name,
            _chain(one),
            one,
            close(one.open, "no rule asks for this chain any more", now),
        )
        for episodes in left.values()
        for one in episodes
        if one.watchlist_id in names
    ]


async def _write(session: WriteSession, moves: list[_Move], now: int) -> None:
    ids = await write_entries(session, [_entry(move, now) for move in moves])
    routes = await load_routes(session, sorted({move.watchlist_id for move in moves}))
    channels = await load_told_channels(session, [move.before.open.id for move in moves if move.before is not None])
    messages: list[NewMessage] = []
    for move, (episode_id, event_id) in zip(moves, ids, strict=True):
        if move.step.is_announced:
            own = [route for route in routes if route.watchlist_id == move.watchlist_id]
            already = channels.get(episode_id, frozenset())
            messages += messages_for(_told(move, episode_id, event_id, now), own, already, new_message_id)
    await store_messages(session, messages, now)


def _entry(move: _Move, now: int) -> Entry:
    subject, step = ChainSubject(move.chain_id), move.step
    rule_id = None if move.rule is None or move.rule.id == BUILT_IN else move.rule.id
    episode: int | NewEpisode = (
        NewEpisode(move.watchlist_id, rule_id, move.rule_name, Metric.BLIND, subject)
        if move.before is None
        else move.before.open.id
    )
    before = None if move.before is None else move.before.announced_at
    announced_at = before or (None if step.is_muted else now)
    return Entry(episode, move.chain_id, step.event, None, step.state, step.severity, announced_at)


def _told(move: _Move, episode_id: int, event_id: int, now: int) -> Told:
    return Told(
        watchlist=move.watchlist,
        rule_name=move.rule_name,
        metric=Metric.BLIND,
        clear_at=None if move.rule is None else move.rule.clear_at,
        episode_id=episode_id,
        severity=move.step.severity,
        state=move.step.state.value,
        opened_at=now if move.before is None else move.before.opened_at,
        chain_id=move.chain_id,
        subject=ChainSubject(move.chain_id),
        event=move.step.event,
        event_id=event_id,
    )


def _chain(one: BlindEpisode) -> ChainId:
    assert isinstance(one.open.subject, ChainSubject)
    return one.open.subject.chain_id
