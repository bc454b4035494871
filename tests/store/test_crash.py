"""Killed at any moment, a writer leaves whole blocks or nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.store.accounts import load_accounts
from app.store.blocks import load_recent
from app.store.markets import load_records
from app.store.postgres.engine import Database
from tests.store.actions import drop_above, head_of
from tests.store.builders import CHAIN, SLUG

pytestmark = pytest.mark.database

_WRITER = """
import asyncio, sys
from app.store.postgres.engine import Database
from tests.store.actions import begin, commit
from tests.store.builders import batch, position, record, snapshot

async def main():
    database = Database(sys.argv[1])
    await begin(database, "eth")
    print("ready", flush=True)
    for number in range(2, 10_000):
        states = tuple(snapshot(wallet, number, position("eth", number)) for wallet in range(40))
        await commit(database, batch(number, accounts=states, records=(record("price", "eth", number),)))

asyncio.run(main())
"""


async def test_a_killed_writer_leaves_whole_blocks(database: Database, database_url: str) -> None:
    root = Path(__file__).parents[2]
    for seed in range(3):
        await _empty(database)
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, database_url], cwd=root, stdout=subprocess.PIPE, env={**os.environ}
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(0.05 + random.Random(seed).random() / 10)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        head = await head_of(database)
        async with database.read() as session:
            for block in await load_recent(session, CHAIN, 10_000):
                number = block.ref.number
                states = await load_accounts(session, SLUG, block)
                assert {(s.block_number, s.positions[0].supplied_raw) for s in states} == (  # type: ignore[union-attr]
                    {(number, number)} if number > 1 else set()
                )
                assert len(states) == (40 if number > 1 else 0)
                assert [r.values for r in await load_records(session, SLUG, block)] == (
                    [(number,)] if number > 1 else []
                )
        assert head.ref.number >= 1


async def _empty(database: Database) -> None:
    await drop_above(database, -1)
