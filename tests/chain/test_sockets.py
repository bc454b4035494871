"""Heads pushed over a socket: what a node says instead of a header ends the stream with a fault, never in silence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from app.chain import sockets
from app.chain.faults import Malformed, Transport
from app.chain.sockets import socket_heads
from app.chain.wire import Header
from app.domain.chain import BlockRef, Hash32

MARKER = "s3cr3t-m4rk3r"
SUBSCRIBED = '{"jsonrpc":"2.0","id":0,"result":"0x9ce59a13059e417087c02d3236a0b1cc"}'
REFUSED = '{"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"notifications not supported"}}'


@asynccontextmanager
async def node_that_says(says: Sequence[str], *, closes: bool = True) -> AsyncIterator[str]:
    """A socket that answers whatever it is asked with these messages, and closes or waits for more."""

    async def answer(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        for text in says:
            await socket.send_str(text)
        if not closes:
            await socket.receive()
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/{key}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}/{MARKER}"
    finally:
        await runner.cleanup()


def _announcement(number: int, **header: object) -> str:
    head = {"number": hex(number), "hash": "0x" + "11" * 32, "parentHash": "0x" + "22" * 32, "timestamp": "0x5"}
    head["logsBloom"] = "0x" + "80" + "00" * 255
    params = {"subscription": "0x9ce59a13059e417087c02d3236a0b1cc", "result": head | header}
    return json.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": params})


@pytest.mark.parametrize(
    "says",
    [
        [REFUSED],
        [SUBSCRIBED, "no json"],
        [SUBSCRIBED, "[1]"],
        [SUBSCRIBED, "{}"],
        [SUBSCRIBED, REFUSED],
        [SUBSCRIBED, SUBSCRIBED],
        [SUBSCRIBED, _announcement(7, hash=None)],
        [SUBSCRIBED, _announcement(7, hash="0x11")],
        [SUBSCRIBED, _announcement(7, timestamp=5)],
        [SUBSCRIBED, _announcement(7, logsBloom="0x00")],
        ["[1]"],
    ],
)
@pytest.mark.parametrize("closes", [True, False])
async def test_whatever_a_node_says_the_stream_ends_with_a_fault_of_ours(says: list[str], closes: bool) -> None:
    async with node_that_says(says, closes=closes) as url, asyncio.timeout(8):
        with pytest.raises((Transport, Malformed)) as caught:
            _ = [head async for head in socket_heads(url, 1)]
    assert MARKER not in repr(caught.value)


async def test_heads_come_as_they_were_announced_and_of_too_many_the_newest() -> None:
    says = [_announcement(number) for number in range(1, 100)]
    seen: list[Header] = []

    async def follow(url: str) -> None:
        async for head in socket_heads(url, 31337):
            seen.append(head)
            if len(seen) == 1:
                await asyncio.sleep(0.5)  # all are there by then

    async with node_that_says([SUBSCRIBED, *says]) as url:
        with pytest.raises(Transport):
            await follow(url)
    assert seen[-1] == Header(BlockRef(31337, 99, Hash32(b"\x11" * 32), Hash32(b"\x22" * 32), 5), b"\x80" + bytes(255))
    numbers = [head.block.number for head in seen]
    assert len(numbers) <= 1 + sockets._QUEUE
    assert numbers[1:] == list(range(100 - len(numbers[1:]), 100))


async def test_a_cancellation_that_connecting_swallows_ends_the_stream_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connecting = asyncio.Event()
    connect = sockets._QuietWebSocket.connect

    async def swallowing(provider: sockets._QuietWebSocket) -> None:
        await connect(provider)
        connecting.set()
        with suppress(asyncio.CancelledError):  # as wait_for does when both come at once
            await asyncio.sleep(60)

    monkeypatch.setattr(sockets._QuietWebSocket, "connect", swallowing)
    async with node_that_says([SUBSCRIBED], closes=False) as url:
        listening = asyncio.ensure_future(anext(socket_heads(url, 1)))
        await connecting.wait()
        listening.cancel()
        done, _ = await asyncio.wait([listening], timeout=20)
        assert done
        assert listening.cancelled()
