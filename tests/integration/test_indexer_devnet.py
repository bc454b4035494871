"""The indexer on the real contracts: every wallet at every block, forks, and processes killed in mid-block."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from app.chain.reader import ChainReader, Header
from app.chain.rpc import Rpc
from app.domain.account import AccountSnapshot
from app.domain.market import Deployment
from app.domain.specs import chain_spec
from app.indexer.loop import Indexer
from app.protocols.registry import adapter_for
from app.store.accounts import load_accounts
from app.store.blocks import load_block
from app.store.markets import load_markets, load_records
from app.store.postgres.engine import Database
from devnet.world import World
from tests.fixtures.devnet import WorldFactory
from tests.indexer.conftest import MakeDatabase, Place, make_database
from tests.indexer.tables import assert_same_tables, dump_tables
from tests.integration.following import deployments_of

pytestmark = [pytest.mark.database, pytest.mark.devnet]

__all__ = ["make_database"]

BLOCKS = 60


class Follower:
    """An Indexer that is shown one block of the world after the other, each when a test says so."""

    def __init__(self, world: World, database: Database, deployments: list[Deployment]) -> None:
        spec = chain_spec(world.chain_id)
        self.reader = ChainReader(Rpc(world.rpc_url), spec)
        self._shown = -1
        self._indexer = Indexer(self.reader, database, spec, deployments, self._heads)

    async def follow_to(self, number: int) -> None:
        """Index up to block `number` as the node has it now, old logs included."""
        self._shown = number
        await self._indexer.run_until(number, scanned=True)

    async def _heads(self) -> AsyncGenerator[Header, None]:
        header = await self.reader.fetch_header(self._shown)
        assert header is not None
        yield header
        await asyncio.Event().wait()


@asynccontextmanager
async def follower(world: World, database: Database, folder: Path) -> AsyncIterator[Follower]:
    """A Follower whose connections end with the block."""
    made = Follower(world, database, deployments_of(world, folder))
    yield made
    await made.reader.aclose()


async def run_straight(world: World, place: Place, folder: Path, first: int) -> None:
    """Index the world's chain from `first` on as it is now, block by block."""
    async with follower(world, place.database, folder) as straight:
        for number in range(first, world.block_number + 1):
            await straight.follow_to(number)


async def compare_every_wallet(world: World, database: Database, deployment: Deployment, number: int) -> int:
    """Hold what is stored against the contracts' own word at block `number`; how many accounts were compared."""
    async with database.read() as session:
        block = await load_block(session, deployment.chain_id, number)
        assert block is not None
        assert block.ref.number == number
        records = await load_records(session, deployment.id, block)
        markets = await load_markets(session, deployment.id, block)
        accounts = {account.key.wallet: account for account in await load_accounts(session, deployment.id, block)}
    priced = (
        adapter_for(deployment.protocol)
        .restore_state(deployment, markets, records)
        .at(block.ref.timestamp, block.ref.number)
    )
    truths = world.account_data(deployment.id, world.wallets, number)
    for wallet, truth in zip(world.wallets, truths, strict=True):
        account = accounts.get(wallet)
        if account is None:
            assert truth is not None
            assert truth[:2] == (0, 0), f"{wallet} of {deployment.id} was never found"
        else:
            assert isinstance(account, AccountSnapshot)
            assert priced.truth(account) == truth, f"{wallet} of {deployment.id} at block {number}"
    return len(accounts)


async def test_every_wallet_at_every_block_equals_the_contracts(
    make_world: WorldFactory, database: Database, tmp_path: Path
) -> None:
    world = make_world(seed=21, wallets=60)
    async with follower(world, database, tmp_path) as one:
        await one.follow_to(world.block_number)
        world.mine()
        await one.follow_to(world.block_number)
        compared = 0
        for _ in range(BLOCKS):
            world.step()
            await one.follow_to(world.block_number)
            for deployment in deployments_of(world, tmp_path):
                compared += await compare_every_wallet(world, database, deployment, world.block_number)
    assert compared >= BLOCKS * 60


@pytest.mark.parametrize("depth", [1, 3, 20])
async def test_after_a_fork_the_tables_are_those_of_a_straight_run(
    make_world: WorldFactory, make_database: MakeDatabase, tmp_path: Path, depth: int
) -> None:
    world = make_world(seed=30 + depth, wallets=30)
    forked, straight = make_database(), make_database()
    first = world.block_number
    async with follower(world, forked.database, tmp_path) as one:
        await one.follow_to(first)
        for _ in range(25):
            world.step()
            await one.follow_to(world.block_number)
        world.reorg(depth)
        for _ in range(5):
            world.step()
            await one.follow_to(world.block_number)

    await run_straight(world, straight, tmp_path, first)
    assert_same_tables(dump_tables(forked.url), dump_tables(straight.url))


async def test_killed_in_the_middle_of_blocks_it_ends_with_the_tables_of_a_straight_run(
    make_world: WorldFactory, make_database: MakeDatabase, tmp_path: Path
) -> None:
    world = make_world(seed=40, wallets=30)
    killed, straight = make_database(), make_database()
    first = world.block_number
    async with follower(world, killed.database, tmp_path) as one:
        await one.follow_to(first)
    world.run(40)
    with killed.connect() as connection:
        for distance in (6, 13, 21, 30):
            await run_process_until(world, killed, tmp_path, connection, first + distance)
        await run_process_until(world, killed, tmp_path, connection, world.block_number)

    await run_straight(world, straight, tmp_path, first)
    assert_same_tables(dump_tables(killed.url), dump_tables(straight.url))


async def run_process_until(
    world: World, place: Place, folder: Path, connection: psycopg.Connection[tuple[int]], number: int
) -> None:
    """Run an indexer process and kill it the moment block `number` is seen stored: it is at work on the next then."""
    arguments = (world.rpc_url, place.url, str(folder / f"deployments-{world.chain_id}.json"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.indexer_process", *arguments
    )
    try:
        while True:
            row = connection.execute("SELECT max(number) FROM blocks").fetchone()
            if row is not None and row[0] >= number:
                return
            assert process.returncode is None, "the indexer process ended by itself"
            await asyncio.sleep(0.002)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
