"""The client that sends: only to addresses it may, to the very one that was checked, and no further than that."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import web

from app.alerts import http
from app.alerts.addresses import IPAddress
from app.alerts.destination import BadDestination, Policy
from app.alerts.http import ANSWER_BYTES, Answer, HttpClient, Lookup, judged, retry_after_seconds
from app.alerts.outcome import Outcome
from tests.alerts.receivers import make_tls, receiving

LOCAL = Policy(["127.0.0.1"])
NOT_PUBLIC = "the host is not on the public internet; the operator can list it"
MARKER = "SECRET-MARKER"


class Names:
    """A resolver that gives each of its answers once, the last one for ever."""

    def __init__(self, *answers: list[str] | OSError) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int, family: socket.AddressFamily) -> list[tuple[int, str]]:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, OSError):
            raise answer
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, one) for one in answer]


def only_two(address: IPAddress) -> bool:
    """127.0.0.2 stands for the public internet; 127.0.0.1 stays what it is."""
    return str(address) == "127.0.0.2"


async def post(client: HttpClient, url: str) -> Answer | Outcome:
    return await client.post(url, {}, b"{}")


@pytest.fixture
def any_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Ports that https may go to, to be filled in by the test."""
    ports: list[int] = []
    monkeypatch.setattr("app.alerts.destination.HTTPS_PORTS", ports)
    return ports


async def test_a_name_that_answers_otherwise_the_second_time_gains_nothing(tmp_path: Path, any_port: list[int]) -> None:
    server, client_tls = make_tls(tmp_path, "hooks.example")
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    async with receiving("127.0.0.2", tls=server) as wanted, receiving("127.0.0.1", port=wanted.port) as trap:
        any_port.append(wanted.port)
        url = f"https://hooks.example:{wanted.port}/{MARKER}"
        async with HttpClient(Policy(), lookup=names, may_reach=only_two, tls=client_tls) as client:
            answer = await post(client, url)
            assert isinstance(answer, Answer)
            assert (answer.status, names.asked) == (200, 1), "one look a request, and it goes where the look went"
            assert await post(client, url) == Outcome(None, NOT_PUBLIC)
        assert names.asked == 2
        assert len(wanted.got) == 1
        assert trap.got == []
        assert wanted.got[0].headers["Host"] == f"hooks.example:{wanted.port}"
        assert wanted.server_names == ["hooks.example"]


@pytest.mark.parametrize(
    "answers",
    [["127.0.0.1"], ["127.0.0.2", "127.0.0.1"], ["127.0.0.2", "::1"], ["::ffff:127.0.0.2"], ["not an address"], ["0"]],
)
async def test_one_unfit_address_of_a_name_is_enough_to_refuse_it(answers: list[str], any_port: list[int]) -> None:
    any_port.append(443)
    async with HttpClient(Policy(), lookup=Names(answers), may_reach=only_two) as client:
        assert await post(client, "https://hooks.example/") == Outcome(None, NOT_PUBLIC)


@pytest.mark.parametrize("names", [Names(socket.gaierror(-2, MARKER)), Names([]), Names(OSError(MARKER))])
async def test_a_name_that_cannot_be_resolved_is_not_sent_to(names: Lookup) -> None:
    async with HttpClient(Policy(), lookup=names) as client:
        found = await post(client, "https://hooks.example/")
    assert found == Outcome(None, "the host's name cannot be resolved")


async def test_the_socket_itself_refuses_what_slipped_through() -> None:
    make = http._socket_factory(http.is_public)
    with pytest.raises(BadDestination):
        make((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80)))
    with pytest.raises(BadDestination):
        make((socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 80, 0, 0)))
    make((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 443))).close()


async def test_a_host_of_the_list_shares_no_connection_with_the_others(any_port: list[int]) -> None:
    async with receiving("127.0.0.1") as receiver:
        any_port.append(receiver.port)
        async with HttpClient(LOCAL, lookup=Names(["127.0.0.1"])) as client:
            assert isinstance(await post(client, receiver.url), Answer)
            assert await post(client, f"https://127.0.0.1.nip.example:{receiver.port}/") == Outcome(None, NOT_PUBLIC)
    assert len(receiver.got) == 1


async def test_redirects_are_not_followed() -> None:
    async with receiving() as receiver:
        receiver.status, receiver.headers = 307, {"Location": receiver.url + "/next"}
        async with HttpClient(LOCAL) as client:
            answer = await post(client, receiver.url)
    assert isinstance(answer, Answer)
    assert len(receiver.got) == 1
    outcome = judged(answer, 0)
    assert (outcome.is_taken, outcome.error) == (False, "the receiver answered 307: redirects are not followed")


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with HttpClient(LOCAL) as client:
            assert isinstance(await post(client, receiver.url), Answer)
    assert (len(proxy.got), len(receiver.got)) == (0, 1)


async def test_an_answer_without_end_is_read_to_its_bound_only() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b"x" * 65536)
        return response

    async with receiving(answer=endless) as receiver, HttpClient(LOCAL) as client:
        answer = await post(client, receiver.url)
    assert isinstance(answer, Answer)
    assert answer.start == b"x" * ANSWER_BYTES


async def test_a_receiver_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SEND_SECONDS", 0.2)

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.02)

    async with receiving(answer=drip) as receiver, HttpClient(LOCAL) as client:
        assert await post(client, receiver.url) == Outcome(None, "no answer within 0.2 s")


async def test_failures_are_told_without_the_url(tmp_path: Path) -> None:
    server, _ = make_tls(tmp_path, "127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with HttpClient(LOCAL) as client:
            found = [await post(client, f"http://127.0.0.1:{taken.getsockname()[1]}/{MARKER}")]
            found.append(await post(client, f"http://user:{MARKER}@127.0.0.1/"))
            async with receiving(tls=server) as receiver:
                found.append(await post(client, f"https://127.0.0.1:{receiver.port}/{MARKER}"))
                found.append(await post(client, f"http://127.0.0.1:{receiver.port}/{MARKER}"))
    assert [one.error for one in found if isinstance(one, Outcome)] == [
        "the host cannot be connected to",
        "the URL must not hold a user or a password",
        "the host's certificate or its TLS is not accepted",
        "the connection ended before there was an answer",
    ]


async def test_a_certificate_of_another_name_is_not_accepted(tmp_path: Path, any_port: list[int]) -> None:
    server, client_tls = make_tls(tmp_path, "other.example")
    async with receiving("127.0.0.2", tls=server) as receiver:
        any_port.append(receiver.port)
        client_of = HttpClient(Policy(), lookup=Names(["127.0.0.2"]), may_reach=only_two, tls=client_tls)
        async with client_of as client:
            found = await post(client, f"https://hooks.example:{receiver.port}/")
    assert found == Outcome(None, "the host's certificate or its TLS is not accepted")
    assert receiver.got == []


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (200, {}, Outcome(200)),
        (204, {}, Outcome(204)),
        (410, {}, Outcome(410, "the receiver answered 410: it wants nothing more", is_gone=True)),
        (429, {"Retry-After": "7"}, Outcome(429, "the receiver answered 429", 7)),
        (503, {"Retry-After": "Thu, 01 Jan 1970 00:16:50 GMT"}, Outcome(503, "the receiver answered 503", 11)),
        (500, {"Retry-After": "7"}, Outcome(500, "the receiver answered 500")),
        (404, {}, Outcome(404, "the receiver answered 404")),
    ],
)
def test_answers_mean_what_the_convention_says(status: int, headers: dict[str, str], outcome: Outcome) -> None:
    assert judged(Answer(status, headers, MARKER.encode()), 1000) == outcome


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        ("٣", None),
        ("9" * 5000, 86_400),
        (" 30 ", 30),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 86_400),
        ("Fri, 99 Jan 2100 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_bounded(text: str | None, seconds: int | None) -> None:
    assert retry_after_seconds(text, 1000) == seconds


def test_trust_is_that_of_the_system_unless_given() -> None:
    assert HttpClient(Policy()).tls.verify_mode is ssl.CERT_REQUIRED
