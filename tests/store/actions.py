"""Short forms of what most store tests do, each in a session of its own."""

from __future__ import annotations

from app.domain.account import AccountState
from app.domain.batch import BlockBatch
from app.store.accounts import load_account
from app.store.blocks import StoredBlock, drop_blocks_above, load_head
from app.store.commit import commit_batch
from app.store.deployments import register_deployments
from app.store.postgres.engine import Database
from app.store.states import NotYetRead
from tests.store.builders import CHAIN, batch, deployment, key, market


async def begin(database: Database, *codes: str) -> StoredBlock:
    """Register the deployment and commit block 1 with these markets."""
    async with database.write() as session:
        await register_deployments(session, [deployment()])
    return await commit(database, batch(1, markets=tuple(market(code) for code in codes)))


async def commit(database: Database, what: BlockBatch) -> StoredBlock:
    async with database.write() as session:
        return await commit_batch(session, what)


async def drop_above(database: Database, number: int) -> int:
    async with database.write() as session:
        return await drop_blocks_above(session, CHAIN, number)


async def head_of(database: Database) -> StoredBlock:
    async with database.read() as session:
        head = await load_head(session, CHAIN)
    assert head is not None
    return head


async def account_at(database: Database, wallet: object, at: StoredBlock) -> AccountState | NotYetRead | None:
    async with database.read() as session:
        return await load_account(session, key(wallet), at)
