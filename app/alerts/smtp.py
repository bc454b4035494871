"""Mail: plain text, under a Message-ID that is the same at each try, threaded by episode."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from enum import StrEnum

import aiosmtplib

from app.alerts import render
from app.alerts.destination import BadDestination
from app.alerts.http import SEND_SECONDS, HttpClient, resolve_all
from app.alerts.outcome import Body, Outcome, Outgoing


class MailTls(StrEnum):
    """How the connection to the mail server is kept from others."""

    STARTTLS = "starttls"
    """Begun in the clear and turned; nothing is sent where that fails."""
    TLS = "tls"
    """From the first byte."""
    NONE = "none"
    """Not at all: for hosts the operator lists only."""


@dataclass(frozen=True, slots=True)
class MailAccount:
    """A mail server, and from whom to whom."""

    host: str
    port: int
    tls: MailTls
    sender: str
    recipients: Sequence[str]
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class SmtpSender:
    """Hands mails to one server."""

    def __init__(self, client: HttpClient, account: MailAccount, *, public_url: str | None) -> None:
        """
        Args:
            client: whose rules on what may be reached hold here too.
        """
        self._client = client
        self._account = account
        self._public_url = public_url

    async def send(self, message: Outgoing) -> Outcome:
        """Hand the mail over once. It is taken when the server takes it for anybody: they must not get it again."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._hand_over(mail(message, self._account, self._public_url))
        except BadDestination as refusal:
            return Outcome(None, str(refusal))
        except aiosmtplib.SMTPAuthenticationError as refusal:
            return Outcome(refusal.code, f"the mail server answered {refusal.code}: user or password")
        except aiosmtplib.SMTPResponseException as refusal:
            return Outcome(refusal.code, f"the mail server answered {refusal.code}")
        except aiosmtplib.SMTPRecipientsRefused as refusal:
            code = refusal.recipients[0].code if refusal.recipients else None
            return Outcome(code, "the mail server refused every recipient")
        except TimeoutError:
            return Outcome(None, f"no answer within {SEND_SECONDS} s")
        except socket.gaierror:
            return Outcome(None, "the host's name cannot be resolved")
        except (aiosmtplib.SMTPException, OSError, ValueError):
            return Outcome(None, "the mail server cannot be talked to")
        return Outcome(250)

    async def _hand_over(self, built: EmailMessage) -> None:
        account = self._account
        connected = await self._connect()
        try:
            await aiosmtplib.send(
                built,
                hostname=account.host,
                sock=connected,
                local_hostname=_domain(account.sender),
                username=account.username,
                password=account.password,
                use_tls=account.tls is MailTls.TLS,
                start_tls=account.tls is MailTls.STARTTLS,
                tls_context=self._client.tls,
                timeout=SEND_SECONDS,
            )
        finally:
            connected.close()

    async def _connect(self) -> socket.socket:
        """A socket to the first address of the server that answers, after all of them were found fit."""
        place = self._client.policy.check_server(self._account.host, self._account.port)
        if self._account.tls is MailTls.NONE and not place.is_listed:
            raise BadDestination("mail without TLS is for hosts in ALERT_ALLOWED_HOSTS only")
        guard = (lambda _: True) if place.is_listed else self._client.may_reach
        failure: OSError = OSError("no address")
        for family, address in await resolve_all(place.host, place.port, self._client.lookup, guard):
            made = socket.socket(socket.AddressFamily(family), socket.SOCK_STREAM)
            made.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(made, (address, place.port))
            except OSError as error:
                made.close()
                failure = error
            except BaseException:
                made.close()
                raise
            else:
                return made
        raise failure


def mail(message: Outgoing, account: MailAccount, public_url: str | None) -> EmailMessage:
    """The mail of a message."""
    domain = _domain(account.sender)
    built = EmailMessage()
    built["From"] = account.sender
    built["To"] = ", ".join(account.recipients)
    built["Subject"] = render.title(message.body)
    built["Date"] = format_datetime(datetime.fromtimestamp(message.at, UTC))
    built["Message-ID"] = f"<{message.id}@{domain}>"
    episode = _episode_id(message.body)
    if episode is not None:
        built["References"] = f"<episode-{episode}@{domain}>"
    built["Auto-Submitted"] = "auto-generated"
    built.set_content("\n".join(render.lines(message.body, public_url)) + "\n")
    return built


def _episode_id(body: Body) -> int | None:
    data = body.get("data")
    episode = data.get("episode") if isinstance(data, Mapping) else None
    found = episode.get("id") if isinstance(episode, Mapping) else None
    return found if isinstance(found, int) else None


def _domain(sender: str) -> str:
    return parseaddr(sender)[1].rpartition("@")[2] or "waterline.invalid"
