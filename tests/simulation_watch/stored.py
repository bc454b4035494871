"""The same histories on a real Postgres: everybody is a task with connections of its own, and dies with them.

Also both at once, one step after the other: what memory answers must be what Postgres answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import psycopg

from app.domain.batch import BlockBatch
from app.domain.watch import Severity
from app.errors import Retryable
from app.store.blocks import StoredBlock, drop_blocks_above
from app.store.commit import commit_batch
from app.store.watch.channels import NewChannel, NewRoute, store_channel, store_route
from app.store.watch.episode_steps import Standing
from app.store.watch.episodes import load_episodes, load_events
from app.store.watch.members import add_members, remove_member
from app.store.watch.outbox import Attempt, NewMessage, load_deliveries, new_message_id
from app.store.watch.rules import create_rule, replace_rule
from app.store.watch.sending import Settled, claim, settle
from app.store.watch.version import load_watch_version
from app.store.watch.watchlists import create_list, update_list
from app.watch.evaluate import Evaluator
from app.watch.ledger import LedgerReads, LedgerWrites, StoredLedger
from tests.fakes.site import DEVNET, EPOCH
from tests.simulation.store import Place, Server
from tests.simulation_watch.memory import Evaluated, EventRow, MemoryLedger, Sent
from tests.simulation_watch.run import LEASE_SECONDS, History, Told, check
from tests.simulation_watch.setting import ACCOUNTS, EVERYTHING, FIRST, RULES, SECOND, WORST, Setting

_TURN_SECONDS = 0.008
_ALL = 1_000_000
_WITNESS = """
    CREATE TABLE witness (n bigserial PRIMARY KEY, block_id bigint, number bigint, version bigint, at bigint,
                          last_event bigint);
    CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO witness (block_id, number, version, at, last_event) VALUES (NEW.block_id, NEW.block_number,
            NEW.version, NEW.evaluated_at, (SELECT coalesce(max(id), 0) FROM episode_events));
        RETURN NULL;
    END $$;
    CREATE TRIGGER witness AFTER UPDATE ON watch_progress FOR EACH ROW EXECUTE FUNCTION witness();
"""
"""Writes down each evaluation in its own transaction, whatever the code says of it afterwards."""


def make_watched_place(server: Server, name: str) -> Place:
    """A database that witnesses evaluations."""
    bare = server.make_place(name)
    with psycopg.connect(bare.url, autocommit=True) as connection:
        connection.execute(_WITNESS.encode())
    bare._admin.close()
    return Place(bare.url)


class StoredHistory(History):
    """A history whose tables are Postgres's."""

    def __init__(self, seed: int, place: Place) -> None:
        super().__init__(seed)
        self.place = place
        self.ledger = StoredLedger(place.living)
        self._blocks: dict[int, StoredBlock] = {}
        self._living: set[asyncio.Task[None]] = set()

    async def run_stored(self) -> Told:
        """As `run`."""
        await self.set_up()
        await self._grow()
        self.place.living.trouble = lambda _: self._trouble()
        await self._live_as_tasks()
        await self._come_to_rest()
        await self.load()
        check(self)
        return self.told

    async def set_up(self) -> None:
        """Empty tables, and what is watched at first, under the ids the setting gives."""
        self.place.clear()
        self.place.living.trouble = lambda _: None
        async with self.place.database.write() as session:
            for list_id in (FIRST, SECOND):
                assert await create_list(session, f"list {list_id}", "", EPOCH) == list_id
                await add_members(session, list_id, Setting().members(list_id), EPOCH)
            for rule in RULES.values():
                assert await create_rule(session, rule, EPOCH) == rule.id
            for channel, name in ((EVERYTHING, "everything"), (WORST, "worst")):
                assert await store_channel(session, NewChannel(name, "stdout", {}), EPOCH) == channel
            for list_id in (FIRST, SECOND):
                await store_route(session, NewRoute(list_id, EVERYTHING, Severity.INFO))
                await store_route(session, NewRoute(list_id, WORST, Severity.CRITICAL))
            version = await load_watch_version(session)
        self.tables.settings = [Setting()] * (version + 1)

    async def load(self) -> None:
        """Bring what Postgres holds to where the model looks for it."""
        tables = self.tables
        async with self.place.database.read() as session:
            episodes = await load_episodes(session, limit=_ALL)
            events = await load_events(session, [one.id for one in episodes])
            deliveries = await load_deliveries(session, limit=_ALL)
        tables.episodes = {
            one.id: Standing(
                one.id, one.watchlist_id, f"list {one.watchlist_id}", False, one.rule_id, one.rule_name, one.metric,
                one.chain_id, one.subject, one.state, one.severity, one.opened_at, one.announced_at,
            )
            for one in episodes
        }  # fmt: skip
        tables.events = {one.id: EventRow(one, None) for one in events}
        tables.outbox = {
            one.id: Sent(
                NewMessage(one.id, one.channel_id, one.event_id, one.kind, one.id, one.severity, {}, 0), one.state
            )
            for one in deliveries
        }
        rows = self.place.rows("SELECT block_id, version, at, last_event FROM witness ORDER BY n")
        tables.log = [Evaluated(self._blocks[block_id], *rest) for block_id, *rest in rows]

    async def _live_as_tasks(self) -> None:
        lives = [asyncio.create_task(self._again(make)) for make in (self._monitor, self._cron, self._deliver)]
        try:
            await asyncio.gather(self._chain(), self._people())
        finally:
            for life in lives:
                life.cancel()
            ended = await asyncio.gather(*lives, return_exceptions=True)
            for life in list(self._living):
                await self._end(life)
        for one in ended:
            if isinstance(one, BaseException) and not isinstance(one, asyncio.CancelledError):
                raise one

    async def _again(self, make: Callable[[], Any]) -> None:
        """One process after the other; some are ended at any moment, half of these together with their connections."""
        while True:
            life = asyncio.create_task(make())
            self._living.add(life)
            life.add_done_callback(self._living.discard)
            try:
                await asyncio.wait({life}, timeout=self.dice.choice((0.02, 0.1, 0.3, 1.0)))
            finally:
                is_over = life.done()
                if not is_over:
                    await self._end(life)
            if is_over:
                life.result()

    async def _end(self, life: asyncio.Task[None]) -> None:
        self.told.deaths += 1
        life.cancel()
        if self.dice.random() < 0.5:
            self.place.end_connections()
        while not (await asyncio.wait({life}, timeout=2.0))[0]:
            life.cancel()  # a cancellation that meets a lost connection reads as that, and the process goes on

    async def _rest(self, turns: int) -> None:
        self.now += turns
        await asyncio.sleep(turns * _TURN_SECONDS)

    async def _grow(self) -> None:
        async with self.place.database.write() as session:
            block = await commit_batch(session, BlockBatch(self._next_block(), (), (), ()))
        self.tables.blocks.append(block)
        self._blocks[block.id] = block

    async def _drop(self, depth: int) -> None:
        number = self.tables.blocks[-1 - depth].ref.number
        async with self.place.database.write() as session:
            await drop_blocks_above(session, DEVNET, number)
        self.tables.blocks = [one for one in self.tables.blocks if one.ref.number <= number]

    async def _configure(self, setting: Setting) -> None:
        before = self.tables.settings[-1]
        async with self.place.database.write() as session:
            for rule_id in setting.disabled ^ before.disabled:
                await replace_rule(session, RULES[rule_id], is_enabled=rule_id in before.disabled)
            for list_id in setting.paused ^ before.paused:
                await update_list(session, list_id, f"list {list_id}", "", is_paused=list_id not in before.paused)
            for list_id, number in setting.left ^ before.left:
                if (list_id, number) in before.left:
                    (member,) = (one for one in Setting().members(list_id) if one.wallet == ACCOUNTS[number].wallet)
                    await add_members(session, list_id, [member], EPOCH)
                else:
                    await remove_member(session, list_id, ACCOUNTS[number].wallet, None)
            version = await load_watch_version(session)
            # Known before anybody can evaluate with it.
            assert version == len(self.tables.settings)
            self.tables.settings.append(setting)

    async def _deliver_once(self) -> None:
        try:
            await self._send_due()
        except Retryable:
            if self.is_calm:
                raise

    async def _send_due(self) -> None:
        database = self.place.database if self.is_calm else self.place.living
        async with database.write() as session:
            claimed = await claim(session, self.now, lease_until=self.now + LEASE_SECONDS, per_channel=50)
        for one in claimed:
            if not self.is_calm and self.dice.random() < 0.3:
                continue
            self._receive(one.id)
            if not self.is_calm and self.dice.random() < 0.1:
                continue
            async with database.write() as session:
                settled = Settled(one.id, one.leased_until, "delivered", counts=True, send_after=None)
                await settle(session, settled, Attempt(one.id, self.now, 1, 200, None))

    async def _is_waiting(self) -> bool:
        return bool(self.place.rows("SELECT FROM outbox WHERE state = 'pending'"))

    def _evaluator(self) -> Evaluator:
        made = super()._evaluator()
        made._new_id = new_message_id  # as the processes do that know nothing of each other
        return made


class MirroredHistory(StoredHistory):
    """One step after the other, and every answer of Postgres must be that of memory."""

    def __init__(self, seed: int, place: Place) -> None:
        super().__init__(seed, place)
        self.ledger = _Mirror(MemoryLedger(self.tables), StoredLedger(place.database), self._fail)

    async def run_stored(self) -> Told:
        """As ever."""
        await self.set_up()
        await self._grow()
        for _ in range(60):
            match self.dice.randrange(20):
                case 0 | 1 | 2 | 3 | 4:
                    await self._grow()
                case 5 | 6 if len(self.tables.blocks) > 1:
                    await self._drop(min(self.dice.choice((1, 2, 4)), len(self.tables.blocks) - 1))
                case 7:
                    await self._configure(self.tables.settings[-1].changed(self.dice))
                case _:
                    self.now += self.dice.randrange(60)
                    try:
                        await self._evaluate(self._evaluator())
                    except _Failed:
                        self.told.deaths += 1
        in_memory = dict(self.tables.episodes), dict(self.tables.events), len(self.tables.outbox)
        await self.load()
        stored = {n: row.stored for n, row in self.tables.events.items()}
        assert (self.tables.episodes, stored, len(self.tables.outbox)) == (
            in_memory[0],
            {n: row.stored for n, row in in_memory[1].items()},
            in_memory[2],
        )
        self.told.evaluations, self.told.events = len(self.tables.log), len(stored)
        return self.told

    def _fail(self) -> None:
        if self.dice.random() < 0.03:
            raise _Failed


class _Failed(Exception):
    """Something ends a transaction half-way."""


class _Mirror:
    """Two ledgers as one."""

    def __init__(self, memory: MemoryLedger, stored: StoredLedger, fail: Callable[[], None]) -> None:
        self._memory, self._stored, self._fail = memory, stored, fail

    @asynccontextmanager
    async def read(self) -> AsyncIterator[LedgerReads]:
        """Both."""
        async with self._memory.read() as one, self._stored.read() as other:
            yield cast("LedgerReads", _Both(one, other, self._fail))

    @asynccontextmanager
    async def write(self) -> AsyncIterator[LedgerWrites]:
        """Both."""
        async with self._memory.write() as one, self._stored.write() as other:
            yield cast("LedgerWrites", _Both(one, other, self._fail))


class _Both:
    """Asks both, and gives what both say."""

    def __init__(self, one: object, other: object, fail: Callable[[], None]) -> None:
        self._one, self._other, self._fail = one, other, fail

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def asked(*arguments: Any) -> Any:
            said = await getattr(self._one, name)(*arguments)
            stored = await getattr(self._other, name)(*arguments)
            assert said == stored, f"{name}: memory says {said}, Postgres {stored}"
            self._fail()
            return stored

        return asked
