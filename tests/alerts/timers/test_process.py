"""`waterline deliver` as a process of its own: it tells of blindness, keeps the heartbeat, and never shows its URL."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from app.alerts.vault import new_key
from app.domain.chain import ChainId
from app.domain.watch import Member
from app.store.postgres.engine import Database
from app.store.watch.channels import NewRoute, store_route
from app.store.watch.members import add_members
from app.store.watch.watchlists import create_list
from tests.alerts.receivers import receiving
from tests.alerts.test_commands import Commands
from tests.alerts.timers.world import WALLET

pytestmark = pytest.mark.database

NOBODYS: ChainId = 31337


async def test_deliver_tells_of_a_chain_that_nobody_follows_and_withholds_the_heartbeat(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    async with receiving() as hook, receiving() as watchdog:
        waterline = Commands(
            tmp_path,
            DATABASE_URL=database_url,
            SECRETS_KEY=new_key(),
            ALERT_ALLOWED_HOSTS=f"127.0.0.1:{hook.port}",
            BLIND_WARNING_SECONDS="1",
            HEARTBEAT_URL=f"{watchdog.url}/SECRETMARKER",
        )
        status, said = await waterline("channel", "add", "ops", "--kind", "webhook", "--set", f"url={hook.url}")
        assert status == 0, said
        now = int(time.time())
        async with database.write() as session:
            list_id = await create_list(session, "treasury", "", now - 3_600)
            await add_members(session, list_id, [Member(WALLET, NOBODYS)], now)
            await store_route(session, NewRoute(list_id, 1))
        async with waterline.running("deliver"), asyncio.timeout(120):
            while not hook.got:
                await asyncio.sleep(0.05)
        body = json.loads(hook.got[0].body)
        assert (body["type"], body["data"]["episode"]["metric"]) == ("episode.opened", "blind")
        assert body["data"]["subject"] == {
            "kind": "chain",
            "deployment_id": None,
            "chain_id": NOBODYS,
            "address": None,
            "unit": None,
            "label": "",
        }
        assert "nothing of this chain is indexed yet (critical)" in body["data"]["text"]
        assert len(hook.got) == 1
        assert watchdog.got == []
        assert "SECRETMARKER" not in waterline.printed
        assert "heartbeat withheld" in waterline.printed
