"""`waterline channel …`: where alerts are sent, set up and tried by hand."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from app.commands.terminal import console, run
from app.errors import Refused
from app.settings import Settings

channel_commands = typer.Typer(help="Where alerts are sent: webhooks, Telegram, Slack, mail, standard output.")

_Name = Annotated[str, typer.Argument(help="Name of the channel.")]


@channel_commands.command("list")
def list_() -> None:
    """Every channel. Secrets are not shown."""

    async def command(settings: Settings) -> None:
        from app.commands import delivery

        await delivery.list_channels(settings, console)

    run(command)


@channel_commands.command()
def add(
    name: _Name,
    kind: Annotated[str, typer.Option(help="webhook, telegram, slack, smtp or stdout.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting; - as the value asks for it without showing it."),
    ] = None,
    secret_from_env: Annotated[
        str | None, typer.Option(help="Name of a variable CHANNEL_SECRET_<NAME> that holds what is secret.")
    ] = None,
) -> None:
    """Set a channel up.

    webhook: url, perhaps secret (whsec_…; one is made and shown once). slack: url. telegram: chat_id, token, perhaps
    api_url. smtp: host, sender, recipients, perhaps port, tls (starttls, tls), username, password. stdout: perhaps
    format (json, text).
    """
    given: dict[str, object] = dict(map(_setting, set_ or []))
    if secret_from_env is not None:
        given["secret_from_env"] = secret_from_env

    async def command(settings: Settings) -> None:
        from app.commands import delivery

        await delivery.add_channel(settings, name, kind, given, console, int(time.time()))

    run(command)


@channel_commands.command()
def test(name: _Name) -> None:
    """Send a message that says it is a test, and say what came of it. Exit status 1: it was not taken."""

    async def command(settings: Settings) -> int:
        from app.commands import delivery

        return await delivery.try_channel(settings, name, console)

    run(command)


@channel_commands.command()
def remove(name: _Name) -> None:
    """Forget a channel, with its routes and everything that was sent there."""

    async def command(settings: Settings) -> None:
        from app.commands import delivery

        await delivery.remove_channel(settings, name, int(time.time()))

    run(command)


@channel_commands.command()
def enable(name: _Name) -> None:
    """Send to a channel again. What died meanwhile stays dead until it is replayed."""

    async def command(settings: Settings) -> None:
        from app.commands import delivery

        await delivery.switch_channel(settings, name, int(time.time()), reason=None)

    run(command)


@channel_commands.command()
def disable(
    name: _Name, reason: Annotated[str, typer.Option(help="Shown with the channel.")] = "disabled by command"
) -> None:
    """Send nothing to a channel any more; what waits is dead."""

    async def command(settings: Settings) -> None:
        from app.commands import delivery

        await delivery.switch_channel(settings, name, int(time.time()), reason=reason)

    run(command)


@channel_commands.command()
def rotate(
    name: _Name,
    keep_hours: Annotated[int, typer.Option(min=0, max=720, help="How long the old secret signs too.")] = 24,
) -> None:
    """Give a webhook a new signing secret."""

    async def command(settings: Settings) -> None:
        from app.commands import delivery

        await delivery.rotate_channel(settings, name, keep_hours, console, int(time.time()))

    run(command)


@channel_commands.command()
def rekey() -> None:
    """Encrypt every secret with the first key of SECRETS_KEY. After that the older keys are not needed any more."""

    async def command(settings: Settings) -> None:
        from app.commands import delivery

        await delivery.rekey_channels(settings, console, int(time.time()))

    run(command)


@channel_commands.command()
def key() -> None:
    """Make a key for SECRETS_KEY."""
    from app.alerts.vault import new_key

    typer.echo(new_key())


def _setting(text: str) -> tuple[str, str]:
    """NAME=VALUE; a value of - is asked for, or read from standard input where that is no terminal."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise Refused(f"--set {text.split('=')[0]!r}: must be NAME=VALUE")
    if value == "-":
        value = typer.prompt(name, hide_input=True) if sys.stdin.isatty() else sys.stdin.readline().strip()
    return name, value
