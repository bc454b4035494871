"""The README's watchlist, as it is pasted: set up by command, run from cron by two at once, asked through the API."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import stat
import sys
from pathlib import Path

import psycopg
import pytest

from app.store.postgres.engine import Database
from devnet.world import World
from tests.integration.following import following

pytestmark = [pytest.mark.devnet, pytest.mark.database, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]


def _blocks(language: str) -> list[str]:
    """What the README's section on watchlists has in fenced blocks of a language."""
    section = (ROOT / "README.md").read_text().partition("## Watchlists\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def _installed(folder: Path) -> None:
    """A folder with `.venv/bin/waterline`, as an installation has it; it runs this tree."""
    script = folder / ".venv" / "bin" / "waterline"
    script.parent.mkdir(parents=True)
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m app "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)


async def _shell(commands: str, folder: Path, url: str) -> tuple[int, str]:
    """Exit status and output of a shell that is given `commands`."""
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-ec",
        commands,
        cwd=folder,
        env={**os.environ, "DATABASE_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


def _rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


async def test_the_example_works_as_pasted_and_two_runs_at_once_do_no_harm(
    world: World, database: Database, database_url: str, tmp_path: Path
) -> None:
    _installed(tmp_path)
    (cron,) = _blocks("cron")
    every, command = cron.strip().split(" cd ", 1)
    assert every == "* * * * *"
    command = "cd " + command.replace("/srv/waterline", str(tmp_path))
    setup, questions = _blocks("sh")
    done, said = await _shell(setup + 'echo "$KEY" > key', tmp_path, database_url)
    assert done == 0, said

    async with following(world, database, tmp_path) as followed:
        living = asyncio.create_task(_live(world))
        await followed.caught_up()
        more = f'export PATH="$PWD/.venv/bin:$PATH"; waterline watchlist add treasury {_wallets(database_url)}'
        more += "; waterline watchlist rule add treasury all --metric health_factor --warning 1000"
        done, said = await _shell(more, tmp_path, database_url)
        assert done == 0, said
        runs = await asyncio.gather(*(_shell(command, tmp_path, database_url) for _ in range(2)))
        living.cancel()
    log = (tmp_path / "watchlist.log").read_text()
    assert [status for status, _ in runs] == [1, 1], log
    assert "treasury" in log
    opened = "SELECT rule_name, subject, count(*) FROM episodes WHERE state = 'open' GROUP BY 1, 2"
    episodes = _rows(database_url, opened)
    assert [one for one in episodes if one[0] == "all"]
    assert {one[2] for one in episodes} == {1}
    told = _rows(database_url, "SELECT kind, state, count(*) - count(DISTINCT event_id) FROM outbox GROUP BY 1, 2")
    assert ("episode.opened", "delivered", 0) in told
    assert {(state, twice) for _, state, twice in told} == {("delivered", 0)}
    await _ask(questions, tmp_path, database_url)


async def _ask(questions: str, folder: Path, url: str) -> None:
    """Start the service and put the README's questions to it."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    (folder / "wallets.csv").write_text("address,label\n0x00000000219ab540356cBB839Cbe05303d7705Fa,deposits\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    serving = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app",
        "serve",
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, "PORT": str(port)},
    )
    try:
        address = f"http://127.0.0.1:{port}"
        await _shell(f"curl -s --retry 30 --retry-connrefused --retry-delay 1 {address}/health", folder, url)
        asked = "KEY=$(cat key)\n" + questions.replace("http://127.0.0.1:8000", address)
        done, said = await _shell(asked, folder, url)
    finally:
        serving.terminate()
        await serving.wait()
    assert done == 0, said
    assert "/problems/" not in said, said
    assert "acknowledged_by" in said


async def _live(world: World) -> None:
    """Blocks at the wall clock's time, so that what is stored is current."""
    while True:
        world.step_live()
        await asyncio.sleep(3)


def _wallets(url: str) -> str:
    found = _rows(url, "SELECT DISTINCT '0x' || encode(wallet, 'hex') FROM accounts ORDER BY 1 LIMIT 10")
    return " ".join(str(wallet) for (wallet,) in found)
