"""Evaluations on a real database: blocks without anything in them, lists, and values a test makes up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from app.book import Keeper, Reading
from app.domain.account import AccountKey
from app.domain.batch import BlockBatch
from app.domain.watch import Measured, Member, Metric, Rule, Severity, Subject
from app.store.blocks import StoredBlock, drop_blocks_above
from app.store.commit import commit_batch
from app.store.postgres.engine import Database
from app.store.watch.channels import NewChannel, NewRoute, store_channel, store_route
from app.store.watch.episodes import Episode, StoredEvent, load_episodes, load_events
from app.store.watch.members import add_members
from app.store.watch.outbox import Delivery, load_deliveries
from app.store.watch.rules import create_rule
from app.store.watch.watchlists import create_list
from app.watch.evaluate import Evaluation, Evaluator, Measuring
from app.watch.ledger import StoredLedger
from app.watch.measures import Asked, Found
from tests.fakes.site import DEVNET, EPOCH, block_ref, wallet

WHO = AccountKey("pond-devnet", wallet(1))
OTHER = AccountKey("pond-devnet", wallet(2))
LEVELS = {Severity.WARNING: 110, Severity.CRITICAL: 100}
"""Reached at or below; clear above 130."""
CALM, WARNING, CRITICAL = 200, 110, 100


@dataclass
class MadeUp:
    """Values that a test sets: by subject, the same for every rule."""

    values: dict[Subject, int | None] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    before: StoredBlock | None = None

    async def measure(
        self, keeper: Keeper, reading: Reading, asked: Sequence[Asked], before: StoredBlock | None
    ) -> list[Found]:
        """All there is, whether it is calm or not."""
        self.asked, self.before = list(asked), before
        return [self._found(one) for one in asked]

    def _found(self, asked: Asked) -> Found:
        wallets = {member.wallet for member in asked.members}
        there = {one for one in self.values if not isinstance(one, AccountKey) or one.wallet in wallets} | asked.must
        measured = tuple(Measured(one, self.values.get(one), {"health": self.values.get(one)}) for one in there)
        return Found(asked.rule.id, measured, len(there), sum(one.value is None for one in measured))


@dataclass
class Scene:
    """One list of two wallets with one rule, told to one channel."""

    database: Database
    blocks: list[StoredBlock] = field(default_factory=list)
    made_up: MadeUp = field(default_factory=MadeUp)
    now: int = EPOCH
    fork: int = 0
    list_id: int = 0
    rule_id: int = 0
    channel_id: int = 0

    @property
    def values(self) -> dict[Subject, int | None]:
        """What every evaluator measures."""
        return self.made_up.values

    async def set_up(self, **rule: Any) -> Scene:
        """The list, its rule and its channel."""
        async with self.database.write() as session:
            self.list_id = await create_list(session, "treasury", "", self.now)
            await add_members(session, self.list_id, [Member(WHO.wallet, label="cold"), Member(OTHER.wallet)], self.now)
            self.channel_id = await store_channel(session, NewChannel("desk", "stdout", {}), self.now)
            await store_route(session, NewRoute(self.list_id, self.channel_id))
        self.rule_id = await self.add_rule("health", **rule)
        return self

    async def add_rule(self, name: str, **changes: Any) -> int:
        """Another rule of the list."""
        fields = {"metric": Metric.HEALTH_FACTOR, "levels": LEVELS, "clear_at": 130, **changes}
        async with self.database.write() as session:
            return await create_rule(session, Rule(0, self.list_id, name, **fields), self.now)

    async def grow(self, blocks: int = 1) -> StoredBlock:
        """So many blocks more; the newest."""
        for _ in range(blocks):
            number = self.blocks[-1].ref.number + 1 if self.blocks else 1
            ref = block_ref(number, fork=self.fork)
            if self.blocks:
                ref = type(ref)(DEVNET, number, ref.hash, self.blocks[-1].ref.hash, ref.timestamp)
            async with self.database.write() as session:
                self.blocks.append(await commit_batch(session, BlockBatch(ref, (), (), ())))
        return self.blocks[-1]

    async def reorg(self, depth: int) -> None:
        """The newest blocks are gone, and what comes next has other hashes."""
        del self.blocks[len(self.blocks) - depth :]
        self.fork += 1
        async with self.database.write() as session:
            await drop_blocks_above(session, DEVNET, self.blocks[-1].ref.number if self.blocks else 0)

    def evaluator(self, measures: Measuring | None = None) -> Evaluator:
        """As a process would make one."""
        return Evaluator(StoredLedger(self.database), measures or self.made_up, clock=lambda: self.now)

    async def evaluate(self, evaluator: Evaluator | None = None, block: StoredBlock | None = None) -> Evaluation:
        """Evaluate at the newest block, by a process of its own unless one is given."""
        keeper, reading = standing_at(block or self.blocks[-1])
        return await (evaluator or self.evaluator()).evaluate(keeper, reading)

    async def episodes(self) -> list[Episode]:
        """All of them, the oldest first."""
        async with self.database.read() as session:
            return (await load_episodes(session, limit=10_000))[::-1]

    async def events(self) -> list[StoredEvent]:
        """All events in the order they happened."""
        ids = [one.id for one in await self.episodes()]
        async with self.database.read() as session:
            return sorted(await load_events(session, ids), key=lambda one: one.id)

    async def told(self) -> list[Delivery]:
        """All messages."""
        async with self.database.read() as session:
            found = await load_deliveries(session, limit=10_000)
        return sorted(found, key=lambda one: one.event_id or 0)

    async def story(self) -> list[str]:
        """What happened, in words: kind and severity, `*` where it was retracted since."""
        return [
            f"{one.event.kind.value} {one.event.severity.name.lower()}{'*' if one.retracted_at else ''}"
            for one in await self.events()
        ]


def standing_at(block: StoredBlock) -> tuple[Keeper, Reading]:
    """As much of a keeper and its reading as an evaluation looks at."""
    return cast("Keeper", SimpleNamespace(at=block, kept={})), cast("Reading", SimpleNamespace(block=block))
