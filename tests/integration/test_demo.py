"""`waterline demo`, whole: it comes up, it is alive, and when it ends nothing is left."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.devnet, pytest.mark.database, pytest.mark.timeout(300)]


_LOOKS = 2_000
"""A tenth of a second apart. How long it takes is nobody's promise: a machine may be busy."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A temporary folder of the demo's own, with a short path: everything it leaves behind is seen."""
    path = Path(tempfile.mkdtemp(prefix="wl-", dir="/tmp"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def processes_with(text: str) -> list[str]:
    """Command lines of running processes that mention `text`."""
    listed = subprocess.run(("ps", "-eo", "pid,args"), capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if text in line and "ps -eo" not in line]


async def until(client: httpx.AsyncClient, path: str, condition: str) -> httpx.Response:
    for _ in range(_LOOKS):
        try:
            answer = await client.get(path)
            if answer.status_code == 200 and condition in answer.text:
                return answer
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    raise AssertionError(f"{path} never answered with {condition!r}")


async def beyond(client: httpx.AsyncClient, number: int) -> None:
    """Wait for a block above `number` to be indexed: which one is seen first nobody knows."""
    for _ in range(_LOOKS):
        if (await client.get("/v1/status")).json()["chains"][0]["indexed_number"] > number:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"nothing above block {number} was indexed")


@asynccontextmanager
async def living_demo(folder: Path, ending: signal.Signals) -> AsyncIterator[tuple[httpx.AsyncClient, Path]]:
    """The demo from when it is ready until the block is left, and its log. `ending` then ends it without a rest."""
    port, devnet_port = free_port(), free_port()
    environ = {**os.environ, "TMPDIR": str(folder), "PORT": str(port), "DEVNET_PORT": str(devnet_port)}
    log = folder / "log"
    with log.open("wb") as output:
        demo = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app", "demo", env={**environ, "DEVNET_WALLETS": "40"}, stdout=output, stderr=output
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            await until(client, "/ready", "")
            yield client, log
        demo.send_signal(ending)
        assert await asyncio.wait_for(demo.wait(), 60) == 0
    finally:
        if demo.returncode is None:
            demo.kill()
            await demo.wait()
    assert "Traceback" not in log.read_text()
    assert not processes_with(str(folder))
    assert not processes_with(f"--port {devnet_port}")
    assert [path.name for path in folder.iterdir()] == ["log"]


@pytest.mark.usefixtures("make_world")
async def test_the_demo_comes_up_lives_and_leaves_nothing_behind(folder: Path) -> None:
    async with living_demo(folder, signal.SIGINT) as (client, log):
        first = (await until(client, "/v1/status", '"ready":true')).json()["chains"][0]["indexed_number"]
        for _ in range(_LOOKS):
            if "Wallets worth" in log.read_text():
                break
            await asyncio.sleep(0.1)
        wallets = re.findall(r"/wallet/(0x[0-9a-fA-F]{40})", log.read_text())
        assert len(wallets) == 4
        page = await client.get(f"/wallet/{wallets[0]}", follow_redirects=True)
        assert page.status_code == 200
        assert "from liquidation" in page.text
        await beyond(client, first + 1)
        await until(client, "/v1/risk/board", '"wallet"')


@pytest.mark.usefixtures("make_world")
async def test_terminated_the_moment_it_is_ready_the_demo_leaves_nothing_behind_either(folder: Path) -> None:
    async with living_demo(folder, signal.SIGTERM):
        pass
