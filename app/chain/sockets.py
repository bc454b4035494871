"""New heads pushed over a WebSocket, through web3's provider. One connection; whoever iterates reconnects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any, Final, cast

import aiohttp
from web3 import AsyncWeb3, WebSocketProvider
from web3.types import RPCResponse

from app.chain.faults import Malformed, Transport
from app.chain.transport import MOST_REPLY_BYTES, SILENT, HttpReply, describe_endpoint
from app.chain.wire import Header, announced_header
from app.domain.chain import ChainId

_CONNECT_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 0.5
_QUEUE: Final = 64


class _QuietWebSocket(WebSocketProvider):
    """web3's provider without its loggers, which print the URL at INFO; and announcements come as the node sent them.

    On their way through web3 each of their fields passes a chain of formatters, which takes a millisecond a head.
    """

    logger = SILENT

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.announced: asyncio.Queue[object] = asyncio.Queue()
        """What the node said without being asked, oldest first, at most `_QUEUE` of it; None: that was the last."""
        self._is_answered = False
        """Whether the one request there is, to be told of heads, has had its answer."""

    async def socket_recv(self) -> RPCResponse:
        """The next answer to a request, for web3."""
        try:
            while True:
                message: object = await super().socket_recv()
                if isinstance(message, dict) and "method" in message:
                    self._announce(message)
                elif isinstance(message, dict) and not self._is_answered:
                    self._is_answered = True
                    return cast(RPCResponse, message)
                else:
                    raise Malformed("the node sent something nobody asked for")
        except BaseException:
            self._announce(None)
            raise

    def _announce(self, message: object) -> None:
        while self.announced.qsize() >= _QUEUE:
            self.announced.get_nowait()  # the newest heads are those that count
        self.announced.put_nowait(message)


class SocketPost:
    """Requests over WebSockets, where an endpoint offers no HTTP: each socket carries one request at a time."""

    def __init__(self, url: str) -> None:
        """Nothing is connected yet.

        Raises:
            Refused: not a ws:// or wss:// URL.
        """
        self._label = describe_endpoint(url, ("ws", "wss")).label
        self._url = url
        self._session: aiohttp.ClientSession | None = None
        self._idle: list[aiohttp.ClientWebSocketResponse] = []

    async def __call__(self, body: bytes) -> HttpReply:
        """One request and its answer.

        Raises:
            Transport: the socket could not be opened, or ended.
        """
        trouble = "closed"
        socket: aiohttp.ClientWebSocketResponse | None = None
        try:
            socket = self._idle.pop() if self._idle else await self._open()
            await socket.send_str(body.decode())
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                self._idle.append(socket)
                socket = None
                return HttpReply(200, str(message.data).encode())
        except (aiohttp.ClientError, OSError) as error:
            trouble = type(error).__name__
        finally:
            if socket is not None:  # an answer that comes later would be taken for the next request's
                await socket.close()
        # outside the except block: aiohttp's exceptions carry the whole URL, and a context would keep them
        raise Transport(f"no answer from {self._label} ({trouble})")

    async def aclose(self) -> None:
        """Close every socket; a later request opens a new one."""
        session, self._session = self._session, None
        self._idle.clear()
        if session is not None:
            await session.close()

    async def _open(self) -> aiohttp.ClientWebSocketResponse:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        async with asyncio.timeout(_CONNECT_SECONDS):
            closing = aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS)
            return await self._session.ws_connect(
                self._url, max_msg_size=MOST_REPLY_BYTES, heartbeat=20, timeout=closing
            )


async def socket_heads(ws_url: str, chain_id: ChainId) -> AsyncGenerator[Header, None]:
    """Every head the node announces, until the connection ends.

    Raises:
        Refused: not a ws:// or wss:// URL.
        Transport: the connection could not be made, or ended.
        Malformed: the node announced something that is not a header.
    """
    label = describe_endpoint(ws_url, ("ws", "wss")).label
    provider = _QuietWebSocket(
        ws_url,
        websocket_kwargs={"logger": SILENT, "open_timeout": _CONNECT_SECONDS, "ping_timeout": 20},
        max_connection_retries=1,
        request_timeout=_CONNECT_SECONDS,
    )
    web3 = AsyncWeb3(provider)
    web3.manager.logger = SILENT
    trouble = "closed"
    try:
        async with asyncio.timeout(2 * _CONNECT_SECONDS):
            await provider.connect()
            await web3.eth.subscribe("newHeads")
        _end_if_cancelled()
        while (message := await provider.announced.get()) is not None:
            yield announced_header(message, chain_id)
    except Malformed:
        raise
    except Exception as error:
        trouble = type(error).__name__
    finally:
        with suppress(Exception):  # the same once more
            await provider.disconnect()
    # outside the except block: web3's exceptions carry the whole URL, and a context would keep them
    raise Transport(f"the socket to {label} ended ({trouble})")


def _end_if_cancelled() -> None:
    """Raise the cancellation of this task if it was lost on the way: web3 waits by `wait_for`, which may swallow one
    that comes together with what it waits for (until Python 3.12). Whoever cancelled would wait for ever."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
