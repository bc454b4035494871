from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import pytest

from app.api.frame import stream as stream_module
from app.api.frame.stream import BlockCommitted, BlockStream
from app.errors import Retryable


@asynccontextmanager
async def _silence(_: str) -> AsyncIterator[str]:
    yield aiter(_Payloads([]))


class _Payloads:
    """Gives the payloads; then raises, or waits for ever."""

    def __init__(self, payloads: list[str], end: Exception | None = None) -> None:
        self._payloads = payloads
        self._end = end

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        if self._payloads:
            return self._payloads.pop(0)
        if self._end is not None:
            raise self._end
        await asyncio.Event().wait()
        raise AssertionError


def _stream(listen: object = _silence, subscribers: int = 5, heartbeat: float = 60.0) -> BlockStream:
    return BlockStream(listen, subscribers, heartbeat)  # type: ignore[arg-type]


async def _next(events: AsyncIterator[BlockCommitted | None]) -> BlockCommitted | None:
    return await anext(events)


async def _subscribe(stream: BlockStream) -> tuple[AsyncIterator[BlockCommitted | None], asyncio.Task[object]]:
    """An open stream, and the task that waits for its first event."""
    events = stream.events()
    waiting: asyncio.Task[object] = asyncio.create_task(_next(events))
    await asyncio.sleep(0)
    return events, waiting


async def test_every_subscriber_hears_of_every_block() -> None:
    stream = _stream()
    opened = [await _subscribe(stream) for _ in range(3)]
    assert stream.subscribers == 3
    stream.publish(BlockCommitted(1, 5))
    stream.publish(BlockCommitted(10, 6))
    for events, first in opened:
        assert await first == BlockCommitted(1, 5)
        assert await anext(events) == BlockCommitted(10, 6)


async def test_a_slow_subscriber_loses_the_oldest_news_never_the_newest() -> None:
    stream = _stream()
    events, first = await _subscribe(stream)
    stream.publish(BlockCommitted(1, 0))
    await first
    for number in range(1, 1001):
        stream.publish(BlockCommitted(1, number))
    heard = [await anext(events) for _ in range(64)]
    assert heard[-1] == BlockCommitted(1, 1000)
    assert heard[0] == BlockCommitted(1, 937)


async def test_silence_is_broken_by_heartbeats() -> None:
    stream = _stream(heartbeat=0.0)
    events = stream.events()
    assert [await anext(events) for _ in range(3)] == [None, None, None]


async def test_closing_ends_every_stream_and_admits_no_more() -> None:
    stream = _stream()
    _, first = await _subscribe(stream)
    stream.close()
    with pytest.raises(StopAsyncIteration):
        await first
    assert stream.subscribers == 0
    assert stream.is_full
    assert [news async for news in stream.events()] == []


async def test_places_are_bounded() -> None:
    stream = _stream(subscribers=1)
    assert not stream.is_full
    _, waiting = await _subscribe(stream)
    assert stream.is_full
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not stream.is_full


async def test_notifications_survive_a_lost_connection_and_foreign_payloads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "_RECONNECT_SECONDS", 0.0)
    connections = 0

    @asynccontextmanager
    async def listen(channel: str) -> AsyncIterator[_Payloads]:
        nonlocal connections
        connections += 1
        assert channel == "waterline_blocks"
        lost = ["1:7", "not ours", "1:-1"], Retryable("connection lost")
        yield _Payloads(*lost) if connections == 1 else _Payloads(["1:8"])

    stream = _stream(listen)
    events, first = await _subscribe(stream)
    running = asyncio.create_task(stream.run())
    assert await first == BlockCommitted(1, 7)
    assert await anext(events) == BlockCommitted(1, 8)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert connections == 2


async def test_the_generation_is_known_only_while_listening_and_moves_with_every_notification() -> None:
    stream = _stream(lambda _: nullcontext(_Payloads(["1:7", "1:-1"])))
    assert stream.generation is None
    running = asyncio.create_task(stream.run())
    await asyncio.sleep(0)
    assert stream.generation == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert stream.generation is None
