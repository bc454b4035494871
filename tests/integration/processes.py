"""Parts of Waterline as processes of their own, for tests that end them as an operating system would."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from devnet.world import World

_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


async def start_part(*arguments: str, folder: Path, settings: Mapping[str, str]) -> Process:
    """Start `waterline <arguments>` with only these settings; what it says is appended to `said.log` in `folder`."""
    environ = {name: value for name, value in os.environ.items() if name in _KEPT}
    with (folder / "said.log").open("ab") as said:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app",
            *arguments,
            cwd=folder,
            env={**environ, "PYTHONPATH": str(Path.cwd()), **settings},
            stdout=said,
            stderr=said,
        )


@asynccontextmanager
async def part(*arguments: str, folder: Path, settings: Mapping[str, str]) -> AsyncIterator[Process]:
    """The same, ended by SIGTERM when the block is left."""
    process = await start_part(*arguments, folder=folder, settings=settings)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


class Living:
    """A world that makes a block every so often, whoever follows it. While it goes on, nobody else may touch it."""

    def __init__(self, world: World, block_seconds: float, may_go_on: Callable[[], bool] = lambda: True) -> None:
        self._world = world
        self._block_seconds = block_seconds
        self._may_go_on = may_go_on
        self._is_over = False
        self.newest = world.block_number
        self.made_at: dict[int, float] = {}
        """When each block was there, by `time.perf_counter`."""

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Until the block is left; the step that is being made then is made whole."""
        self._is_over = False
        task = asyncio.create_task(self._go_on())
        try:
            yield
        finally:
            self._is_over = True
            await task

    async def _go_on(self) -> None:
        while not self._is_over:
            if self._may_go_on():
                await asyncio.to_thread(self._world.step)
                self.newest = self._world.block_number
                self.made_at[self.newest] = time.perf_counter()
            await asyncio.sleep(self._block_seconds)


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def newest_stored(connection: psycopg.Connection[Any], chain_id: int) -> int:
    """Number of the newest block of a chain, -1 if there is none."""
    (row,) = connection.execute("SELECT max(number) FROM blocks WHERE chain_id = %s", (chain_id,))
    return -1 if row[0] is None else int(row[0])


def assert_unbroken(connection: psycopg.Connection[Any], chain_id: int) -> None:
    """Every block of a chain from the first to the newest is there once, each the child of the one before."""
    (row,) = connection.execute(
        "SELECT count(*) - (max(number) - min(number) + 1), count(*) - count(DISTINCT number) FROM blocks"
        " WHERE chain_id = %s",
        (chain_id,),
    )
    (orphans,) = connection.execute(
        "SELECT count(*) FROM blocks b JOIN blocks a ON a.chain_id = b.chain_id AND a.number = b.number - 1"
        " WHERE b.chain_id = %s AND a.hash <> b.parent_hash",
        (chain_id,),
    )
    assert (row, orphans) == ((0, 0), (0,)), (
        f"of chain {chain_id} missing and double {row}, without their parent {orphans}"
    )
