"""`waterline channel` and `waterline deliver` as processes of their own, against receivers on loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from app.alerts.vault import KEY_FILE, Vault, keep_key, new_key
from app.store.postgres.engine import Database
from app.store.watch.change_log import load_changes
from app.store.watch.channels import load_channels
from app.store.watch.outbox import load_deliveries, store_messages
from tests.alerts.receivers import receiving
from tests.store.watch_rows import NOW, message

pytestmark = pytest.mark.database

MARKER = "SECRETMARKER"


class Commands:
    """Runs `waterline` in an empty folder with only these settings, and keeps all that it printed."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder = folder
        kept = ("PATH", "HOME", "LANG", "TMPDIR")
        own = {name: value for name, value in os.environ.items() if name in kept}
        self.environ = {**own, "PYTHONPATH": str(Path(__file__).parents[2]), **settings}
        self.printed = ""

    async def __call__(self, *arguments: str, given: str = "") -> tuple[int, str]:
        """(exit status, what was printed)."""
        process = await self._start(*arguments)
        out, error = await asyncio.wait_for(process.communicate(given.encode()), 120)
        self.printed += out.decode() + error.decode()
        return process.returncode or 0, out.decode() + error.decode()

    @asynccontextmanager
    async def running(self, *arguments: str) -> AsyncIterator[None]:
        """A command that runs while the block lasts."""
        process = await self._start(*arguments)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            out, error = await asyncio.wait_for(process.communicate(), 60)
            self.printed += out.decode() + error.decode()
        assert process.returncode == 0, error.decode()

    async def _start(self, *arguments: str) -> asyncio.subprocess.Process:
        command = (sys.executable, "-m", "app", *arguments)
        return await asyncio.create_subprocess_exec(
            *command, cwd=self._folder, env=self.environ, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )


async def test_a_channel_is_set_up_tried_used_and_removed(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    settings = {"DATABASE_URL": database_url, "SECRETS_KEY": new_key(), "ALERT_ALLOWED_HOSTS": "127.0.0.1"}
    waterline = Commands(tmp_path, LOG_LEVEL="debug", **settings)
    async with receiving() as receiver:
        url = f"{receiver.url}/{MARKER}"
        status, said = await waterline("channel", "add", "ops", "--kind", "webhook", "--set", "url=-", given=url)
        assert status == 0, said
        secret = said.split("shown this once: ")[1].split()[0]
        status, said = await waterline("channel", "test", "ops")
        assert (status, "ops: taken in" in said) == (0, True), said
        (tried,) = receiver.got
        assert Webhook(secret).verify(tried.body, tried.headers)["type"] == "test"

        async with database.write() as session:
            (channel,) = await load_channels(session)
            new = message(channel.id)
            await store_messages(session, [new], NOW)
        async with waterline.running("deliver"), asyncio.timeout(120):
            while len(receiver.got) < 2:
                await asyncio.sleep(0.02)
        assert receiver.got[1].headers["webhook-id"] == new.id

        receiver.status = 410
        status, said = await waterline("channel", "test", "ops")
        assert (status, "the receiver answered 410" in said) == (1, True), said
        status, said = await waterline("channel", "test", "ops")
        assert (status, "ops is disabled: the receiver answered 410" in said) == (2, True), said
        receiver.status = 200
        await waterline("channel", "enable", "ops")
        status, said = await waterline("channel", "rotate", "ops", "--keep-hours", "1")
        rotated = said.split("shown this once: ")[1].split()[0]
        assert (await waterline("channel", "test", "ops"))[0] == 0
        for one in (secret, rotated):
            assert Webhook(one).verify(receiver.got[-1].body, receiver.got[-1].headers)
    _, listed = await waterline("channel", "list")
    assert "webhook" in listed
    assert "enabled" in listed
    assert (await waterline("channel", "remove", "ops"))[0] == 0
    assert "no channel 'ops'" in (await waterline("channel", "test", "ops"))[1]
    async with database.read() as session:
        assert [one.action for one in await load_changes(session, 9)][::-1] == [
            "channel.create",
            "channel.enable",
            "channel.rotate",
            "channel.delete",
        ]
    assert MARKER not in waterline.printed
    assert waterline.printed.count(secret) == 1


async def test_secrets_are_encrypted_anew_and_the_old_key_is_not_needed_any_more(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    old, new = new_key(), new_key()
    waterline = Commands(tmp_path, DATABASE_URL=database_url, SECRETS_KEY=old)
    url = f"https://hooks.example/{MARKER}"
    assert (await waterline("channel", "add", "chat", "--kind", "slack", "--set", f"url={url}"))[0] == 0
    waterline.environ["SECRETS_KEY"] = f"{new},{old}"
    assert "1 secrets" in (await waterline("channel", "rekey"))[1]
    async with database.read() as session:
        (channel,) = await load_channels(session)
    assert channel.sealed is not None
    assert Vault([new]).open(channel.sealed) == {"url": url}
    assert MARKER not in waterline.printed


async def test_without_a_key_there_is_the_key_file_or_a_refusal(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    waterline = Commands(tmp_path, DATABASE_URL=database_url, DATA_DIR="kept")
    add = ("channel", "add", "chat", "--kind", "slack", "--set", f"url=https://hooks.example/{MARKER}")
    status, said = await waterline(*add)
    assert (status, "SECRETS_KEY is not set" in said) == (2, True), said
    key = keep_key(tmp_path / "kept")
    assert (tmp_path / "kept" / KEY_FILE).exists()
    assert (await waterline(*add))[0] == 0
    async with database.read() as session:
        (channel,) = await load_channels(session)
        assert await load_deliveries(session, limit=1) == []
    assert channel.sealed is not None
    assert MARKER in str(Vault([key]).open(channel.sealed))
    assert MARKER not in waterline.printed
