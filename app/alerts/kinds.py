"""What each kind of channel is made of: what of it may be shown, what is secret, and the sender that comes of both.

A secret is either sealed in the channel's row, or in an environment variable CHANNEL_SECRET_<NAME> that the row names.
URLs of webhooks are secrets: who has one may write, or learn where others are told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from app.alerts.chat import TELEGRAM_API, SlackSender, TelegramSender
from app.alerts.http import HttpClient
from app.alerts.outcome import Sender
from app.alerts.smtp import MailAccount, MailTls, SmtpSender
from app.alerts.stdout import StdoutSender
from app.alerts.vault import Vault
from app.alerts.webhook import PREFIX, SigningKey, WebhookSender
from app.errors import Refused
from app.store.watch.channels import Channel

KINDS = ("webhook", "telegram", "slack", "smtp", "stdout")
FROM_ENV = "secret_from_env"
"""The setting that names the environment variable with the secret."""

Secret: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SenderContext:
    """What senders are made with."""

    client: HttpClient
    vault: Vault
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Secrets by the names of their variables."""
    public_url: str | None = None
    """Where this installation's pages are, for links; None: there are no links."""


def sender_of(channel: Channel, context: SenderContext) -> Sender:
    """The sender of a stored channel.

    Raises:
        Refused: its secret is missing or cannot be opened, or its settings are not of this version.
    """
    made = _SENDERS.get(channel.kind)
    if made is None:
        raise Refused(f"there is no kind of channel {channel.kind!r}")
    try:
        return made(channel.settings, secret_of(channel, context), context)
    except (KeyError, TypeError, ValueError):
        raise Refused("the channel's settings or its secret lack something: set it up again") from None


def secret_of(channel: Channel, context: SenderContext) -> Secret:
    """A channel's secret, opened.

    Raises:
        Refused: it is missing or cannot be opened.
    """
    name = channel.settings.get(FROM_ENV)
    if name is not None:
        given = context.environment.get(str(name))
        if given is None:
            raise Refused(f"{name} is not set in the environment of whoever sends")
        return secret_from_text(channel.kind, given)
    return {} if channel.sealed is None else context.vault.open(channel.sealed)


def secret_from_text(kind: str, text: str) -> Secret:
    """What an environment variable holds: of a webhook its URL and its signing secrets with spaces between them, of the
    others the one secret they have."""
    if kind == "webhook":
        words = text.split()
        keys = [{"secret": word, "until": None} for word in words if word.startswith(PREFIX)]
        return {"url": next((word for word in words if not word.startswith(PREFIX)), ""), "keys": keys}
    return {SECRET_NAMES[kind]: text.strip()}


SECRET_NAMES = {"webhook": "url", "slack": "url", "telegram": "token", "smtp": "password"}
"""What the one secret of each kind is called."""


def signing_keys(secret: Secret) -> list[SigningKey]:
    """The signing keys in a webhook's secret, the newest first."""
    keys = secret["keys"]
    if not isinstance(keys, Sequence) or not keys:
        raise ValueError("no signing key")
    return [SigningKey(str(key["secret"]), key["until"]) for key in keys]


def _webhook(settings: Mapping[str, object], secret: Secret, context: SenderContext) -> Sender:
    return WebhookSender(context.client, str(secret["url"]), signing_keys(secret))


def _slack(settings: Mapping[str, object], secret: Secret, context: SenderContext) -> Sender:
    return SlackSender(context.client, str(secret["url"]), public_url=context.public_url)


def _telegram(settings: Mapping[str, object], secret: Secret, context: SenderContext) -> Sender:
    api_url = str(settings.get("api_url") or TELEGRAM_API)
    token, chat_id = str(secret["token"]), str(settings["chat_id"])
    return TelegramSender(context.client, token, chat_id, public_url=context.public_url, api_url=api_url)


def _smtp(settings: Mapping[str, object], secret: Secret, context: SenderContext) -> Sender:
    recipients, username, password = settings["recipients"], settings.get("username"), secret.get("password")
    if not isinstance(recipients, Sequence):
        raise TypeError("recipients")
    account = MailAccount(
        host=str(settings["host"]),
        port=int(str(settings["port"])),
        tls=MailTls(str(settings["tls"])),
        sender=str(settings["sender"]),
        recipients=tuple(map(str, recipients)),
        username=None if username is None else str(username),
        password=None if password is None else str(password),
    )
    return SmtpSender(context.client, account, public_url=context.public_url)


def _stdout(settings: Mapping[str, object], secret: Secret, context: SenderContext) -> Sender:
    return StdoutSender(is_text=settings.get("format") == "text", public_url=context.public_url)


_SENDERS: Mapping[str, Callable[[Mapping[str, object], Secret, SenderContext], Sender]] = {
    "webhook": _webhook,
    "slack": _slack,
    "telegram": _telegram,
    "smtp": _smtp,
    "stdout": _stdout,
}
