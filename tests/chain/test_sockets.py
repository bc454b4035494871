"""Heads pushed over a socket: what a node says instead of a header ends the stream with a fault, never in silence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import WSMsgType, web

from app.chain.faults import Malformed, Transport
from app.chain.sockets import socket_heads

MARKER = "s3cr3t-m4rk3r"
SUBSCRIBED = '{"jsonrpc":"2.0","id":1,"result":"0x9ce59a13059e417087c02d3236a0b1cc"}'
REFUSED = '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"notifications not supported"}}'


def announced(header: str) -> str:
    return '{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x9ce5","result":' + header + "}}"


def header(number: int) -> str:
    digits = f"{number:064x}"
    return (
        f'{{"number":"{number:#x}","hash":"0x{digits}","parentHash":"0x{digits}","timestamp":"0x10",'
        f'"difficulty":"0x0","extraData":"0x{"00" * 97}"}}'
    )


@asynccontextmanager
async def node_that_says(says: Sequence[str]) -> AsyncIterator[str]:
    """A socket that answers whatever it is asked with these messages, and closes."""

    async def answer(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        message = await socket.receive()
        assert message.type is WSMsgType.TEXT
        for text in says:
            await socket.send_str(text)
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/{key}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}/{MARKER}"
    finally:
        await runner.cleanup()


async def heads_of(says: Sequence[str]) -> tuple[list[int], str]:
    """Numbers of the heads, and how the stream ended."""
    found: list[int] = []

    async def listen(url: str) -> None:
        async for head in socket_heads(url, 1):
            found.append(head.block.number)

    async with node_that_says(says) as url:
        with pytest.raises((Transport, Malformed)) as caught:
            await listen(url)
    assert MARKER not in repr(caught.value)
    return found, str(caught.value)


async def test_every_head_that_is_announced_comes_and_the_end_is_told() -> None:
    heads, end = await heads_of([SUBSCRIBED, announced(header(7)), announced(header(8))])
    assert heads == [7, 8]
    assert "closed" in end


async def test_a_node_that_announces_no_heads_is_not_waited_for() -> None:
    heads, end = await heads_of([REFUSED, announced(header(7))])
    assert heads == []
    assert "refuses" in end


@pytest.mark.parametrize("noise", ["no json", "{}", announced("null"), announced('{"number":"0x1"}'), "[1]"])
async def test_what_is_no_header_is_a_fault(noise: str) -> None:
    heads, end = await heads_of([SUBSCRIBED, announced(header(7)), noise])
    assert heads == [7]
    assert "header" in end


async def test_a_socket_that_closes_before_it_answers_is_a_fault() -> None:
    heads, end = await heads_of([])
    assert heads == []
    assert "closed" in end
