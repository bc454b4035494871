"""What each kind of channel is sent, and what its answers mean."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from app.alerts import render
from app.alerts.chat import SlackSender, TelegramSender
from app.alerts.destination import Policy
from app.alerts.http import HttpClient
from app.alerts.outcome import Outcome, Outgoing
from app.alerts.smtp import MailAccount, MailTls, SmtpSender
from app.alerts.stdout import StdoutSender
from tests.alerts.receivers import make_tls, receiving

MARKER = "SECRETMARKER"
LOCAL = Policy(["127.0.0.1"])
ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"
BODY: dict[str, Any] = {
    "type": "episode.escalated",
    "timestamp": "2026-11-22T10:00:00Z",
    "data": {
        "episode": {"id": 7, "watchlist": "treasury", "rule": "health", "severity": "critical", "state": "open"},
        "subject": {"kind": "account", "address": ADDRESS, "label": "<!channel> & cold"},
        "as_of": {"chain_id": 1, "block_number": 123, "block_timestamp": 1},
        "text": "Health factor of <!channel> & cold is 1.01, at or below 1.02.",
    },
}
MESSAGE = Outgoing("msg_abc", BODY, 1_766_000_000)
PAGES = "https://waterline.example/"


def test_a_message_is_a_title_a_sentence_a_moment_and_a_link() -> None:
    assert render.text(BODY, PAGES).splitlines() == [
        "CRITICAL treasury / health: worse",
        "Health factor of <!channel> & cold is 1.01, at or below 1.02.",
        "Block 123 of chain 1, 2026-11-22T10:00:00Z",
        f"https://waterline.example/wallet/{ADDRESS}",
    ]
    assert "http" not in render.text(BODY, None)


@pytest.mark.parametrize("body", [{}, {"data": None}, {"type": 5, "data": {"episode": [], "as_of": "x", "text": None}}])
def test_whatever_the_body_lacks_it_is_rendered(body: dict[str, Any]) -> None:
    assert render.title(body)
    render.text(body, PAGES)


def test_words_of_others_are_cut_and_cannot_hide_or_turn_what_is_said() -> None:
    hostile = {"type": "test", "data": {"text": "a\u202eb\x00c\x1b[2J\u200b" + "x" * 9_000}}
    said = render.text(hostile, None)
    assert "ab" in said
    assert len(said) < 2_000
    assert all(one == "\n" or one.isprintable() for one in said)
    named = {**BODY, "data": {**BODY["data"], "episode": {"watchlist": "a\nBcc: x@y.example", "rule": "r" * 500}}}
    assert "\n" not in render.title(named)
    assert len(render.title(named)) <= 150


async def test_telegram_is_sent_plain_text() -> None:
    async with receiving() as receiver, HttpClient(LOCAL) as client:
        api = f"http://127.0.0.1:{receiver.port}"
        sender = TelegramSender(client, f"1:{MARKER}", "-100", public_url=None, api_url=api)
        assert await sender.send(MESSAGE) == Outcome(200)
        (got,) = receiver.got
        said = json.loads(got.body)
        assert got.path == f"/bot1:{MARKER}/sendMessage"
        assert said["chat_id"] == "-100"
        assert said["text"] == render.text(BODY, None)
        assert "parse_mode" not in said
        assert said["link_preview_options"] == {"is_disabled": True}


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ('{"ok":false,"parameters":{"retry_after":35}}', 35),
        ('{"ok":false,"parameters":{"retry_after":"x"}}', 9),
        ('{"ok":false,"parameters":{"retry_after":99999999}}', 86_400),
        ('["parameters"]', 9),
        ("not json", 9),
    ],
)
async def test_telegram_says_in_its_answer_how_long_to_wait(text: str, wait: int) -> None:
    async with receiving(status=429, text=text, headers={"Retry-After": "9"}) as receiver, HttpClient(LOCAL) as client:
        api = f"http://127.0.0.1:{receiver.port}"
        found = await TelegramSender(client, f"1:{MARKER}", "5", public_url=None, api_url=api).send(MESSAGE)
    assert found == Outcome(429, "the receiver answered 429", wait)


async def test_slack_is_sent_text_in_which_nobody_is_called() -> None:
    async with receiving() as receiver, HttpClient(LOCAL) as client:
        sender = SlackSender(client, f"{receiver.url}/{MARKER}", public_url=PAGES)
        assert await sender.send(MESSAGE) == Outcome(200)
        receiver.status, receiver.text = 410, "channel_is_archived"
        gone = await sender.send(MESSAGE)
    said = json.loads(receiver.got[0].body)
    assert "<!channel>" not in said["text"]
    assert "&lt;!channel&gt; &amp; cold" in said["text"]
    assert {block["text"]["type"] for block in said["blocks"]} == {"plain_text"}
    assert said["blocks"][0]["text"]["text"] == render.title(BODY)
    assert ADDRESS in said["blocks"][1]["text"]["text"]
    assert gone.is_gone


async def test_standard_output_has_one_json_object_a_line() -> None:
    stream = io.StringIO()
    sender = StdoutSender(stream)
    for _ in range(2):
        assert (await sender.send(MESSAGE)).is_taken
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert json.loads(lines[0]) == {"id": "msg_abc", **BODY}
    stream.close()
    assert not (await sender.send(MESSAGE)).is_taken


async def test_standard_output_gets_a_sentence_where_people_read_it() -> None:
    stream = io.StringIO()
    assert (await StdoutSender(stream, is_text=True).send(MESSAGE)).is_taken
    said = stream.getvalue().splitlines()
    assert said[0].startswith("CRITICAL treasury / health")
    assert BODY["data"]["text"] in said


@dataclass
class MailServer:
    """What a mail server was told."""

    port: int = 0
    said: list[str] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    """By the first word of a command, in place of the usual answer."""


@asynccontextmanager
async def mail_server(tls: Any = None, *, from_start: bool = False, **answers: str) -> AsyncIterator[MailServer]:
    """A mail server on loopback that takes everything, unless told otherwise."""
    server = MailServer(answers=answers)
    usual = {"MAIL": "250 ok", "RCPT": "250 ok", "AUTH": "235 ok", "QUIT": "221 bye", "DATA": "354 go on"}

    talks: list[asyncio.Task[None]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        this = asyncio.current_task()
        assert this is not None
        talks.append(this)
        with suppress(ConnectionError, ssl.SSLError):
            await follow(reader, writer)
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def answer(text: str) -> None:
            writer.write(f"{text}\r\n".encode())

        answer("220 here")
        while line := (await reader.readline()).decode().strip():
            server.said.append(line)
            word = line.split()[0].upper()
            if word == "EHLO":
                answer("250-here")
                answer("250-AUTH PLAIN LOGIN")
                answer("250 STARTTLS" if tls is not None and not from_start else "250 8BITMIME")
            elif word == "STARTTLS" and word not in server.answers:
                answer("220 go on")
                await writer.drain()
                await writer.start_tls(tls)
            else:
                answer(server.answers.get(word, usual.get(word, "250 ok")))
            if word == "DATA":
                mail = await reader.readuntil(b"\r\n.\r\n")
                found = message_from_bytes(mail[:-3], policy=policy.default)
                assert isinstance(found, EmailMessage)
                server.mails.append(found)
                answer(server.answers.get("MAILED", "250 taken"))
            if word == "QUIT":
                break

    listening = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls if from_start else None)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        await asyncio.wait_for(asyncio.gather(*talks), 60)
        listening.close()
        await listening.wait_closed()


def account(port: int, tls: MailTls = MailTls.NONE, **changes: Any) -> MailAccount:
    plain = MailAccount("127.0.0.1", port, tls, "Waterline <alerts@own.example>", ("a@b.example", "c@d.example"))
    return replace(plain, **changes)


async def mailed(port: int, tls: MailTls = MailTls.NONE, trust: Any = None, **changes: Any) -> Outcome:
    async with HttpClient(LOCAL, tls=trust) as client:
        sender = SmtpSender(client, account(port, tls, **changes), public_url=PAGES)
        return await sender.send(MESSAGE)


async def test_a_mail_is_plain_text_under_an_id_that_stays_and_threaded_by_episode() -> None:
    async with mail_server() as server:
        assert await mailed(server.port) == Outcome(250)
        assert await mailed(server.port) == Outcome(250)
    first, second = server.mails
    assert first["Message-ID"] == second["Message-ID"] == "<msg_abc@own.example>"
    assert first["References"] == "<episode-7@own.example>"
    assert first["Subject"] == "CRITICAL treasury / health: worse"
    assert first["To"] == "a@b.example, c@d.example"
    assert first.get_content_type() == "text/plain"
    assert first.get_content().splitlines()[0] == BODY["data"]["text"]
    assert [line for line in server.said if line.startswith("RCPT")][:2] == [
        "RCPT TO:<a@b.example>",
        "RCPT TO:<c@d.example>",
    ]


@pytest.mark.parametrize("tls", [MailTls.STARTTLS, MailTls.TLS])
async def test_user_and_password_go_under_tls_only(tls: MailTls, tmp_path: Path) -> None:
    own, trust = make_tls(tmp_path, "127.0.0.1")
    async with mail_server(own, from_start=tls is MailTls.TLS) as server:
        assert await mailed(server.port, tls, trust, username="u", password=MARKER) == Outcome(250)
        assert any(line.startswith("AUTH") for line in server.said)
        if tls is MailTls.STARTTLS:
            assert server.said[1] == "STARTTLS"


async def test_a_server_that_does_not_turn_to_tls_is_told_nothing(tmp_path: Path) -> None:
    own, trust = make_tls(tmp_path, "127.0.0.1")
    async with mail_server(own, STARTTLS="454 not now") as server:
        found = await mailed(server.port, MailTls.STARTTLS, trust, username="u", password=MARKER)
    assert not found.is_taken
    assert not any(line.startswith(("AUTH", "MAIL")) for line in server.said)
    other, _ = make_tls(tmp_path, "127.0.0.1")
    async with mail_server(other) as server:
        found = await mailed(server.port, MailTls.STARTTLS, trust, username="u", password=MARKER)
    assert found == Outcome(None, "the mail server cannot be talked to"), "a certificate nobody trusts"


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ({"AUTH": f"535 {MARKER}"}, Outcome(535, "the mail server answered 535: user or password")),
        ({"RCPT": f"550 {MARKER}"}, Outcome(550, "the mail server refused every recipient")),
        ({"MAIL": f"451 {MARKER}"}, Outcome(451, "the mail server answered 451")),
        ({"MAILED": f"452 {MARKER}"}, Outcome(452, "the mail server answered 452")),
    ],
)
async def test_what_a_mail_server_refuses_is_told_by_its_number(answers: dict[str, str], outcome: Outcome) -> None:
    async with mail_server(**answers) as server:
        assert await mailed(server.port, username="u", password=MARKER) == outcome


async def test_a_mail_server_that_may_not_be_reached_is_not() -> None:
    async def lookup(host: str, port: int, family: object) -> list[tuple[int, str]]:
        return [(2, "127.0.0.1")]

    async with HttpClient(LOCAL, lookup=lookup) as client:
        for host, port, tls, said in (
            ("mail.example", 587, MailTls.STARTTLS, "not on the public internet"),
            ("mail.example", 9, MailTls.STARTTLS, "port"),
            ("mail.example", 587, MailTls.NONE, "without TLS"),
            ("127.0.0.1", 1, MailTls.NONE, "cannot be talked to"),
        ):
            sender = SmtpSender(client, account(port, tls, host=host), public_url=None)
            found = await sender.send(MESSAGE)
            assert said in str(found.error)


async def test_a_body_that_names_a_redirect_is_not_taken() -> None:
    async def elsewhere(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("http://169.254.169.254/latest/meta-data")

    async with receiving(answer=elsewhere) as receiver, HttpClient(LOCAL) as client:
        found = await SlackSender(client, receiver.url, public_url=None).send(MESSAGE)
    assert found == Outcome(302, "the receiver answered 302: redirects are not followed")
