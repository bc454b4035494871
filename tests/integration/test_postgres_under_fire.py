"""The database killed, restarted, and out of room, while indexer, monitor and API are at work on it.

Nobody lends a hand but what `waterline up` itself does: the server is started again when it has ended.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from app.api.app import create_app
from app.api.source import ReadPath
from app.chain.heads import follow_heads
from app.chain.reader import ChainReader
from app.chain.rpc import Rpc
from app.domain.specs import chain_spec
from app.indexer.loop import Indexer
from app.launch import keep_running
from app.monitor.loop import Monitor
from app.monitor.options import MonitorOptions
from app.store.postgres import migrate
from app.store.postgres.embedded import EmbeddedPostgres
from app.store.postgres.engine import Database
from app.web.routes import mount_pages
from devnet.world import World
from tests.fixtures.devnet import WorldFactory
from tests.indexer.conftest import MakeDatabase, make_database
from tests.indexer.tables import assert_same_tables, dump_tables
from tests.integration.following import deployments_of
from tests.integration.processes import assert_unbroken
from tests.integration.test_indexer_devnet import follower, run_straight

pytestmark = [pytest.mark.database, pytest.mark.devnet, pytest.mark.timeout(7_200)]

__all__ = ["make_database"]

ROUNDS = int(os.environ.get("POSTGRES_DEATHS", "2"))
SMALL = {"shared_buffers": "16MB", "min_wal_size": "32MB", "max_wal_size": "32MB", "fsync": "off"}
ROOM_MB = 192
BALLAST = 2**16


class Parts:
    """All that works on one database, in this process."""

    def __init__(self, world: World, indexer: Indexer, monitor: Monitor, api: httpx.AsyncClient) -> None:
        self._world = world
        self.indexer = indexer
        self._monitor = monitor
        self._api = api
        self.tasks: list[asyncio.Task[None]] = []

    def require_alive(self) -> None:
        """Nobody has ended, however things are."""
        for task in self.tasks:
            assert not task.done(), task.exception()

    async def steps(self, count: int) -> None:
        for _ in range(count):
            await asyncio.to_thread(self._world.step)
            await self.caught_up()

    async def caught_up(self, seconds: float = 60) -> None:
        """Wait until the newest block is indexed, valued, and answered for."""

        def is_there() -> bool:
            indexed, written = self.indexer.cursor, self._monitor.written
            return (
                indexed is not None
                and indexed.number == self._world.block_number
                and (written is not None and written.ref == indexed)
            )

        await self.until(is_there, seconds)
        answer = await self.ask()
        assert answer.status_code == 200, answer.text
        assert answer.json()["as_of"]["block_number"] == self._world.block_number

    async def until(self, holds: Callable[[], bool], seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                self.require_alive()
                await asyncio.sleep(0.005)

    async def ask(self) -> httpx.Response:
        """One wallet's answer; a fault inside the service would be raised here."""
        return await self._api.get(f"/v1/wallets/{self._world.wallets[0]}")


@asynccontextmanager
async def all_parts(world: World, database: Database, folder: Path) -> AsyncIterator[Parts]:
    """Indexer, monitor and API over one database, with all old logs searched."""
    spec = chain_spec(world.chain_id)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.dispose)
        reader = ChainReader(Rpc(world.rpc_url), spec)
        stack.push_async_callback(reader.aclose)
        app = create_app(database)
        mount_pages(app, ReadPath(app.state.read_context))
        stack.push_async_callback(app.state.read_context.aclose)
        api = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://waterline")
        await stack.enter_async_context(api)
        heads = lambda: follow_heads(reader, world.ws_url, 0.2)  # noqa: E731
        indexer = Indexer(reader, database, spec, deployments_of(world, folder), heads)
        await indexer.run_until(world.block_number, scanned=True)
        monitor = Monitor(database, world.chain_id, options=MonitorOptions(poll_seconds=0.5))
        parts = Parts(world, indexer, monitor, api)
        parts.tasks = [asyncio.create_task(indexer.run()), asyncio.create_task(monitor.run())]
        try:
            yield parts
        finally:
            for task in parts.tasks:
                task.cancel()
            await asyncio.gather(*parts.tasks, return_exceptions=True)


@asynccontextmanager
async def own_server(directory: Path, settings: Mapping[str, str]) -> AsyncIterator[EmbeddedPostgres]:
    """A migrated server of the test's own that comes back whenever it has ended."""
    with EmbeddedPostgres(directory / "data", settings) as server:
        await asyncio.to_thread(migrate.upgrade, server.url)
        keeping = asyncio.create_task(keep_running(server))
        try:
            yield server
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="waterline-test-") as name:
        Path(name).chmod(0o711)  # the server runs as another user
        yield Path(name)


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGINT], ids=["killed", "stopped"])
async def test_the_database_ends_and_comes_back_and_all_parts_go_on_by_themselves(
    make_world: WorldFactory, make_database: MakeDatabase, directory: Path, tmp_path: Path, with_signal: signal.Signals
) -> None:
    world = make_world(seed=62, wallets=20)
    straight = make_database()
    first = world.block_number
    seconds: list[float] = []
    async with own_server(directory, {"fsync": "off"}) as server:
        database = Database(server.url)
        async with follower(world, database, tmp_path) as one:
            await one.follow_to(first)
        async with all_parts(world, database, tmp_path) as parts:
            await parts.steps(3)
            for _ in range(ROUNDS):
                os.kill(int((directory / "data" / "postmaster.pid").read_text().split()[0]), with_signal)
                ended = time.perf_counter()
                await parts.until(server.has_ended)
                for _ in range(3):
                    await asyncio.to_thread(world.step)
                    answer = await parts.ask()
                    assert answer.status_code in (200, 503), answer.text
                await parts.caught_up()
                seconds.append(time.perf_counter() - ended)
                await parts.steps(2)
        with psycopg.connect(server.url) as connection:
            assert_unbroken(connection, world.chain_id)
        found = dump_tables(server.url)
    await run_straight(world, straight, tmp_path, first)
    assert_same_tables(found, dump_tables(straight.url))
    print(f"\nindexed, valued and answered again {', '.join(f'{one:.1f}' for one in seconds)} s after the server ended")


@contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    """A file system with little room; skips where none may be mounted."""
    mounted = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", f"size={ROOM_MB}m,mode=711", "tmpfs", str(directory)),
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("no tmpfs can be mounted here: that takes root")
    try:
        yield directory
    finally:
        subprocess.run(("umount", str(directory)), check=True)


def fill(path: Path) -> None:
    """Leave no room."""
    with path.open("ab", buffering=0) as ballast:
        piece = bytes(BALLAST)
        try:
            while True:
                ballast.write(piece)
        except OSError:
            return


async def test_a_full_disk_is_said_stores_nothing_by_halves_and_is_over_when_there_is_room(
    make_world: WorldFactory,
    make_database: MakeDatabase,
    directory: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    world = make_world(seed=63, wallets=20, keep_states=1_000)
    straight = make_database()
    first = world.block_number
    with small_disk(directory):
        async with own_server(directory, SMALL) as server:
            database = Database(server.url)
            async with follower(world, database, tmp_path) as one:
                await one.follow_to(first)
            async with all_parts(world, database, tmp_path) as parts:
                await parts.steps(2)
                ballast = directory / "ballast"
                fill(ballast)
                while "No space left" not in caplog.text:
                    await asyncio.to_thread(world.step)
                    await asyncio.sleep(0.05)
                    fill(ballast)  # what Postgres has freed meanwhile
                    parts.require_alive()
                stood = parts.indexer.cursor
                await asyncio.to_thread(world.step)
                await asyncio.sleep(1)
                parts.require_alive()
                assert (await parts.ask()).status_code in (200, 503)
                ballast.unlink()
                await parts.caught_up()
                await parts.steps(3)
            with psycopg.connect(server.url) as connection:
                assert_unbroken(connection, world.chain_id)
            found = dump_tables(server.url)
    assert stood is not None
    await run_straight(world, straight, tmp_path, first)
    assert_same_tables(found, dump_tables(straight.url))
    print(f"\nthe disk was full at block {stood.number - first} of {world.block_number - first}")
