"""Two chains under one `waterline up`: whatever befalls the one, the other is neither delayed nor touched."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from devnet.world import World
from tests.fakes.proxy import Faults, FaultyProxy
from tests.fixtures.devnet import WorldFactory
from tests.indexer.conftest import MakeDatabase, Place, make_database
from tests.indexer.tables import assert_same_tables, dump_tables
from tests.integration.processes import Living, assert_unbroken, free_port, newest_stored, part
from tests.integration.test_indexer_devnet import follower, run_straight

pytestmark = [pytest.mark.database, pytest.mark.devnet, pytest.mark.timeout(600)]

__all__ = ["make_database"]

HERE, THERE = 31337, 31338
BLOCK_SECONDS = 0.25
CALM_BLOCKS = 5
OWN_TROUBLE = "is of a later block"
"""What Anvil does by itself, seen once in some hundred blocks: it answers a call about its newest block with the state
of the one it is just making. The indexer says so and reads again; the other chain has no part in it."""


class Watch:
    """Sees each block of the quiet chain as it is stored, and whether anything is said of that chain."""

    def __init__(self, connection: psycopg.Connection[Any], living: Living) -> None:
        self._connection = connection
        self._living = living
        self.ids: dict[int, int] = {}
        """Blocks by number, as first seen."""
        self.seconds: dict[int, float] = {}
        """From each block's making to its being seen stored."""
        self.is_over = False

    async def run(self) -> None:
        """Until cancelled, or until something is wrong: then nobody waits for more."""
        try:
            await self._look_again_and_again()
        finally:
            self.is_over = True

    async def _look_again_and_again(self) -> None:
        while True:
            newest = max(self.ids, default=-1)
            query = "SELECT number, id FROM blocks WHERE chain_id = %s AND number > %s"
            for number, id_ in self._connection.execute(query, (THERE, newest)):
                self.ids[number] = id_
                if (made := self._living.made_at.get(number)) is not None:
                    self.seconds[number] = time.perf_counter() - made
            for (trouble,) in self._connection.execute("SELECT trouble FROM chains WHERE chain_id = %s", (THERE,)):
                assert trouble is None or trouble.endswith(OWN_TROUBLE), trouble
            await asyncio.sleep(0.005)

    async def sees(self, blocks: int) -> list[float]:
        """Wait for so many more blocks; how long each took."""
        before = set(self.seconds)
        await until(lambda: len(self.seconds) >= len(before) + blocks or self.is_over)
        return [seconds for number, seconds in self.seconds.items() if number not in before]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not holds():
            await asyncio.sleep(0.01)


def indexer_of(parent: Process, chain_id: int) -> int:
    """Process id of the child that follows a chain."""
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    for child in children:
        arguments = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        if b"index" in arguments and str(chain_id).encode() in arguments:
            return int(child)
    raise AssertionError(f"nobody follows chain {chain_id}")


async def test_faults_and_forks_of_one_chain_leave_the_other_alone(
    make_world: WorldFactory, make_database: MakeDatabase, tmp_path: Path
) -> None:
    here = make_world(seed=64, wallets=20, keep_states=400)
    there = make_world(seed=64, wallets=20, keep_states=400, chain_id=THERE, network="second")
    firsts = {world.chain_id: world.block_number for world in (here, there)}
    place, straight = make_database(), make_database()
    for world in (here, there):
        async with follower(world, place.database, tmp_path) as one:
            await one.follow_to(world.block_number)  # at which block old logs are read would be chance
    deployments = tmp_path / "deployments.json"
    deployments.write_text(json.dumps([*here.deployments(), *there.deployments()]))
    living = Living(there, BLOCK_SECONDS)
    proxy = FaultyProxy(here.rpc_url, seed=64, faults=Faults())
    async with proxy.running():
        settings = {
            f"RPC_URL_{HERE}": proxy.url(),
            f"WS_URL_{HERE}": proxy.url("ws"),
            f"RPC_URL_{THERE}": there.rpc_url,
            f"WS_URL_{THERE}": there.ws_url,
            "DATABASE_URL": place.url,
            "DEPLOYMENTS_FILE": str(deployments),
            "AUDIT_ACCOUNTS": "0",
            "PORT": str(free_port()),
        }
        with place.connect() as connection:
            async with part("up", folder=tmp_path, settings=settings) as process, AsyncExitStack() as stack:
                # Nobody knows how long a start takes, and who is too far behind goes on at the newest block.
                await asyncio.to_thread(there.step)
                await until(lambda: newest_stored(connection, THERE) >= there.block_number)
                await stack.enter_async_context(living.going_on())
                watch = Watch(connection, living)
                watching = asyncio.create_task(watch.run())
                try:
                    await watch.sees(1)
                    await until(lambda: newest_stored(connection, THERE) >= living.newest)
                    calm = await watch.sees(CALM_BLOCKS)
                    fire = await set_fire(here, proxy, process, connection, watch)
                    await watch.sees(CALM_BLOCKS)
                finally:
                    if not watching.done():
                        watching.cancel()
                    with suppress(asyncio.CancelledError):
                        await watching
                assert process.returncode is None
            await require_untouched(place, watch)
    for world in (here, there):
        await run_straight(world, straight, tmp_path, firsts[world.chain_id])
        await follow_the_rest(world, place, tmp_path)
    assert_same_tables(dump_tables(place.url), dump_tables(straight.url))
    for when, seconds in (("before", calm), ("while the other chain burned", fire)):
        median, worst = statistics.median(seconds) * 1000, max(seconds) * 1000
        print(f"\n{when}: {median:.0f} ms to a stored block, {worst:.0f} worst")


async def set_fire(
    here: World, proxy: FaultyProxy, process: Process, connection: psycopg.Connection[Any], watch: Watch
) -> list[float]:
    """Errors, forks, silence, and a killed process on the one chain; how fast the other's blocks were stored."""

    async def steps(count: int) -> None:
        for _ in range(count):
            await asyncio.to_thread(here.step)
            await until(lambda: newest_stored(connection, HERE) >= here.block_number)

    seconds = []
    await steps(3)
    proxy.faults = Faults(error_rate=0.3, timeout_rate=0.02, hang_seconds=1)
    await steps(3)
    await asyncio.to_thread(here.reorg, 3)
    await steps(3)
    seconds += await watch.sees(CALM_BLOCKS)
    await proxy.die()
    stood = newest_stored(connection, HERE)
    await asyncio.to_thread(here.step)
    seconds += await watch.sees(CALM_BLOCKS)
    assert newest_stored(connection, HERE) == stood
    proxy.faults = Faults()
    os.kill(indexer_of(process, HERE), signal.SIGKILL)
    seconds += await watch.sees(CALM_BLOCKS)
    await steps(2)
    return seconds


async def require_untouched(place: Place, watch: Watch) -> None:
    """Every block of the quiet chain is the row it was when it was first seen."""
    with place.connect() as connection:
        rows = connection.execute("SELECT number, id FROM blocks WHERE chain_id = %s", (THERE,)).fetchall()
        for chain_id in (HERE, THERE):
            assert_unbroken(connection, chain_id)
    assert {number: id_ for number, id_ in rows if number in watch.ids} == watch.ids


async def follow_the_rest(world: World, place: Place, folder: Path) -> None:
    """Store what came after the end of all processes."""
    async with follower(world, place.database, folder) as one:
        await one.follow_to(world.block_number)
