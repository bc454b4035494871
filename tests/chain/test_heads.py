"""Following heads: pushed, polled, and both; slow consumers, silent sockets, clean ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from app.chain.faults import Transport, WrongChain
from app.chain.heads import HeadStream, follow_heads
from app.chain.wire import Header
from app.domain.chain import BlockRef, Hash32
from app.errors import Refused

SOON = 0.001
NEVER = 3600.0


def header(number: int, fork: int = 0) -> Header:
    name = bytes([fork]) + number.to_bytes(31, "big")
    return Header(BlockRef(31337, number, Hash32(name), Hash32(bytes(32)), number), b"")


class Reader:
    """Answers polls with `head`, or raises it."""

    chain_id = 31337

    def __init__(self, head: Header | Exception | None) -> None:
        self.head = head
        self.polls = 0

    async def fetch_header(self, at: str) -> Header | None:
        self.polls += 1
        await asyncio.sleep(0)
        if isinstance(self.head, Exception):
            raise self.head
        return self.head


class Socket:
    """Connections that yield what is put into `heads` and break when an exception is."""

    def __init__(self) -> None:
        self.heads: asyncio.Queue[Header | Exception] = asyncio.Queue()
        self.opened = 0
        self.closed = 0

    async def stream(self) -> AsyncGenerator[Header, None]:
        self.opened += 1
        try:
            while True:
                head = await self.heads.get()
                if isinstance(head, Exception):
                    raise head
                yield head
        finally:
            self.closed += 1


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def follow(reader: Reader, poll: float, stream: HeadStream | None = None) -> AsyncGenerator[Header, None]:
    return follow_heads(reader, None, poll, stream=stream)


@pytest.fixture(autouse=True)
async def _nothing_is_left_running() -> AsyncGenerator[None, None]:
    yield
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture(autouse=True)
def _no_pause_between_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.chain.heads._FIRST_PAUSE_SECONDS", SOON)


async def test_polling_gives_the_present_head_first_and_then_every_other() -> None:
    reader = Reader(header(7))
    async with aclosing(follow(reader, SOON)) as heads:
        assert await anext(heads) == header(7)
        reader.head = header(8)
        assert await anext(heads) == header(8)
        reader.head = header(8, fork=1)
        assert await anext(heads) == header(8, fork=1), "the same height with another hash is another head"
        reader.head = header(3, fork=1)
        assert await anext(heads) == header(3, fork=1)


async def test_a_head_that_stays_is_given_once() -> None:
    reader = Reader(header(7))
    async with aclosing(follow(reader, SOON)) as heads:
        await anext(heads)
        waiting = asyncio.ensure_future(anext(heads))
        while reader.polls < 5:
            await asyncio.sleep(SOON)
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_a_node_without_a_head_yet_is_asked_again() -> None:
    reader = Reader(None)
    async with aclosing(follow(reader, SOON)) as heads:
        waiting = asyncio.ensure_future(anext(heads))
        await settle()
        reader.head = header(0)
        assert await waiting == header(0)


async def test_a_slow_consumer_gets_the_newest_head_and_no_old_one() -> None:
    socket = Socket()
    async with aclosing(follow(Reader(header(1)), NEVER, socket.stream)) as heads:
        assert await anext(heads) == header(1)
        for number in range(2, 500):
            socket.heads.put_nowait(header(number))
        while not socket.heads.empty():
            await asyncio.sleep(0)
        await settle()
        assert await anext(heads) == header(499)


async def test_pushed_heads_arrive_without_polling() -> None:
    socket, reader = Socket(), Reader(header(1))
    async with aclosing(follow(reader, NEVER, socket.stream)) as heads:
        await anext(heads)
        for number in range(2, 5):
            socket.heads.put_nowait(header(number))
            assert await anext(heads) == header(number)
    assert reader.polls == 1
    assert socket.closed == socket.opened == 1


async def test_a_broken_socket_is_opened_again() -> None:
    socket = Socket()
    async with aclosing(follow(Reader(header(1)), NEVER, socket.stream)) as heads:
        await anext(heads)
        socket.heads.put_nowait(Transport("cut"))
        socket.heads.put_nowait(header(2))
        assert await anext(heads) == header(2)
    assert socket.closed == socket.opened == 2


async def test_a_silent_socket_loses_no_head_and_is_replaced() -> None:
    socket, reader = Socket(), Reader(header(1))
    async with aclosing(follow(reader, SOON, socket.stream)) as heads:
        number = 1
        async for head in heads:
            assert head == header(number)
            if socket.opened > 1:
                break
            number += 1
            reader.head = header(number)
    assert socket.closed == socket.opened == 2


async def test_a_socket_survives_a_node_that_cannot_be_polled() -> None:
    socket, reader = Socket(), Reader(header(1))
    async with aclosing(follow(reader, SOON, socket.stream)) as heads:
        await anext(heads)
        socket.heads.put_nowait(header(2))
        assert await anext(heads) == header(2)


async def test_a_node_that_cannot_be_polled_is_a_fault_when_nothing_is_pushed() -> None:
    reader = Reader(header(1))
    async with aclosing(follow(reader, SOON)) as heads:
        await anext(heads)
        reader.head = Transport("down")
        with pytest.raises(Transport, match="down"):
            await anext(heads)


async def test_what_must_stop_the_chain_is_raised() -> None:
    async with aclosing(follow(Reader(WrongChain("other chain")), SOON)) as heads:
        with pytest.raises(WrongChain):
            await anext(heads)


async def test_a_head_that_was_not_taken_yet_comes_before_the_fault() -> None:
    reader = Reader(header(1))
    async with aclosing(follow(reader, SOON)) as heads:
        await anext(heads)
        reader.head = header(2)
        while reader.polls < 4:
            await asyncio.sleep(SOON)
        reader.head = Transport("down")
        while reader.polls < 8 and len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(SOON)
        assert await anext(heads) == header(2)
        with pytest.raises(Transport):
            await anext(heads)


async def test_cancelling_the_consumer_ends_everything() -> None:
    socket = Socket()

    async def consume() -> None:
        async with aclosing(follow(Reader(header(1)), NEVER, socket.stream)) as heads:
            async for _ in heads:
                pass

    task = asyncio.create_task(consume())
    await settle()
    assert socket.opened == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert socket.closed == 1


async def test_a_socket_url_that_is_none_is_refused_without_repeating_it() -> None:
    with pytest.raises(Refused, match="ws://") as caught:
        await anext(follow_heads(Reader(header(1)), "http://node/s3cr3t", SOON))
    assert "s3cr3t" not in str(caught.value)
