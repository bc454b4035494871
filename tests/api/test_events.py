"""The event stream over a real server and the database's own notifications."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn

from app.api.frame.deps import ApiOptions
from app.store.postgres.engine import Database
from tests.fakes.site import DEVNET, Site, open_site

pytestmark = pytest.mark.database


@asynccontextmanager
async def _served(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """The site on a free port of the loopback; stopped as `waterline serve` stops it."""
    server = uvicorn.Server(uvicorn.Config(site.app, port=0, log_config=None, lifespan="on", ws="none"))
    serving = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        site.app.state.read_context.stream.close()
        server.should_exit = True
        await serving
        await site.client.aclose()


async def _next_data(lines: AsyncIterator[str]) -> str:
    async for line in lines:
        if line.startswith("data: "):
            return line.removeprefix("data: ")
    raise AssertionError("the stream ended")


async def _commit_until_heard(site: Site, lines: AsyncIterator[str]) -> str:
    """Listening begins in the background: commit blocks until one is heard of."""
    heard = asyncio.create_task(_next_data(lines))
    number = 1
    while not heard.done():
        await site.commit(number, bare=True)
        number += 1
        await asyncio.wait((heard,), timeout=0.05)
    return await heard


async def test_a_committed_block_is_news_and_closing_ends_the_stream(database: Database) -> None:
    site = open_site(database)
    async with _served(site) as client, client.stream("GET", "/v1/stream") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in answer.headers
        lines = answer.aiter_lines()
        data = await _commit_until_heard(site, lines)
        assert data.startswith(f'{{"chain_id":{DEVNET},"block_number":')
        site.app.state.read_context.stream.close()
        rest = [line async for line in lines]
        assert all(line == "" or line.startswith(("event", "data", ":")) for line in rest)


async def test_beyond_the_places_there_is_a_problem_to_come_back_for(database: Database) -> None:
    site = open_site(database, ApiOptions(stream_subscribers=1))
    async with _served(site) as client, client.stream("GET", "/v1/stream") as answer:
        async for _ in answer.aiter_lines():
            break
        stream = site.app.state.read_context.stream
        while not stream.is_full:
            await asyncio.sleep(0.01)
        refused = await client.get("/v1/stream")
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "30"
        assert refused.json()["type"] == "/problems/too-many-streams"
