"""The whole path in one process: a devnet, an indexer that follows it, and the API over the same database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from app.api.app import create_app
from app.api.source import ReadPath
from app.chain.heads import follow_heads
from app.chain.reader import ChainReader
from app.chain.rpc import Rpc
from app.domain.market import Deployment
from app.domain.specs import chain_spec
from app.indexer.loop import Indexer
from app.settings import load_settings
from app.store.deployments import register_deployments
from app.store.postgres.engine import Database
from app.web.routes import mount_pages
from devnet.world import World


class Following:
    """A world that is being followed, and a client of the API that answers for it."""

    def __init__(self, world: World, database: Database, indexer: Indexer, api: httpx.AsyncClient) -> None:
        self.world = world
        self.database = database
        self.indexer = indexer
        self.api = api

    async def caught_up(self) -> None:
        """Wait until the newest block of the world is stored."""
        async with asyncio.timeout(120):
            while self.indexer.cursor is None or self.indexer.cursor.number < self.world.block_number:
                await asyncio.sleep(0.001)

    async def all_read(self) -> None:
        """Mine until every account found in old logs is read: each block reads a bounded number of them."""
        for _ in range(100):
            self.world.mine()
            await self.caught_up()
            chains = (await self.get("/v1/status"))["chains"]
            if not any(one["pending_reads"] for one in chains if one["chain_id"] == self.world.chain_id):
                return
        raise AssertionError("accounts found in old logs are never read")

    async def get(self, path: str, **query: object) -> Any:
        """A successful answer of the API, as plain JSON."""
        answer = await self.api.get(path, params={name: str(value) for name, value in query.items()})
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()


def deployments_of(world: World, folder: Path) -> list[Deployment]:
    """What the world deployed, as the product itself learns of it: through the deployments file."""
    path = folder / f"deployments-{world.chain_id}.json"
    path.write_text(json.dumps(world.deployments()))
    return list(load_settings({"DEPLOYMENTS_FILE": str(path)}).extra_deployments)


@asynccontextmanager
async def following(world: World, database: Database, folder: Path) -> AsyncIterator[Following]:
    """Follow `world` into `database` until the block is left. All old logs are searched and read before it begins."""
    async with following_all([world], database, folder) as (followed,):
        yield followed


@asynccontextmanager
async def following_all(
    worlds: Sequence[World], database: Database, folder: Path
) -> AsyncIterator[tuple[Following, ...]]:
    """Follow several worlds, each of its own chain id, into one database behind one API and its pages."""
    app = create_app(database)
    mount_pages(app, ReadPath(app.state.read_context))
    transport = httpx.ASGITransport(app)
    async with AsyncExitStack() as resources:
        resources.push_async_callback(app.state.read_context.aclose)
        api = await resources.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://waterline"))
        followed = [
            Following(world, database, await resources.enter_async_context(_indexing(world, database, folder)), api)
            for world in worlds
        ]
        for one in followed:
            await one.all_read()
        yield tuple(followed)


@asynccontextmanager
async def _indexing(world: World, database: Database, folder: Path) -> AsyncIterator[Indexer]:
    """An indexer that has searched all old logs and goes on until the block is left."""
    spec = chain_spec(world.chain_id)
    reader = ChainReader(Rpc(world.rpc_url), spec)
    heads = lambda: follow_heads(reader, world.ws_url, 0.2)  # noqa: E731
    deployments = deployments_of(world, folder)
    async with database.write() as session:
        await register_deployments(session, deployments)
    indexer = Indexer(reader, database, spec, deployments, heads)
    task: asyncio.Task[None] | None = None
    try:
        await indexer.run_until(world.block_number, scanned=True)
        task = asyncio.create_task(indexer.run())
        yield indexer
    finally:
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await reader.aclose()
