"""The commands that send alerts and set up where they go: the composition root of `app.alerts`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from prometheus_client import start_http_server
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.alerts.destination import Policy
from app.alerts.dispatch import Dispatcher
from app.alerts.forms import make_channel, rotated
from app.alerts.http import HttpClient
from app.alerts.kinds import FROM_ENV, SenderContext
from app.alerts.metrics import AlertMetrics
from app.alerts.timers import TimerOptions, Timers, together
from app.alerts.trial import trial_message
from app.commands.terminal import database_named, until_signal
from app.errors import Refused
from app.processes.secrets import environment_of, vault_of
from app.settings import Settings
from app.store.postgres.engine import Database
from app.store.postgres.schema import verify_schema
from app.store.postgres.session import ReadSession
from app.store.watch.change_log import CLI, Changing, changing
from app.store.watch.channels import (
    Channel,
    change_channel,
    delete_channel,
    disable_channel,
    enable_channel,
    hold_channel,
    load_channel_named,
    load_channels,
    store_channel,
)
from app.store.watch.outbox import load_attempts, load_delivery, store_messages

DAY_SECONDS = 86_400
_TRIAL_SECONDS = 30
_LOOK_SECONDS = 0.2


async def deliver(settings: Settings) -> None:
    """Send what is in the outbox, and do what is due by the clock, until SIGINT or SIGTERM."""
    if settings.deliver_metrics_port is not None:
        start_http_server(settings.deliver_metrics_port, settings.host)
    async with (
        opened(settings, "waterline deliver") as database,
        sender_context(settings) as context,
        Timers(database, timer_options(settings)) as timers,
    ):
        dispatcher = Dispatcher(database, context, metrics=AlertMetrics())
        await until_signal(together(dispatcher.run(), timers.run()))


def timer_options(settings: Settings) -> TimerOptions:
    """What is done by the clock: every chain of these settings has to be current, where they name any."""
    return TimerOptions(
        chain_ids=frozenset(settings.chains),
        blind_warning_seconds=settings.blind_warning_seconds,
        blind_critical_seconds=settings.blind_critical_seconds,
        heartbeat_urls=tuple(url.reveal() for url in settings.heartbeat_url),
        heartbeat_seconds=settings.heartbeat_seconds,
        told_seconds=settings.alert_retention_days * DAY_SECONDS,
        changed_seconds=settings.change_log_days * DAY_SECONDS,
    )


@asynccontextmanager
async def sender_context(settings: Settings) -> AsyncIterator[SenderContext]:
    """What senders are made with, for as long as the block lasts."""
    async with HttpClient(Policy(settings.alert_allowed_hosts)) as client:
        yield SenderContext(client, vault_of(settings), environment_of(settings), settings.public_url)


@asynccontextmanager
async def opened(settings: Settings, role: str) -> AsyncIterator[Database]:
    """The database, if its tables are of this version."""
    database = Database(settings.require_database_url().reveal(), role=role, writers=4)
    try:
        with database_named():
            async with database.read() as session:
                await verify_schema(session)
        yield database
    finally:
        await database.dispose()


async def list_channels(settings: Settings, console: Console) -> None:
    """Every channel, and what may be shown of it."""
    async with opened(settings, "waterline channel") as database, database.read() as session:
        found = await load_channels(session)
    table = Table(header_style="bold")
    for column in ("name", "kind", "where", "secret", "state"):
        table.add_column(column, overflow="fold")
    for one in found:
        where = ", ".join(f"{key} {value}" for key, value in one.settings.items() if key != FROM_ENV)
        secret = str(one.settings.get(FROM_ENV) or ("kept" if one.sealed is not None else "none"))
        state = "enabled" if one.is_enabled else f"disabled: {one.disabled_reason}"
        table.add_row(*map(escape, (one.name, one.kind, where or "-", secret, state)))
    console.print(table)


async def add_channel(
    settings: Settings, name: str, kind: str, given: Mapping[str, object], console: Console, now: int
) -> None:
    """Set a channel up."""
    made = make_channel(
        name,
        kind,
        given,
        vault=vault_of(settings),
        policy=Policy(settings.alert_allowed_hosts),
        environment=environment_of(settings),
    )
    async with _changing(settings, "channel.create", now) as change:
        id = await store_channel(change.session, made.new, now)
        change.note(f"channel:{id}", name=name, kind=kind)
    console.print(f"{name} is set up. Try it: waterline channel test {name}", highlight=False)
    if made.shown_once is not None:
        console.print(f"Signing secret for the receiver, shown this once: {made.shown_once}", highlight=False)


async def try_channel(settings: Settings, name: str, console: Console) -> int:
    """Send a message that says it is a test, now; 1 when it was not taken."""
    async with opened(settings, "waterline channel") as database, sender_context(settings) as context:
        now = int(time.time())
        async with database.write() as session:
            channel = await _named(session, name)
            if not channel.is_enabled:
                raise Refused(f"{name} is disabled: {channel.disabled_reason}; `waterline channel enable {name}`")
            message = trial_message(channel, now)
            await store_messages(session, [message], now)
        # Another dispatcher may have taken it already: then that one's outcome is waited for.
        await Dispatcher(database, context).deliver_one(message.id)
        async with asyncio.timeout(_TRIAL_SECONDS):
            while True:
                async with database.read() as session:
                    attempts = await load_attempts(session, [message.id])
                    delivery = await load_delivery(session, message.id)
                if delivery is None or attempts or delivery.state != "pending":
                    break
                await asyncio.sleep(_LOOK_SECONDS)
    if delivery is not None and delivery.state == "delivered":
        console.print(f"{name}: taken in {attempts[-1].took_ms} ms", highlight=False)
        return 0
    reason = "the channel is gone" if delivery is None else delivery.last_error
    console.print(f"{name}: not taken: {reason}", highlight=False, markup=False)
    return 1


async def remove_channel(settings: Settings, name: str, now: int) -> None:
    """Forget a channel with everything that was sent there."""
    await _change(settings, name, "channel.delete", now, lambda change, one: delete_channel(change.session, one.id))


async def switch_channel(settings: Settings, name: str, now: int, *, reason: str | None) -> None:
    """Enable a channel, or disable it for a reason."""
    if reason is None:
        await _change(settings, name, "channel.enable", now, lambda change, one: enable_channel(change.session, one.id))
    else:
        why = reason
        await _change(
            settings, name, "channel.disable", now, lambda change, one: disable_channel(change.session, one.id, why)
        )


async def rotate_channel(settings: Settings, name: str, kept_hours: int, console: Console, now: int) -> None:
    """Give a webhook another signing secret; the old one signs too for a while."""
    vault, shown = vault_of(settings), ""

    async def rotate(change: Changing, channel: Channel) -> None:
        nonlocal shown
        sealed, shown = rotated(channel, vault, now, kept_seconds=kept_hours * 3600)
        await change_channel(change.session, channel.id, channel.settings, sealed)

    await _change(settings, name, "channel.rotate", now, rotate)
    console.print(f"New signing secret for the receiver, shown this once: {shown}", highlight=False)
    console.print(f"Until {kept_hours} hours from now both sign.", highlight=False)


async def rekey_channels(settings: Settings, console: Console, now: int) -> None:
    """Encrypt every secret with the first key of SECRETS_KEY."""
    vault = vault_of(settings)
    async with _changing(settings, "channel.rekey", now) as change:
        sealed = [one for one in await load_channels(change.session) if one.sealed is not None]
        for one in sealed:
            held = await hold_channel(change.session, one.id)
            if held is not None and held.sealed is not None:
                await change_channel(change.session, held.id, held.settings, vault.reseal(held.sealed))
        change.note("channels", count=len(sealed))
    console.print(f"{len(sealed)} secrets are encrypted with the first key of SECRETS_KEY now.", highlight=False)


@asynccontextmanager
async def _changing(settings: Settings, action: str, now: int) -> AsyncIterator[Changing]:
    async with opened(settings, "waterline channel") as database, changing(database, CLI, action, now) as change:
        yield change


async def _change(
    settings: Settings, name: str, action: str, now: int, work: Callable[[Changing, Channel], Awaitable[object]]
) -> None:
    """Do something to one channel, and log it."""
    async with _changing(settings, action, now) as change:
        channel = await _named(change.session, name)
        await hold_channel(change.session, channel.id)
        await work(change, channel)
        change.note(f"channel:{channel.id}", name=name)


async def _named(session: ReadSession, name: str) -> Channel:
    channel = await load_channel_named(session, name)
    if channel is None:
        there = ", ".join(one.name for one in await load_channels(session)) or "none yet"
        raise Refused(f"there is no channel {name!r}; there are: {there}")
    return channel
