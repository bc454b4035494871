"""WebSockets of a node: heads as it announces them (whoever iterates reconnects), requests where it offers no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import aiohttp
import msgspec

from app.chain.faults import Malformed, Transport
from app.chain.transport import MOST_REPLY_BYTES, HttpReply, describe_endpoint
from app.chain.wire import Header, body, decode_header
from app.domain.chain import ChainId

_CONNECT_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 0.5
_PING_SECONDS: Final = 20.0
"""A node that does not answer a ping so long after the last one is gone."""
_SUBSCRIBE: Final = body("eth_subscribe", b'["newHeads"]').decode()


class _Announced(msgspec.Struct, gc=False):
    result: msgspec.Raw


class _Message(msgspec.Struct, gc=False):
    """An announcement, which has `params`, or the answer to the subscription."""

    params: _Announced | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")


_message: Final = msgspec.json.Decoder(_Message)


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
        return await _connect(self._session, self._url)


async def socket_heads(ws_url: str, chain_id: ChainId) -> AsyncGenerator[Header, None]:
    """Every head the node announces, until the connection ends.

    Raises:
        Refused: not a ws:// or wss:// URL.
        Transport: the connection could not be made, or ended.
        Malformed: the node announced something that is not a header.
    """
    label = describe_endpoint(ws_url, ("ws", "wss")).label
    trouble = "closed"
    try:
        async with aiohttp.ClientSession() as session, await _connect(session, ws_url) as socket:
            await socket.send_str(_SUBSCRIBE)
            async with asyncio.timeout(_CONNECT_SECONDS):
                message = await socket.receive()
            is_first = True
            while message.type is aiohttp.WSMsgType.TEXT:
                if not is_first:
                    yield _header(message.data, chain_id)
                elif not _is_subscribed(message.data):
                    trouble = "it refuses to announce heads"
                    break
                is_first, message = False, await socket.receive()
    except (aiohttp.ClientError, OSError, ValueError) as error:  # a timeout is an OSError
        trouble = type(error).__name__
    # outside the except block: aiohttp's exceptions carry the whole URL, and a context would keep them
    raise Transport(f"the socket to {label} ended ({trouble})")


async def _connect(session: aiohttp.ClientSession, url: str) -> aiohttp.ClientWebSocketResponse:
    async with asyncio.timeout(_CONNECT_SECONDS):
        closing = aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS)
        return await session.ws_connect(url, max_msg_size=MOST_REPLY_BYTES, heartbeat=_PING_SECONDS, timeout=closing)


def _is_subscribed(answer: str) -> bool:
    try:
        return bytes(_message.decode(answer).result) != b"null"
    except msgspec.DecodeError:
        return False


def _header(text: str, chain_id: ChainId) -> Header:
    """The header in an announcement."""
    try:
        announced = _message.decode(text).params
    except msgspec.DecodeError:
        announced = None
    header = None if announced is None else decode_header(announced.result, chain_id)
    if header is None:
        raise Malformed("the node announced a head that is not a header")
    return header
