"""The HTTP client that goes to addresses other people gave: it reaches what it may and nothing else.

A name is resolved once a request. All its addresses must be public, the connection is made to one of those very
addresses, and the socket looks at its address once more. So a name that answers differently the second time gains
nothing. No connection is used twice, because the far end may have closed it unheard, and the alert would be late. No
proxy, no redirect, no cookie, no body beyond a few kilobytes.
"""

from __future__ import annotations

import asyncio
import email.utils
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from app.alerts.addresses import IPAddress, is_public, parse_address
from app.alerts.destination import BadDestination, Destination, Policy
from app.alerts.outcome import Outcome

SEND_SECONDS = 15
"""A try takes no longer, from the name to the last byte of the answer."""
ANSWER_BYTES = 4_096
"""More of an answer is not read."""
_CONNECTIONS = 64
_LONGEST_WAIT_SECONDS = 86_400

Lookup: TypeAlias = Callable[[str, int, socket.AddressFamily], Awaitable[list[tuple[int, str]]]]
"""Resolves a host: (address family, address) of each. Raises OSError where it cannot."""
MayReach: TypeAlias = Callable[[IPAddress], bool]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    start: bytes
    """At most ANSWER_BYTES of its body: to find what the protocol says in it, never to be kept or shown."""


class HttpClient:
    """Posts to destinations. Use as a context, in one event loop."""

    def __init__(
        self,
        policy: Policy,
        *,
        lookup: Lookup | None = None,
        may_reach: MayReach = is_public,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """
        Args:
            lookup: how names are resolved; the system's way when not given.
            may_reach: which addresses are fit, for hosts the operator did not list.
            tls: whom to trust; the system's authorities when not given.
        """
        self.policy = policy
        self.lookup = lookup or _system_lookup
        self.may_reach = may_reach
        self.tls = tls or ssl.create_default_context()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer | Outcome:
        """Post once. The answer, or, where there is none, why not.

        A redirect is an answer too: nobody follows it.
        """
        return await self._request("POST", url, headers, body)

    async def get(self, url: str) -> Answer | Outcome:
        """Ask once; otherwise as `post`."""
        return await self._request("GET", url, {}, None)

    async def _request(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer | Outcome:
        try:
            destination = self.policy.check_url(url)
            async with asyncio.timeout(SEND_SECONDS):
                return await self._exchange(method, destination, headers, body)
        except BadDestination as refusal:
            return Outcome(None, str(refusal))
        except TimeoutError:
            return Outcome(None, f"no answer within {SEND_SECONDS} s")
        except aiohttp.ClientConnectorDNSError:
            return Outcome(None, "the host's name cannot be resolved")
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError, ssl.SSLError):
            return Outcome(None, "the host's certificate or its TLS is not accepted")
        except aiohttp.ClientConnectorError:
            return Outcome(None, "the host cannot be connected to")
        except (aiohttp.ClientError, OSError, ValueError):
            # Their messages may hold the URL.
            return Outcome(None, "the connection ended before there was an answer")

    async def _exchange(
        self, method: str, destination: Destination, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        url = URL(destination.url, encoded=True)
        if url.host != destination.host or url.port != destination.port:
            raise BadDestination("the URL is read in two ways")
        session = self._session(is_listed=destination.is_listed)
        async with session.request(
            method, url, data=body, headers=headers, allow_redirects=False, ssl=self.tls
        ) as response:
            start = bytearray()
            while len(start) < ANSWER_BYTES and (part := await response.content.read(ANSWER_BYTES - len(start))):
                start += part
            return Answer(response.status, response.headers.copy(), bytes(start))

    def _session(self, *, is_listed: bool) -> aiohttp.ClientSession:
        """One for the public internet and one for what the operator listed: they share no connection."""
        if is_listed not in self._sessions:
            guard = (lambda _: True) if is_listed else self.may_reach
            connector = aiohttp.TCPConnector(
                resolver=_Resolver(self.lookup, guard),
                socket_factory=_socket_factory(guard),
                use_dns_cache=False,
                force_close=True,
                limit=_CONNECTIONS,
            )
            self._sessions[is_listed] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=SEND_SECONDS),
                trust_env=False,
                auto_decompress=False,
                headers={"User-Agent": "Waterline", "Accept-Encoding": "identity"},
            )
        return self._sessions[is_listed]


def judged(answer: Answer, now: float) -> Outcome:
    """What an HTTP answer means to whoever sends: 2xx took it, 410 wants nothing more, all else is tried again."""
    status = answer.status
    if 200 <= status < 300:
        return Outcome(status)
    if status == 410:
        return Outcome(status, "the receiver answered 410: it wants nothing more", is_gone=True)
    error = f"the receiver answered {status}"
    if 300 <= status < 400:
        return Outcome(status, f"{error}: redirects are not followed")
    wait = retry_after_seconds(answer.headers.get("Retry-After"), now) if status in (429, 503) else None
    return Outcome(status, error, retry_after_seconds=wait)


def retry_after_seconds(text: str | None, now: float) -> int | None:
    """The wait that a Retry-After header asks for, in seconds or as a date (RFC 9110 10.2.3); a day at most. None where
    there is none, or it cannot be read."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return min(int(text[:9]), _LONGEST_WAIT_SECONDS)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0, min(int(until.timestamp() - now) + 1, _LONGEST_WAIT_SECONDS))


async def resolve_all(host: str, port: int, lookup: Lookup, may_reach: MayReach) -> list[tuple[int, str]]:
    """Every address of a host, if all of them may be reached.

    Raises:
        BadDestination: one may not.
        OSError: it cannot be resolved, or to nothing.
    """
    found = await lookup(host, port, socket.AF_UNSPEC)
    if not found:
        raise OSError("no address")
    for _, text in found:
        address = parse_address(text)
        if address is None or not may_reach(address):
            raise BadDestination("the host is not on the public internet; the operator can list it")
    return found


async def _system_lookup(host: str, port: int, family: socket.AddressFamily) -> list[tuple[int, str]]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
    return [(kind, str(address[0])) for kind, _, _, _, address in found]


class _Resolver(AbstractResolver):
    """Resolves for one connection, and lets nothing through of which any address is unfit."""

    def __init__(self, lookup: Lookup, may_reach: MayReach) -> None:
        self._lookup = lookup
        self._may_reach = may_reach

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await resolve_all(host, port, self._lookup, self._may_reach)
        return [
            ResolveResult(hostname=host, host=text, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for kind, text in found
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _socket_factory(may_reach: MayReach) -> Callable[[Any], socket.socket]:
    """Makes sockets to fit addresses only: the last look, whatever came before."""

    def make(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        found = parse_address(str(address[0]))
        if found is None or not may_reach(found):
            raise BadDestination("the host is not on the public internet; the operator can list it")
        return socket.socket(family=family, type=kind, proto=protocol)

    return make
