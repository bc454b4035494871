"""What is sent, verified by the Standard Webhooks project's own JavaScript library in a receiver of its own."""

from __future__ import annotations

import asyncio
import json
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from app.alerts.destination import Policy
from app.alerts.dispatch import Dispatcher
from app.alerts.forms import make_channel, rotated
from app.alerts.http import HttpClient
from app.alerts.kinds import SenderContext
from app.alerts.outcome import Outcome, Outgoing
from app.alerts.vault import Vault, new_key
from app.alerts.webhook import SigningKey, WebhookSender, new_secret
from app.store.postgres.engine import Database
from app.store.watch.channels import change_channel, load_channel, store_channel
from app.store.watch.outbox import load_deliveries, store_messages
from devnet.cache import DevnetUnavailable
from devnet.webhooks import receiver_command
from tests.store.watch_rows import NOW, message

LOCAL = Policy(["127.0.0.1"])
BODY: dict[str, Any] = {
    "type": "episode.opened",
    "timestamp": "2026-11-22T10:00:00Z",
    "data": {
        "text": 'Größe 10^30 < "∞" \u2028 🜁',
        "value": "1.000000000000000001",
        "inputs": {"a": None, "b": [1, -2]},
    },
}


@dataclass
class Verifier:
    """The receiver's process."""

    url: str
    process: asyncio.subprocess.Process

    async def seen(self) -> dict[str, Any]:
        """What it made of the next request."""
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), 120)
        found: dict[str, Any] = json.loads(line)
        return found


@asynccontextmanager
async def verifying(*secrets: str) -> AsyncIterator[Verifier]:
    try:
        command, environ = receiver_command(Path(__file__).parent / "receiver.js")
    except DevnetUnavailable as reason:
        pytest.skip(str(reason))
    process = await asyncio.create_subprocess_exec(*command, *secrets, env=environ, stdin=PIPE, stdout=PIPE)
    try:
        assert process.stdout is not None
        port = int(await asyncio.wait_for(process.stdout.readline(), 120))
        yield Verifier(f"http://127.0.0.1:{port}/hook", process)
    finally:
        await process.communicate(b"")  # it ends with its standard input


async def send(url: str, *keys: SigningKey, at: int | None = None, id: str = "msg_1") -> Outcome:
    async with HttpClient(LOCAL) as client:
        return await WebhookSender(client, url, keys).send(Outgoing(id, BODY, at or int(time.time())))


async def test_what_is_signed_verifies_and_arrives_as_it_was() -> None:
    secret = new_secret()
    async with verifying(secret) as receiver:
        assert await send(receiver.url, SigningKey(secret)) == Outcome(204)
        assert await receiver.seen() == {"id": "msg_1", "verified": [True], "payload": BODY}


async def test_while_a_key_is_replaced_both_verify_and_after_that_only_the_new_one() -> None:
    old, new, now = new_secret(), new_secret(), int(time.time())
    keys = (SigningKey(new), SigningKey(old, until=now + 60))
    async with verifying(old, new) as receiver:
        assert (await send(receiver.url, *keys)).is_taken
        assert (await receiver.seen())["verified"] == [True, True]
        ended = (keys[0], replace(keys[1], until=now))
        assert (await send(receiver.url, *ended)).is_taken
        assert (await receiver.seen())["verified"] == [False, True]


async def test_another_key_or_an_old_timestamp_does_not_verify() -> None:
    secret = new_secret()
    async with verifying(secret) as receiver:
        assert (await send(receiver.url, SigningKey(new_secret()))).status == 401
        assert (await send(receiver.url, SigningKey(secret), at=int(time.time()) - 400)).status == 401
        for _ in range(2):
            assert (await receiver.seen())["verified"] == [False]


@pytest.mark.database
async def test_from_the_outbox_to_the_receiver_under_a_rotated_secret_and_a_stable_id(database: Database) -> None:
    vault = Vault([new_key()])
    clock = time.time()
    async with verifying("whsec_" + "A" * 32) as refusing:
        made = make_channel("ops", "webhook", {"url": refusing.url}, vault=vault, policy=LOCAL, environment={})
        async with database.write() as session:
            id = await store_channel(session, made.new, NOW)
            new = replace(message(id), body=BODY)
            await store_messages(session, [new], NOW)
        async with HttpClient(LOCAL) as client:
            sender = Dispatcher(database, SenderContext(client, vault), clock=lambda: clock)
            assert await sender.deliver_due(int(clock)) == 0
            assert (await refusing.seen())["id"] == new.id
    assert made.shown_once is not None
    async with database.read() as session:
        channel = await load_channel(session, id)
    assert channel is not None
    sealed, second = rotated(channel, vault, int(clock))
    async with verifying(made.shown_once, second) as receiver:
        moved = vault.seal({**vault.open(sealed), "url": receiver.url})
        async with database.write() as session:
            await change_channel(session, id, channel.settings, moved)
        clock += 60
        async with HttpClient(LOCAL) as client:
            sender = Dispatcher(database, SenderContext(client, vault), clock=lambda: clock)
            assert await sender.deliver_due(int(clock)) == 1
        seen = await receiver.seen()
    assert seen == {"id": new.id, "verified": [True, True], "payload": BODY}
    async with database.read() as session:
        (delivery,) = await load_deliveries(session, limit=2)
    assert (delivery.state, delivery.attempts) == ("delivered", 2)
