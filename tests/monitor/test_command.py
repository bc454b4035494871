"""`waterline monitor` as a command: which chains it keeps the board of, and what it refuses."""

from __future__ import annotations

import asyncio
import os
import signal

import psycopg
import pytest

from app.errors import Refused
from app.processes.monitor import monitor
from app.settings import load_settings
from tests.fakes.site import DEVNET

pytestmark = pytest.mark.database


async def test_without_any_chain_it_says_what_to_do(database_url: str) -> None:
    with pytest.raises(Refused, match="waterline index"):
        await monitor(load_settings({"DATABASE_URL": database_url}), None)


async def test_it_leads_every_configured_chain_and_ends_at_a_signal(database_url: str) -> None:
    chains = {"RPC_URL_1": "http://127.0.0.1:1", f"RPC_URL_{DEVNET}": "http://127.0.0.1:1"}
    settings = load_settings({"DATABASE_URL": database_url, **chains})
    running = asyncio.create_task(monitor(settings, None))
    async with asyncio.timeout(120):
        while await asyncio.to_thread(_locks, database_url) < len(chains):
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        await running
    assert _locks(database_url) == 0


def _locks(url: str) -> int:
    with psycopg.connect(url) as connection:
        query = b"""SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                    WHERE l.locktype = 'advisory' AND d.datname = current_database()"""
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])
