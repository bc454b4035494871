"""The way to a node: web3's HTTP provider with a kept-alive session of our own and nothing of the URL in what it says.

web3 8's default session opens a new connection for each request and its loggers print the endpoint, key and
all. `NodeProvider` keeps the provider (anything built on web3 can use it) and replaces both.
"""

from __future__ import annotations

import logging
import socket
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import aiohttp
from web3 import AsyncHTTPProvider
from web3.types import RPCEndpoint

from app.chain.faults import ResponseTooLarge, Transport, classify_status
from app.errors import Refused


class _Silent(logging.Logger):
    """Logs nothing, whatever a configuration of logging says: a mere `disabled` is undone by any dictConfig."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the name it has in the class above
        del level
        return False


SILENT: Final = _Silent("app.chain.silent")
"""Takes the place of foreign loggers that print endpoint URLs. Not registered, so nobody finds it to enable it."""

_CONNECTIONS: Final = 8
_CONNECT_SECONDS: Final = 10.0
_IDLE_SECONDS: Final = 30.0
_SHORTEST_SECRET: Final = 6
_KEPT_BYTES: Final = 2**24
"""Once a block of this size was given back, glibc keeps freed memory for blocks up to that size (mallopt(3),
M_MMAP_THRESHOLD); until then it asks the kernel for new pages. Requests and answers have a quarter of a megabyte each,
and on a virtual machine each of their new pages costs microseconds: 0.2 to 1 a call of bulk reads."""
MOST_REPLY_BYTES: Final = 2**27
"""An answer of more than 128 MB is not read: 100,000 logs are half of it."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """One HTTP answer, whatever its status."""

    status: int
    body: bytes
    retry_after: float | None = None
    """Seconds from the Retry-After header."""


class Post(Protocol):
    """The seam below everything: send a JSON-RPC body, get the HTTP answer. The fake node of the tests sits here."""

    async def __call__(self, body: bytes) -> HttpReply:
        """May raise Transport; never anything else."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A node's URL, kept apart from everything that can be printed."""

    label: str
    """Scheme, host and port: safe to show."""
    secrets: tuple[str, ...]
    """Parts of the URL that a node might echo in an error."""

    def redact(self, text: str) -> str:
        """`text` without any secret part of the URL."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def describe_endpoint(url: str, schemes: tuple[str, ...]) -> Endpoint:
    """Split a URL into what may be shown and what may not.

    Raises:
        Refused: not a URL of one of `schemes`; the message does not repeat it.
    """
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        scheme, host, port = "", None, None
    if scheme not in schemes or not host:
        wanted = " or ".join(f"{scheme}://" for scheme in schemes)
        raise Refused(f"a node's URL must start with {wanted} and name a host")
    shown_host = f"[{host}]" if ":" in host else host
    label = f"{scheme}://{shown_host}:{port}" if port else f"{scheme}://{shown_host}"
    hidden = [parts.path.strip("/"), parts.query, parts.username or "", parts.password or ""]
    hidden += parts.path.split("/") + [value for _, value in parse_qsl(parts.query)]
    hidden += [unquote(part) for part in hidden]
    secrets = {part for part in hidden if len(part) >= _SHORTEST_SECRET}
    return Endpoint(label, tuple(sorted(secrets, key=len, reverse=True)))


class NodeProvider(AsyncHTTPProvider):
    """web3's provider over one kept-alive session, or over a `post` given by a test.

    Retries and the meaning of errors are the caller's business: nothing is retried here.
    """

    logger = SILENT

    def __init__(self, url: str, label: str, post: Post | None = None) -> None:
        super().__init__(url, exception_retry_configuration=None)
        self._request_session_manager.logger = SILENT
        self._label = label
        self._post = post
        self._session: aiohttp.ClientSession | None = None

    def __str__(self) -> str:
        return f"NodeProvider({self._label})"

    __repr__ = __str__

    async def post(self, body: bytes) -> HttpReply:
        """Send one JSON-RPC body and read the whole answer.

        Raises:
            Transport: nothing usable came back.
            ResponseTooLarge: more came back than is read.
        """
        if self._post is not None:
            return await self._post(body)
        session = self._session or await self._open()
        trouble = ""
        try:
            async with session.post(self.endpoint_uri or "", data=body) as response:
                content = await _read_bounded(response)
                return HttpReply(response.status, content, _retry_after(response.headers.get("Retry-After")))
        except aiohttp.ClientError as error:
            trouble = type(error).__name__
        except TimeoutError:
            trouble = "timed out"
        except OSError as error:
            trouble = f"{type(error).__name__} {error.errno}"
        # raised outside the except block: aiohttp's exceptions carry the whole URL, and a context would keep them
        raise Transport(f"no answer from {self._label} ({trouble})")

    async def disconnect(self) -> None:
        """Close the session; a later request opens a new one."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        self._request_session_manager.session_cache.clear()
        self._request_session_manager.session_pool.shutdown(wait=False)

    async def _open(self) -> aiohttp.ClientSession:
        bytes(_KEPT_BYTES)  # taken and given back, untouched
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_IDLE_SECONDS, family=socket.AF_UNSPEC)
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=self.get_request_headers(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            read_bufsize=2**20,
        )
        await self.cache_async_session(self._session)
        return self._session

    async def _make_request(self, method: RPCEndpoint, request_data: bytes) -> bytes:
        """What web3's own request path calls for the bytes of an answer."""
        reply = await self.post(request_data)
        if reply.status != 200 and not reply.body.lstrip().startswith((b"{", b"[")):
            raise classify_status(reply.status, reply.retry_after)
        return reply.body


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    """The whole answer.

    Raises:
        ResponseTooLarge: it has more than `MOST_REPLY_BYTES`; the rest is left unread and its connection closed.
    """
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > MOST_REPLY_BYTES:
            raise ResponseTooLarge(f"the answer has more than {MOST_REPLY_BYTES} bytes")
    return b"".join(parts)


def _retry_after(header: str | None) -> float | None:
    """Seconds to wait, whether the header says seconds or a moment (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            # a moment that has passed, as by a clock that is slow, asks for nothing
            seconds = max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
        except (ValueError, OverflowError):
            return None
    return seconds if 0 <= seconds < 86400 else None
