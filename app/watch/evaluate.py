"""Rules held against the book at one block: episodes, their events and the messages about them, in one transaction.

The monitor evaluates at each block, the cron command at the newest one; both do this. Everything is measured before
anything is locked. Then, holding the chain's row, the evaluation makes sure that nothing it started from has changed:
not the lists, not the block that was evaluated last, not the block it stands at. So whoever evaluates, and however
many at once, each block does what it does once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app.book import BlockReplaced, Keeper, Reading
from app.domain.chain import ChainId
from app.domain.watch import EventKind, Subject
from app.errors import Retryable
from app.store.blocks import StoredBlock
from app.store.watch.episode_steps import Ground
from app.store.watch.outbox import new_message_id
from app.watch.draft import Draft, Known, draft
from app.watch.episodes import LastTold
from app.watch.ledger import Ledger, LedgerWrites
from app.watch.lists import Lists
from app.watch.measures import Asked, Found
from app.watch.messages import messages_for
from app.watch.options import WatchOptions
from app.watch.words import Told


class Contended(Retryable):
    """Others evaluated this chain, or changed its lists, each time this was about to: try again."""


class Measuring(Protocol):
    """Finds what rules ask for (`app.watch.measures.Measures`)."""

    async def measure(
        self, keeper: Keeper, reading: Reading, asked: Sequence[Asked], before: StoredBlock | None
    ) -> list[Found]: ...


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of evaluating a chain at a block."""

    block: StoredBlock
    is_written: bool
    """False: there are no lists, or somebody evaluated this block, or a later one, before."""
    found: tuple[Found, ...] = ()
    events: Counter[EventKind] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Look:
    """What was read before anything was measured."""

    ground: Ground
    lists: Lists
    known: Known


class Evaluator:
    """Evaluates the rules of one chain's watchlists. Not for several tasks at once."""

    def __init__(
        self,
        ledger: Ledger,
        measures: Measuring,
        *,
        options: WatchOptions | None = None,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = new_message_id,
    ) -> None:
        """
        Args:
            ledger: where episodes are kept.
            measures: what finds the values.
            options: bounds.
            clock: Unix seconds now: what events are dated by and cool-downs count in.
            new_id: makes ids of messages.
        """
        self._ledger = ledger
        self._measures = measures
        self._options = options or WatchOptions()
        self._clock = clock
        self._new_id = new_id
        self._lists: dict[ChainId, Lists] = {}

    async def evaluate(self, keeper: Keeper, reading: Reading) -> Evaluation:
        """Evaluate at the reading's block, where the keeper stands. Doing so again changes nothing. Where there are
        no lists it costs one query.

        Raises:
            BlockReplaced: the block is not stored any more.
            Contended (Retryable): others were always faster.
        """
        block = reading.block
        for _ in range(self._options.attempts):
            look = await self._look(block.ref.chain_id)
            if look is None:
                return Evaluation(block, is_written=False)
            found = await self._measures.measure(keeper, reading, _asked(look), look.ground.before)
            async with self._ledger.write() as session:
                ground = await session.hold_ground(block)
                if ground is None:
                    raise BlockReplaced(f"block {block.ref.number} of chain {block.ref.chain_id} was replaced")
                if ground.is_done(block):
                    return Evaluation(block, is_written=False, found=tuple(found))
                if ground == look.ground:
                    events = await self._write(session, look, block, found, _places(keeper))
                    return Evaluation(block, is_written=True, found=tuple(found), events=events)
        raise Contended(
            f"the watchlists of chain {block.ref.chain_id} changed again and again while they were evaluated"
        )

    async def _look(self, chain_id: ChainId) -> _Look | None:
        """Everything an evaluation starts from, of one moment; None when there are no lists."""
        lists = self._lists.get(chain_id)
        async with self._ledger.read() as session:
            ground = await session.load_ground(chain_id)
            if not ground.has_lists:
                return None
            if lists is None or lists.version != ground.version:
                lists = Lists.of(chain_id, ground.version, await session.load_watched(chain_id))
                self._lists[chain_id] = lists
            opened = await session.load_open(chain_id)
            above = -1 if ground.before is None else ground.before.ref.number
            dropped = await session.load_dropped(chain_id, above) if ground.is_replaced else []
        return _Look(ground, lists, Known.after(lists, opened, dropped, int(self._clock())))

    async def _write(
        self, session: LedgerWrites, look: _Look, block: StoredBlock, found: Sequence[Found], places: dict[str, str]
    ) -> Counter[EventKind]:
        """Step the episodes, and tell of it. What was taken back is written first: cool-downs do not count it."""
        now = int(self._clock())
        drafts = [*look.known.unwound]
        written = await session.write_entries([one.entry for one in drafts])
        await session.mark_retracted(look.known.dropped_events, now)
        told = {
            pair: LastTold(*last)
            for pair, last in (await session.load_last_told(look.known.cooling(look.lists, found))).items()
        }
        further = draft(look.lists, look.known, found, told, block, now)
        written += await session.write_entries([one.entry for one in further])
        drafts += further
        await self._tell(session, look.lists, drafts, written, places, now)
        await session.note_evaluated(block, look.ground.version, self._trail(look.ground, block), now)
        return Counter(one.entry.event.kind for one in drafts)

    async def _tell(
        self,
        session: LedgerWrites,
        lists: Lists,
        drafts: Sequence[Draft],
        written: Sequence[tuple[int, int]],
        places: dict[str, str],
        now: int,
    ) -> None:
        """Messages about what is announced, to whom it concerns."""
        announced = [(one, ids) for one, ids in zip(drafts, written, strict=True) if one.is_announced]
        if not announced:
            return
        routes = await session.load_routes(sorted({one.watchlist_id for one, _ in announced}))
        if not routes:
            return
        channels = await session.load_told_channels(sorted({episode_id for _, (episode_id, _) in announced}))
        messages = []
        for one, (episode_id, event_id) in announced:
            told = _told(one, lists, places, episode_id, event_id)
            of_list = [route for route in routes if route.watchlist_id == one.watchlist_id]
            messages += messages_for(told, of_list, channels.get(episode_id, frozenset()), self._new_id)
        await session.store_messages(messages, now)

    def _trail(self, ground: Ground, block: StoredBlock) -> tuple[int, ...]:
        """Ids of the blocks evaluated before `block` and still stored, the newest first."""
        if ground.progress is None or ground.before is None:
            return ()
        ids = (ground.progress.block_id, *ground.progress.trail)
        return tuple(id for id in ids if id <= ground.before.id and id != block.id)[: self._options.trail]


def _asked(look: _Look) -> list[Asked]:
    must: dict[int, set[Subject]] = {}
    for rule_id, subject in look.known.open:
        must.setdefault(rule_id, set()).add(subject)
    return [Asked(rule, one.members, frozenset(must.get(rule.id, ()))) for one, rule in look.lists.measured_rules()]


def _told(one: Draft, lists: Lists, places: dict[str, str], episode_id: int, event_id: int) -> Told:
    rule = None if one.rule_id is None else lists.rules.get(one.rule_id)
    subject = one.subject
    return Told(
        watchlist=one.watchlist,
        rule_name=one.rule_name,
        metric=one.metric,
        clear_at=None if rule is None else rule.clear_at,
        episode_id=episode_id,
        severity=one.entry.severity,
        state=one.entry.state.value,
        opened_at=one.opened_at,
        chain_id=one.entry.chain_id,
        subject=subject,
        event=one.entry.event,
        event_id=event_id,
        label=lists.label(one.watchlist_id, subject),
        place=places.get(getattr(subject, "deployment_id", ""), ""),
    )


def _places(keeper: Keeper) -> dict[str, str]:
    """Names of deployments, for people."""
    return {name: kept.deployment.name for name, kept in keeper.kept.items()}
