"""Waiting for heads with a limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from app.chain.faults import Transport
from app.chain.reader import Header
from app.errors import Fatal
from app.indexer.feed import FeedEnded, HeadCame, HeadFeed
from tests.indexer.model import ModelChain

HEAD = Header(ModelChain(seed=1).head.ref, b"")


async def test_a_head_that_comes_after_the_limit_is_not_lost() -> None:
    gate = asyncio.Event()

    async def heads() -> AsyncGenerator[Header, None]:
        await gate.wait()
        yield HEAD

    async with HeadFeed(heads()) as feed:
        assert await feed.take(0) is None
        gate.set()
        assert await feed.take(60) == HEAD


async def test_work_that_can_wait_is_done_before_the_next_head_or_given_up_for_it() -> None:
    gate, ended = asyncio.Event(), asyncio.Event()

    async def heads() -> AsyncGenerator[Header, None]:
        await gate.wait()
        yield HEAD

    async def quick() -> int:
        return 7

    async def slow() -> None:
        try:
            gate.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with HeadFeed(heads()) as feed:
        assert await feed.before_next(quick()) == 7
        with pytest.raises(HeadCame):
            await feed.before_next(slow())
        assert ended.is_set()
        assert await feed.take(0) == HEAD


async def test_what_work_raises_is_raised() -> None:
    async def heads() -> AsyncGenerator[Header, None]:
        await asyncio.Event().wait()
        yield HEAD

    async def failing() -> None:
        raise Transport("gone")

    async with HeadFeed(heads()) as feed:
        with pytest.raises(Transport):
            await feed.before_next(failing())


async def test_a_stream_that_ends_or_fails_is_over() -> None:
    async def ending() -> AsyncGenerator[Header, None]:
        yield HEAD

    async def failing() -> AsyncGenerator[Header, None]:
        raise Transport("gone")
        yield HEAD

    async with HeadFeed(ending()) as feed:
        assert await feed.take(60) == HEAD
        with pytest.raises(FeedEnded):
            await feed.take(60)
    async with HeadFeed(failing()) as feed:
        with pytest.raises(FeedEnded, match="gone"):
            await feed.take(60)


async def test_what_must_stop_the_chain_passes_through() -> None:
    async def failing() -> AsyncGenerator[Header, None]:
        raise Fatal("another chain")
        yield HEAD

    async with HeadFeed(failing()) as feed:
        with pytest.raises(Fatal, match="another chain"):
            await feed.take(60)


async def test_leaving_while_a_head_is_awaited_ends_the_stream() -> None:
    ended = asyncio.Event()

    async def heads() -> AsyncGenerator[Header, None]:
        try:
            await asyncio.Event().wait()
            yield HEAD
        finally:
            ended.set()

    async with HeadFeed(heads()) as feed:
        assert await feed.take(0) is None
    assert ended.is_set()


async def test_work_goes_on_when_a_head_comes_before_it_is_done() -> None:
    gate, done = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def heads() -> AsyncGenerator[Header, None]:
        await gate.wait()
        yield HEAD
        await asyncio.Event().wait()

    async with HeadFeed(heads()) as feed:
        waiting = asyncio.create_task(feed.comes_before(done))
        await asyncio.sleep(0)
        assert not waiting.done()
        gate.set()
        assert await waiting
        assert await feed.take(0) == HEAD
        done.set_result(None)
        assert not await feed.comes_before(done)
