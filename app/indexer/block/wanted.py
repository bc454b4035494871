"""Which accounts a block reads besides those its logs touched, and how many of them it has room for."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Container, Iterable, Mapping

from app.domain.account import AccountKey
from app.domain.batch import DueAccount
from app.domain.chain import BlockRef
from app.indexer.block.ahead import Ahead
from app.indexer.block.harvest import Followed, Sources
from app.store.footing import Known
from app.store.names import Names
from app.store.scans import load_due
from app.store.states import key_tuple


class Wanted:
    """The accounts one block reads. A bounded number of them may wait for later blocks."""

    def __init__(
        self,
        sources: Sources,
        block: BlockRef,
        cursor: BlockRef | None,
        followed: Mapping[str, Followed],
        names: Names,
    ) -> None:
        self._sources = sources
        self._names = names
        self._block = block
        self._before = cursor.number if cursor is not None else block.number
        self._followed = followed
        self._room = sources.pace.accounts
        """Accounts that may still be read besides those that have to be."""
        self.markets: dict[AccountKey, set[str]] = {}
        """Markets each account being read is known to have touched; since `look_up`, or held."""
        self.known = Known()
        """What is stored of them."""
        self._later: list[AccountKey] = []
        """Those that may have changed and did not find room."""
        self._due: tuple[list[str], asyncio.Task[list[DueAccount]]] | None = None
        """Deployments whose due accounts are being looked up."""

    def begin(self, ahead: Ahead, names: Collection[str]) -> None:
        """Look up what is due in these deployments already: no log changes that."""
        asked = list(names)
        self._due = asked, ahead.begin(self._load_due(asked))

    async def gather(self, touched: Mapping[str, Mapping[AccountKey, Collection[str]]]) -> None:
        """Accounts of these deployments to read: those touched, by deployment, those that move by themselves, and a
        bounded number besides: those due from scans or failed reads, and those whose turn it is in the slow round."""
        begun, loading = self._due or ([], None)
        due = await (loading if loading is not None and begun == list(touched) else self._load_due(touched))
        wanted = {key: set(markets) for found in touched.values() for key, markets in found.items()}
        for one in due:
            wanted.setdefault(one.key, set()).update(one.markets)
        self._room -= len(due)
        if not self._room:
            self._sources.pace.note_used_up()
        for name in touched:
            wanted |= {key: set() for key in self._followed[name].unlogged.moving if key not in wanted}
        for key in self._within_room(self._in_turn(touched), wanted):
            wanted[key] = set()
        self.markets = wanted

    async def look_up(self) -> None:
        """What the store knows of these accounts: it adds to their markets, and the commit compares with it."""
        await self._look_up(self.markets.keys())

    async def add_suspects(self, names: Iterable[str]) -> list[AccountKey]:
        """Accounts of deployments in which some may have changed without a log, as far as there is room: those that
        are not read already."""
        keys = [key for name in names for key in sorted(self._followed[name].unlogged.suspects)]
        suspects = self._within_room(keys, self.markets)
        if suspects:
            self.markets |= {key: set() for key in suspects}
            await self._look_up(suspects)
        return suspects

    def later_of(self, names: Collection[str]) -> list[AccountKey]:
        """Accounts of these deployments that may have changed and did not find room."""
        return [key for key in self._later if key.deployment_id in names]

    async def _load_due(self, names: Collection[str]) -> list[DueAccount]:
        async with self._sources.database.alone() as session:
            return await load_due(session, self._sources.reader.chain_id, self._room, names)

    async def _look_up(self, keys: Collection[AccountKey]) -> None:
        if not keys:
            return
        async with self._sources.database.alone() as session:
            await self.known.look_up(session, keys)
        states, codes = self.known.states, self._names.codes
        for key in keys:
            if stored := states.get(key_tuple(key)):
                self.markets[key].update(stored.due_markets, map(codes.__getitem__, stored.held))

    def _in_turn(self, names: Iterable[str]) -> Iterable[AccountKey]:
        for name in names:
            yield from self._followed[name].unlogged.in_turn(
                self._before, self._block.number, self._sources.round_blocks
            )

    def _within_room(self, keys: Iterable[AccountKey], taken: Container[AccountKey]) -> list[AccountKey]:
        """As many of the keys not taken yet as this block may still read; the others are noted for later."""
        fresh = [key for key in keys if key not in taken]
        now, later = fresh[: self._room], fresh[self._room :]
        self._room -= len(now)
        self._later += later
        return now
