"""The indexer's process killed again and again, at any moment, while its chain goes on.

`KILLS=100` makes the long run; what it prints (`-s`) is how long after each kill everything was stored again.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import time
from asyncio.subprocess import Process
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.devnet import WorldFactory
from tests.indexer.conftest import MakeDatabase, make_database
from tests.indexer.tables import assert_same_tables, dump_tables
from tests.integration.following import deployments_of
from tests.integration.processes import Living, assert_unbroken, newest_stored, start_part
from tests.integration.test_indexer_devnet import follower, run_straight

pytestmark = [pytest.mark.database, pytest.mark.devnet, pytest.mark.timeout(7_200)]

__all__ = ["make_database"]

KILLS = int(os.environ.get("KILLS", "4"))
BLOCK_SECONDS = 0.4
LONGEST_LIFE_SECONDS = 3.0
FURTHEST_AHEAD = 40
"""Blocks the chain may be ahead of what is stored: beyond its finality an indexer goes on at the newest block."""
CHAIN = 31337


async def test_killed_at_random_moments_no_block_is_lost_or_doubled(
    make_world: WorldFactory, make_database: MakeDatabase, tmp_path: Path
) -> None:
    world = make_world(seed=61, wallets=30, keep_states=20 * KILLS + 200)
    killed, straight = make_database(), make_database()
    first = world.block_number
    async with follower(world, killed.database, tmp_path) as one:
        await one.follow_to(first)  # at which block old logs are read would be chance
    drawn = random.Random(61)
    settings = {
        f"RPC_URL_{CHAIN}": world.rpc_url,
        f"WS_URL_{CHAIN}": world.ws_url,
        "DATABASE_URL": killed.url,
        "DEPLOYMENTS_FILE": str(tmp_path / f"deployments-{CHAIN}.json"),
        "AUDIT_ACCOUNTS": "0",
    }
    assert deployments_of(world, tmp_path)
    recoveries: list[float] = []
    with killed.connect() as connection:
        # A machine may be so busy that a process starts for longer than the chain lets it be away.
        living = Living(
            world, BLOCK_SECONDS, lambda: world.block_number - newest_stored(connection, CHAIN) < FURTHEST_AHEAD
        )
        async with living.going_on():
            for kill in range(KILLS):
                process = await start_part("index", "--chain", str(CHAIN), folder=tmp_path, settings=settings)
                try:
                    if kill % 2 == 0:  # every other one dies at any moment: as it starts, catches up, follows
                        await asyncio.sleep(drawn.uniform(0, LONGEST_LIFE_SECONDS))
                    else:
                        recoveries.append(await recovered(process, connection, living.newest))
                        await asyncio.sleep(drawn.uniform(0, 2 * BLOCK_SECONDS))
                    assert process.returncode is None, (tmp_path / "said.log").read_text()[-2000:]
                finally:
                    process.kill()
                    await process.wait()
                assert_unbroken(connection, CHAIN)
        process = await start_part("index", "--chain", str(CHAIN), folder=tmp_path, settings=settings)
        await recovered(process, connection, world.block_number)
        process.kill()
        await process.wait()
        assert_unbroken(connection, CHAIN)
    await run_straight(world, straight, tmp_path, first)
    assert_same_tables(dump_tables(killed.url), dump_tables(straight.url))
    told = f"{KILLS} kills over {world.block_number - first} blocks: everything was stored again"
    print(f"\n{told} {statistics.median(recoveries):.2f} s after a start (median), {max(recoveries):.2f} s (worst)")


async def recovered(process: Process, connection: psycopg.Connection[tuple[int]], number: int) -> float:
    """Wait until a new process has stored the newest block there was when it was started."""
    started = time.perf_counter()
    async with asyncio.timeout(120):
        while newest_stored(connection, CHAIN) < number:
            assert process.returncode is None, "the indexer's process ended by itself"
            await asyncio.sleep(0.005)
    return time.perf_counter() - started
