"""What the store's benchmarks write: accounts of three positions each, in the shapes of every contestant."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

from app.domain.account import AccountKey, AccountSnapshot, LendingPosition
from app.domain.batch import BlockBatch
from app.domain.chain import Address, BlockRef, Hash32
from app.domain.market import Deployment, Market
from app.store.blocks import StoredBlock
from app.store.commit import commit_batch
from app.store.deployments import register_deployments
from app.store.footing import Footing, Known
from app.store.names import Names, load_names
from app.store.postgres import migrate
from app.store.postgres.embedded import EmbeddedPostgres
from app.store.postgres.engine import Database
from app.store.postgres.locks import AdvisoryLock

CHAIN, SLUG, MARKETS = 31337, "pool", 40


@contextmanager
def server() -> Iterator[str]:
    """URL of a migrated database on an embedded server of its own, with the product's settings."""
    directory = tempfile.TemporaryDirectory(prefix="waterline-bench-")
    with directory as place, EmbeddedPostgres(Path(place) / "data") as postgres:
        migrate.upgrade(postgres.url)
        yield postgres.url


class World:
    """A deployment whose chain grows block by block."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        self.database = Database(url)
        self._runner = runner
        self._random = random.Random(1)
        self.number = 0
        self._seen = 0
        markets = tuple(Market(SLUG, code(n), address(code(n)), f"T{n}", 18) for n in range(MARKETS))
        self._held = AsyncExitStack()
        self._cursor: StoredBlock | None = None
        self._spare_ids: list[int] = []
        self._lock, self._names = runner.run(self._lead())
        self.commit(BlockBatch(self.next_block(), markets))

    def close(self) -> None:
        """Close every connection."""
        self._runner.run(self._held.aclose())
        self._runner.run(self.database.dispose())

    def next_block(self) -> BlockRef:
        """The block above the newest."""
        self.number += 1
        return BlockRef(CHAIN, self.number, _hash(self.number), _hash(self.number - 1), self.number)

    def commit(self, *batches: BlockBatch) -> None:
        """The product's own way: what is stored is looked up, and one transaction a batch."""
        self._runner.run(self._commit(batches))

    def unseen(self, accounts: int, positions: int = 3) -> tuple[AccountSnapshot, ...]:
        """States of accounts that no block had before."""
        first = self._seen
        self._seen += accounts
        return tuple(self.state(n, positions) for n in range(first, self._seen))

    def state(self, account: int, positions: int = 3) -> AccountSnapshot:
        """A fresh state of an account: always the same markets, new amounts."""
        held = tuple(
            LendingPosition(code((account + 7 * n) % MARKETS), *self._amounts(), n % 2 == 0) for n in range(positions)
        )
        return AccountSnapshot(AccountKey(SLUG, address(account)), self.number, held, (0,))

    def _amounts(self) -> tuple[int, int]:
        return self._random.randrange(10**22), self._random.randrange(10**19)

    async def _lead(self) -> tuple[AdvisoryLock, Names]:
        async with self.database.write() as session:
            await register_deployments(session, [Deployment(SLUG, CHAIN, "p", "Pool", address("pool"), 1)])
            names = await load_names(session, [SLUG])
        return await self._held.enter_async_context(self.database.lock(CHAIN, "indexer")), names

    async def _commit(self, batches: Sequence[BlockBatch]) -> None:
        for batch in batches:
            known = Known()
            async with self.database.alone() as reading:
                await known.look_up(reading, [state.key for state in batch.accounts])
            async with self._lock.write() as session:
                footing = Footing(self._cursor, self._names, known, self._spare_ids)
                self._cursor = await commit_batch(session, batch, footing=footing)


def address(seed: object) -> Address:
    """An address that is the same in every run."""
    return Address(sha256(str(seed).encode()).digest()[:20])


def code(number: int) -> str:
    """A market's code, as long as a real one."""
    return str(address(f"market {number}"))


def _hash(number: int) -> Hash32:
    return Hash32(sha256(number.to_bytes(8)).digest())
