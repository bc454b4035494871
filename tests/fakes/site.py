"""The API over a real database, with blocks committed by hand and a clock that stands still until it is moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import httpx
from fastapi import FastAPI

from app.api.app import create_app
from app.api.frame.deps import ApiOptions
from app.domain.account import AccountState
from app.domain.batch import BlockBatch, DueAccount
from app.domain.chain import Address, BlockRef, Hash32
from app.domain.market import Deployment, MarketRecord
from app.protocols.base import Adapter
from app.store.blocks import StoredBlock, drop_blocks_above
from app.store.chains import ChainStatus, observe
from app.store.commit import commit_batch
from app.store.deployments import DeploymentTrouble, note_trouble, register_deployments
from app.store.postgres.engine import Database
from app.store.scans import queue_due
from tests.fakes.perp import find_fake, tide_markets, tide_records
from tests.fakes.pond import pond_deployment, pond_markets, pond_records

DEVNET = 31337
EPOCH = 1_700_000_000


def wallet(number: int) -> Address:
    """One of as many wallets as a test wants."""
    return Address(blake2b(number.to_bytes(8, "big"), digest_size=20).digest())


def block_ref(number: int, *, chain_id: int = DEVNET, fork: int = 0) -> BlockRef:
    """Block `number`, one second after the one before. Another `fork` gives other hashes from block 2 up."""

    def hash_of(height: int) -> Hash32:
        return Hash32(blake2b(f"{chain_id} {height} {fork if height > 1 else 0}".encode(), digest_size=32).digest())

    return BlockRef(chain_id, number, hash_of(number), hash_of(number - 1), EPOCH + number)


@dataclass
class Site:
    """One API process and the database under it."""

    database: Database
    app: FastAPI
    client: httpx.AsyncClient
    now: int = EPOCH

    async def register(self, *deployments: Deployment) -> None:
        """Make deployments known; the pond when none is given."""
        async with self.database.write() as session:
            await register_deployments(session, deployments or (pond_deployment(),))

    async def commit(
        self,
        number: int,
        accounts: Sequence[AccountState] = (),
        records: Sequence[MarketRecord] | None = None,
        *,
        chain_id: int = DEVNET,
        fork: int = 0,
        deployment_id: str = "pond-devnet",
        bare: bool = False,
    ) -> StoredBlock:
        """Commit a block: with the pond's markets and records, unless `bare`. The clock moves to its timestamp."""
        if records is None:
            records = pond_records(deployment_id)
        ref = block_ref(number, chain_id=chain_id, fork=fork)
        markets = pond_markets(deployment_id)
        batch = BlockBatch(ref) if bare else BlockBatch(ref, markets, tuple(records), tuple(accounts))
        async with self.database.write() as session:
            block = await commit_batch(session, batch)
        await self.observe(number, chain_id=chain_id)
        self.now = max(self.now, ref.timestamp)
        return block

    async def commit_tide(
        self,
        number: int,
        accounts: Sequence[AccountState] = (),
        *,
        chain_id: int = DEVNET,
        deployment_id: str = "tide-devnet",
        **records: object,
    ) -> StoredBlock:
        """Commit a block with the perp exchange's markets and the records these values make."""
        ref = block_ref(number, chain_id=chain_id)
        stored = tide_records(deployment_id, **records)  # type: ignore[arg-type]
        async with self.database.write() as session:
            block = await commit_batch(session, BlockBatch(ref, tide_markets(deployment_id), stored, tuple(accounts)))
        await self.observe(number, chain_id=chain_id)
        self.now = max(self.now, ref.timestamp)
        return block

    async def set_aside(
        self, block: StoredBlock, trouble: str | None, deployment_id: str = "pond-devnet", *, is_followed: bool = True
    ) -> None:
        """Note with a block that a deployment is not read from there on; None: that it is again."""
        found = None if trouble is None else DeploymentTrouble(trouble, block.ref.number, is_followed)
        async with self.database.write() as session:
            await note_trouble(session, deployment_id, block.id, found)

    async def observe(self, number: int | None = None, *, chain_id: int = DEVNET, **overrides: object) -> None:
        """Write the chain's status as its indexer would, now."""
        at = EPOCH + (number or 0)
        fields: dict[str, object] = {
            "chain_id": chain_id,
            "head_number": number,
            "head_hash": None if number is None else block_ref(number, chain_id=chain_id).hash,
            "head_timestamp": at,
            "safe_number": None if number is None else number - 2,
            "finalized_number": None if number is None else number - 4,
            "observed_at": max(at, self.now),
        }
        async with self.database.write() as session:
            await observe(session, ChainStatus(**{**fields, **overrides}))  # type: ignore[arg-type]

    async def drop_above(self, number: int, chain_id: int = DEVNET) -> None:
        """A reorg: forget every block above."""
        async with self.database.write() as session:
            await drop_blocks_above(session, chain_id, number)

    async def queue(self, due: Sequence[DueAccount], due_from: int = 1) -> None:
        """Let a log scan find accounts."""
        async with self.database.write() as session:
            await queue_due(session, due, due_from)

    async def get(self, path: str, **parameters: object) -> httpx.Response:
        """GET with query parameters; those that are None are left out."""
        given = {name: str(value) for name, value in parameters.items() if value is not None}
        return await self.client.get(path, params=given or None)


def open_site(
    database: Database, options: ApiOptions | None = None, find_adapter: Callable[[str], Adapter] = find_fake
) -> Site:
    """A site whose clock is `site.now`."""
    site: Site
    app = create_app(database, options, clock=lambda: site.now, find_adapter=find_adapter)
    transport = httpx.ASGITransport(app=app)
    site = Site(database, app, httpx.AsyncClient(transport=transport, base_url="http://waterline.test"))
    return site
