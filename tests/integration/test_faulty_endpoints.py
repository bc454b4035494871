"""A chain followed through endpoints that fail: the tables are those of a run without faults, and nothing is shown.

`FAULTY_BLOCKS=2000` makes the long run; what it prints (`-s`) is the loss of throughput and the times to recover.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from app.api.app import create_app
from app.api.frame.deps import ApiOptions
from app.api.source import ReadPath
from app.chain.pool import ReaderPool
from app.domain.endpoint import EndpointHealth
from app.following import endpoint_pool, pooled_heads
from app.indexer.endpoints import EndpointMetrics, EndpointRecorder
from app.indexer.loop import Indexer
from app.settings import load_settings
from app.store.postgres.engine import Database
from app.web.routes import mount_pages
from devnet.world import World
from tests.fakes.proxy import Faults, FaultyProxy
from tests.fixtures.devnet import WorldFactory
from tests.indexer.conftest import MakeDatabase, make_database
from tests.indexer.tables import assert_same_tables, dump_tables
from tests.integration.following import deployments_of
from tests.integration.test_indexer_devnet import follower

pytestmark = [pytest.mark.database, pytest.mark.devnet, pytest.mark.timeout(7_200)]

__all__ = ["make_database"]

BLOCKS = int(os.environ.get("FAULTY_BLOCKS", "60"))
CLEAN_BLOCKS = min(50, BLOCKS // 5)
"""Followed by the same indexer through the same proxies, once they stop spoiling: what the loss is measured against."""
REORG_EVERY = 50
MARKER = "s3cr3t-marker"
CHAIN = 31337


class Followed:
    """An indexer that follows a world through proxies."""

    def __init__(self, pool: ReaderPool, indexer: Indexer, metrics: CollectorRegistry) -> None:
        self.pool = pool
        self.indexer = indexer
        self.metrics = metrics

    def healths(self) -> list[EndpointHealth]:
        return [endpoint.health for endpoint in self.pool.endpoints]

    async def stores(self, world: World) -> float:
        """Wait until the world's newest block is stored, by its hash."""
        wanted = str(world.chain.client.call("eth_getBlockByNumber", "latest", False)["hash"])
        return await until(lambda: self.indexer.cursor is not None and str(self.indexer.cursor.hash) == wanted)


async def until(holds: Callable[[], bool]) -> float:
    started = time.perf_counter()
    async with asyncio.timeout(120):
        while not holds():
            await asyncio.sleep(0.002)
    return time.perf_counter() - started


@asynccontextmanager
async def proxies(world: World, *faults: Faults) -> AsyncIterator[list[FaultyProxy]]:
    async with AsyncExitStack() as stack:
        made = [FaultyProxy(world.rpc_url, seed=seed, faults=each) for seed, each in enumerate(faults, 1)]
        yield [await stack.enter_async_context(each.running()) for each in made]


@asynccontextmanager
async def following(
    world: World, database: Database, folder: Path, through: list[FaultyProxy], poll_seconds: float = 0.2
) -> AsyncIterator[Followed]:
    """Follow `world` through endpoints whose URLs are full of secrets, until the block is left.

    All old logs are searched before it begins: at which block what they name is read would otherwise be chance.
    """
    secret = {"credentials": f"{MARKER}:{MARKER}@", "path": f"v3/{MARKER}?key={MARKER}"}
    settings = load_settings(
        {
            f"RPC_URL_{CHAIN}": ",".join(one.url(**secret) for one in through),
            f"WS_URL_{CHAIN}": " ".join(one.url("ws", **secret) for one in through),
        }
    )
    deployments = deployments_of(world, folder)
    registry = CollectorRegistry()
    metrics = EndpointMetrics(registry)
    async with endpoint_pool(settings.require_chain(CHAIN), deployments, metrics.counter(CHAIN)) as pool:
        heads = lambda: pooled_heads(pool, database, poll_seconds)  # noqa: E731
        indexer = Indexer(pool, database, pool.spec, deployments, heads)
        await indexer.run_until(world.block_number, scanned=True)
        tasks = [
            asyncio.create_task(indexer.run()),
            asyncio.create_task(EndpointRecorder(pool, database, metrics).run()),
        ]
        try:
            yield Followed(pool, indexer, registry)
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task


async def test_through_two_faulty_endpoints_the_tables_are_those_of_a_run_without_faults(
    make_world: WorldFactory, make_database: MakeDatabase, tmp_path: Path
) -> None:
    world = make_world(seed=51, wallets=30, keep_states=BLOCKS + 300)
    faulty, straight = make_database(), make_database()
    first = world.block_number
    drawn = random.Random(51)
    spoiling = Faults(error_rate=0.05, timeout_rate=0.02, heads_per_socket=40)
    seconds = 0.0
    narrow = Faults(error_rate=0.05, timeout_rate=0.02, range_blocks=7)
    async with proxies(world, spoiling, narrow) as through:  # noqa: SIM117 - what follows needs the proxies' names
        async with following(world, faulty.database, tmp_path, through) as followed:
            for block in range(1, BLOCKS + 1):
                await asyncio.to_thread(world.step)
                seconds += await followed.stores(world)
                if block % REORG_EVERY == 0:
                    await asyncio.to_thread(world.reorg, drawn.randint(1, 6))
                    await asyncio.to_thread(world.step)
                    await followed.stores(world)
            while not any(one.spoiled["timeout"] for one in through):  # one in fifty requests, by chance
                await asyncio.to_thread(world.step)
                await followed.stores(world)
            spoiled = [dict(one.spoiled) for one in through]
            through[0].faults, through[1].faults = Faults(), Faults()
            clean = 0.0
            for _ in range(CLEAN_BLOCKS):
                await asyncio.to_thread(world.step)
                clean += await followed.stores(world)

    async with follower(world, straight.database, tmp_path) as one:
        for number in range(first, world.block_number + 1):
            await one.follow_to(number)
    assert_same_tables(dump_tables(faulty.url), dump_tables(straight.url))
    clean_ms, faulty_ms = clean / CLEAN_BLOCKS * 1000, seconds / BLOCKS * 1000
    print(f"\n{BLOCKS} blocks: {faulty_ms:.0f} ms a block through faults, {clean_ms:.0f} ms without", end=": ")
    print(f"throughput {1 - clean_ms / faulty_ms:.0%} lower; faults {spoiled}")


async def test_an_endpoint_that_stays_behind_is_left_out_and_taken_back_when_it_has_caught_up(
    make_world: WorldFactory, make_database: MakeDatabase, tmp_path: Path
) -> None:
    world = make_world(seed=52, wallets=10)
    place = make_database()
    async with (
        proxies(world, Faults(), Faults()) as through,
        following(world, place.database, tmp_path, through) as followed,
    ):
        await followed.stores(world)
        through[0].faults.frozen_at = world.block_number
        for _ in range(6):
            await asyncio.to_thread(world.step)
            await followed.stores(world)
        await until(lambda: followed.healths() == [EndpointHealth.LAGGING, EndpointHealth.HEALTHY])
        await through[1].die()  # the one that is left is behind what is stored: nothing goes back
        stored = followed.indexer.cursor
        await asyncio.sleep(1.5)
        assert followed.indexer.cursor == stored
        through[0].faults.frozen_at = None
        await asyncio.to_thread(world.step)
        await followed.stores(world)
        through[1].revive()
        await until(lambda: followed.healths() == [EndpointHealth.HEALTHY] * 2)


async def test_a_socket_that_falls_silent_or_an_endpoint_that_changes_its_chain_costs_no_block(
    make_world: WorldFactory, make_database: MakeDatabase, tmp_path: Path
) -> None:
    world = make_world(seed=53, wallets=10)
    place = make_database()
    async with (
        proxies(world, Faults(), Faults(mute=True)) as through,
        following(world, place.database, tmp_path, through) as followed,
    ):
        await followed.stores(world)
        first = world.block_number
        through[0].faults.mute = True
        for _ in range(4):
            await asyncio.to_thread(world.step)
            await followed.stores(world)
        through[0].faults.chain_id = 5
        await through[0].die()
        for _ in range(4):
            await asyncio.to_thread(world.step)
            await followed.stores(world)
        through[0].revive()
        await until(lambda: followed.healths() == [EndpointHealth.WRONG_CHAIN, EndpointHealth.HEALTHY])
        with place.connect() as connection:
            row = connection.execute("SELECT count(*) FROM blocks WHERE number >= %s", (first,)).fetchone()
        assert row == (9,)


async def test_with_every_endpoint_down_answers_are_stale_with_the_reason_and_it_recovers_by_itself(
    make_world: WorldFactory, make_database: MakeDatabase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    world = make_world(seed=54, wallets=10)
    place = make_database()
    app = create_app(place.database, ApiOptions(chain_ids=(CHAIN,)))
    mount_pages(app, ReadPath(app.state.read_context))
    api = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://waterline")
    shown: list[str] = []

    async def ready(wanted: int) -> float:
        started = time.perf_counter()
        async with asyncio.timeout(120):
            while (answer := await api.get("/ready")).status_code != wanted:
                await asyncio.sleep(0.02)
        shown.append(answer.text)
        return time.perf_counter() - started

    async with AsyncExitStack() as stack:
        stack.push_async_callback(app.state.read_context.aclose)
        stack.push_async_callback(api.aclose)
        through = await stack.enter_async_context(proxies(world, Faults(echo_url=True), Faults(echo_url=True)))
        followed = await stack.enter_async_context(following(world, place.database, tmp_path, through))
        for _ in range(8):  # until what was found in old logs is read
            await asyncio.to_thread(world.step_live)
            await followed.stores(world)
        await ready(200)
        await asyncio.gather(*(one.die() for one in through))
        down_seconds = await ready(503)
        answer = (await api.get(f"/v1/wallets/{world.wallets[0]}")).json()
        assert answer["as_of"]["stale"], answer
        assert "no endpoint" in answer["as_of"]["stale_reason"] or "no answer" in answer["as_of"]["stale_reason"]
        shown.append((await api.get(f"/wallet/{world.wallets[0]}", follow_redirects=True)).text)
        await asyncio.sleep(3.0)
        shown.append((await api.get("/v1/status")).text)
        for one in through:
            one.faults.error_rate = 0.3
            one.revive()
        await asyncio.to_thread(world.step_live)
        up_seconds = await followed.stores(world)
        await ready(200)
        while not any(one.spoiled["status"] or one.spoiled["error"] for one in through):
            await asyncio.to_thread(world.step_live)
            await followed.stores(world)
        shown += [(await api.get(path)).text for path in ("/v1/status", "/metrics")]
        shown.append(generate_latest(followed.metrics).decode())
        shown += [repr(followed.pool), repr(followed.pool.statuses()), followed.pool.label]
    assert 'waterline_rpc_requests_total{chain="31337",endpoint="#1 127.0.0.1:' in "".join(shown)
    told = "\n".join([*shown, caplog.text, *(str(record.exc_info) for record in caplog.records)])
    assert MARKER not in told
    print(
        f"\n/ready failed after {down_seconds:.2f} s; {up_seconds:.2f} s after endpoints were back a block was stored"
    )
