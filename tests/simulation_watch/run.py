"""One seeded history: a chain with reorgs, a monitor and cron runs that evaluate and die, people who change the lists,
receivers that fail; then calm, and everything held against the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from itertools import count
from random import Random
from types import SimpleNamespace
from typing import Any, TypeAlias, cast

from app.book import BlockReplaced, Keeper, Reading
from app.domain.chain import BlockRef
from app.domain.watch import EpisodeState
from app.errors import Retryable
from app.store.blocks import StoredBlock
from app.store.postgres.faults import DatabaseUnavailable
from app.watch.evaluate import Evaluator
from app.watch.ledger import Ledger
from tests.fakes.site import EPOCH
from tests.simulation_watch.chain import Tree, TreeMeasures
from tests.simulation_watch.memory import MemoryLedger, Tables, drive, pause
from tests.simulation_watch.setting import PAIRS, Setting
from tests.simulation_watch.truth import Said, Truth

MOST_TURNS = 20_000
"""A history that takes more gets nowhere."""
LEASE_SECONDS = 60

Life: TypeAlias = Coroutine[Any, Any, None]


class Killed(BaseException):
    """The end of a process, wherever it was."""


@dataclass
class Told:
    """What a seed did, for those who wonder what was tried."""

    evaluations: int = 0
    dropped: int = 0
    """Evaluations of which the block was replaced."""
    events: int = 0
    retractions: int = 0
    muted: int = 0
    messages: int = 0
    receipts: int = 0
    deaths: int = 0


@dataclass
class History:
    """A seed's world."""

    seed: int
    told: Told = field(default_factory=Told)
    now: int = EPOCH
    is_calm: bool = False
    received: dict[str, int] = field(default_factory=dict)
    """Receipts by message id."""

    def __post_init__(self) -> None:
        self.dice = Random(f"{self.seed} history")
        self.tree = Tree(self.seed)
        self.tables = Tables()
        self.ledger: Ledger = MemoryLedger(self.tables, self._trouble)
        self._ids = count(1)

    def run(self) -> Told:
        """Live through it and compare. Raises AssertionError, or whatever an evaluation ended with."""
        drive(self._grow())
        self._live()
        drive(self._come_to_rest())
        check(self)
        return self.told

    async def _come_to_rest(self) -> None:
        """One block more in peace, and everything is sent."""
        self.is_calm = True
        await self._grow()
        evaluator = self._evaluator()
        for _ in range(2):
            await self._evaluate(evaluator)
        while await self._is_waiting():
            self.now += 2 * LEASE_SECONDS
            await self._deliver_once()

    async def _is_waiting(self) -> bool:
        return any(sent.state == "pending" for sent in self.tables.outbox.values())

    def _live(self) -> None:
        """Everybody takes turns as the dice say, until the chain has come to its end."""
        dice = self.dice
        lives: dict[Callable[[], Life], Life] = {make: make() for make in (self._monitor, self._cron, self._deliver)}
        world = [self._chain(), self._people()]
        for _ in range(MOST_TURNS):
            if not world:
                break
            self.now += dice.choice((0, 0, 1, 3))
            if dice.random() < 0.15:
                actor = dice.choice(world)
                if not _turn(actor):
                    world.remove(actor)
                continue
            make = dice.choice(list(lives))
            if dice.random() < 0.01:
                self._kill(lives[make])
                lives[make] = make()
            elif not _turn(lives[make]):
                lives[make] = make()
        else:
            raise AssertionError(f"nothing comes to an end within {MOST_TURNS} turns")
        for life in lives.values():
            self._kill(life)

    def _kill(self, life: Life) -> None:
        self.told.deaths += 1
        try:
            life.throw(Killed())
        except (Killed, StopIteration):
            return
        raise AssertionError("a process outlives its death")

    async def _chain(self) -> None:
        dice = self.dice
        for _ in range(dice.randrange(4, 24)):
            blocks = self.tables.blocks
            if dice.random() < 0.25 and len(blocks) > 1:
                await self._drop(min(dice.choice((1, 1, 2, 3, 6)), len(blocks) - 1))
                await self._rest(1)
            for _ in range(dice.choice((0, 1, 1, 1, 2, 3))):
                await self._grow()
            await self._rest(dice.choice((0, 3, 10, 20)))

    async def _people(self) -> None:
        for _ in range(self.dice.choice((0, 0, 1, 2, 4))):
            await self._rest(self.dice.randrange(20))
            await self._configure(self.tables.settings[-1].changed(self.dice))

    async def _monitor(self) -> None:
        """Evaluates at the newest block, again and again."""
        evaluator = self._evaluator()
        while True:
            await self._evaluate(evaluator)
            await self._rest(self.dice.randrange(6))

    async def _cron(self) -> None:
        """Once in a while a process that evaluates and ends."""
        await self._rest(self.dice.randrange(40))
        await self._evaluate(self._evaluator())

    async def _evaluate(self, evaluator: Evaluator) -> None:
        block = self.tables.blocks[-1]
        if not self.is_calm:
            await self._rest(self.dice.randrange(3))  # the book is loaded
        try:
            await evaluator.evaluate(*standing_at(block))
        except (BlockReplaced, Retryable):
            if self.is_calm:
                raise

    async def _deliver(self) -> None:
        while True:
            await self._deliver_once()
            await self._rest(self.dice.randrange(10))

    async def _rest(self, turns: int) -> None:
        for _ in range(turns):
            await pause()

    async def _drop(self, depth: int) -> None:
        await self.tables.drop_above(self.tables.blocks[-1 - depth].ref.number)

    async def _configure(self, setting: Setting) -> None:
        await self.tables.configure(setting)

    async def _grow(self) -> None:
        self.tables.add_block(self._next_block())

    def _next_block(self) -> BlockRef:
        tip = self.tables.blocks[-1].ref.hash if self.tables.blocks else None
        return self.tree.child(tip).ref

    async def _deliver_once(self) -> None:
        """Take what is due under a lease, send it, and note that it was sent; any of it may fail."""
        for sent in list(self.tables.outbox.values()):
            if sent.state != "pending" or max(sent.leased_until, sent.send_after) > self.now:
                continue
            sent.leased_until = self.now + LEASE_SECONDS
            await pause()
            if not self.is_calm and self.dice.random() < 0.3:
                continue  # refused, or no answer
            self._receive(sent.message.id)
            await pause()
            if not self.is_calm and self.dice.random() < 0.1:
                continue  # it was received, and the answer was lost
            sent.state = "delivered"

    def _receive(self, message_id: str) -> None:
        self.received[message_id] = self.received.get(message_id, 0) + 1

    def _evaluator(self) -> Evaluator:
        return Evaluator(
            self.ledger,
            PausedMeasures(self.tree),
            clock=lambda: self.now,
            new_id=lambda: f"msg_{next(self._ids)}",
        )

    def _trouble(self) -> None:
        if not self.is_calm and self.dice.random() < 0.004:
            raise DatabaseUnavailable("the database went away")


class PausedMeasures(TreeMeasures):
    """Takes its time."""

    async def measure(self, *arguments: Any) -> Any:  # type: ignore[override]
        """As ever."""
        found = await super().measure(*arguments)
        await pause()
        await pause()
        return found


def standing_at(block: StoredBlock) -> tuple[Keeper, Reading]:
    """As much of a keeper and its reading as an evaluation looks at."""
    return cast("Keeper", SimpleNamespace(at=block, kept={})), cast("Reading", SimpleNamespace(block=block))


def _turn(life: Life) -> bool:
    """One step; False when it has come to its end."""
    try:
        life.send(None)
    except StopIteration:
        return False
    return True


def check(history: History) -> None:
    """Every evaluation said what it must, the episodes are those that stand, and every message has arrived."""
    tables, truth = history.tables, Truth(history.tree)
    told_by_event: dict[int, list[int]] = {}
    for sent in tables.outbox.values():
        assert sent.message.event_id is not None
        told_by_event.setdefault(sent.message.event_id, []).append(sent.message.channel_id)
    first = 1
    seen = 0
    for number, one in enumerate(tables.log):
        expected = truth.evaluate(one, tables.settings[one.version])
        written = []
        for event_id in range(first, one.last_event + 1):
            row = tables.events.get(event_id)
            if row is None:
                continue  # drawn by a transaction that did not commit
            seen += 1
            episode, event = tables.episodes[row.stored.episode_id], row.stored.event
            channels = tuple(sorted(told_by_event.get(event_id, ())))
            written.append(Said(episode.rule_id or 0, str(episode.subject), event.kind, event.severity, channels))
        first = max(first, one.last_event + 1)
        missing, false = Counter(expected) - Counter(written), Counter(written) - Counter(expected)
        where = f"evaluation {number} at block {one.block.ref.number} (id {one.block.id})"
        assert not missing, f"{where} did not say {sorted(missing)}; it said falsely {sorted(false)}"
        assert not false, f"{where} said falsely {sorted(false)}"
    assert seen == len(tables.events), "an event belongs to no evaluation"
    _check_standing(history, truth)
    ids = [sent.message.id for sent in tables.outbox.values()]
    assert len(ids) == len(set(ids))
    lost, false = set(ids) - history.received.keys(), history.received.keys() - set(ids)
    assert not lost, f"{len(lost)} of {len(ids)} messages did not arrive"
    assert not false, f"{len(false)} messages arrived that were never written"
    stored = {block.ref.hash for block in tables.blocks}
    told = history.told
    told.evaluations, told.events, told.messages = len(tables.log), len(tables.events), len(ids)
    told.dropped = sum(one.block.ref.hash not in stored for one in tables.log)
    told.retractions = sum(one.state is EpisodeState.RETRACTED for one in tables.episodes.values())
    told.muted = sum(one.announced_at is None for one in tables.episodes.values())
    told.receipts = sum(history.received.values())


def _check_standing(history: History, truth: Truth) -> None:
    tables = history.tables
    for pair in PAIRS:
        stand = [
            (one.state.value, one.severity)
            for _, one in sorted(tables.episodes.items())
            if (one.rule_id, one.subject) == pair and one.state is not EpisodeState.RETRACTED
        ]
        expected = [("open" if one.ended is None else "cleared", one.worst) for one in truth.spells(pair)]
        assert stand == expected, f"{pair}: {stand} is not {expected}"
