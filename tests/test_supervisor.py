"""The supervisor: children end with it, crashes are restarted, refusals are not."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from app import supervisor as supervisor_module
from app.supervisor import EXIT_REFUSED, ChildSpec, Supervisor


def child(name: str, code: str, *, vital: bool = True) -> ChildSpec:
    return ChildSpec(name, (sys.executable, "-c", textwrap.dedent(code)), dict(os.environ), vital)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


async def until_written(path: Path) -> str:
    for _ in range(1000):
        if path.exists() and path.read_text().endswith("\n"):
            return path.read_text()
        await asyncio.sleep(0.01)
    raise AssertionError(f"{path} was never written")


def announce(path: Path) -> str:
    return f"""
        import os, time
        with open({str(path)!r}, "a") as file: file.write(str(os.getpid()) + "\\n")
        time.sleep(60)
    """


async def idle() -> None:
    """Work that is done at once."""


async def test_a_signal_ends_the_run_and_every_child(tmp_path: Path) -> None:
    async with Supervisor() as children:
        for name in ("one", "two"):
            await children.start(child(name, announce(tmp_path / name)))
        pids = [int(await until_written(tmp_path / name)) for name in ("one", "two")]
        os.kill(os.getpid(), signal.SIGTERM)
        assert await children.run(idle()) == 0
    assert not any(alive(pid) for pid in pids)


async def test_a_signal_cancels_work_that_is_still_starting_things() -> None:
    cancelled = asyncio.Event()

    async def starting() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with Supervisor() as children:
        assert await children.run(starting()) == 0
    assert cancelled.is_set()


async def test_a_failure_while_starting_is_raised_and_ends_the_children(tmp_path: Path) -> None:
    async def starting() -> None:
        await children.start(child("one", announce(tmp_path / "one")))
        await until_written(tmp_path / "one")
        raise LookupError("no port")

    with pytest.raises(LookupError, match="no port"):
        async with Supervisor() as children:
            await children.run(starting())
    assert not alive(int((tmp_path / "one").read_text()))


async def test_a_crashed_child_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "_RESTART_PAUSES", (0, 0, 0))
    runs = tmp_path / "runs"
    async with Supervisor() as children:
        await children.start(child("crashes", f"open({str(runs)!r}, 'a').write('x'); raise SystemExit(1)"))
        assert await asyncio.wait_for(children.run(idle()), 120) == 1
    assert runs.read_text() == "xxxx"


async def test_a_refusing_vital_child_ends_the_run_at_once_with_its_status() -> None:
    async with Supervisor() as children:
        await children.start(child("refuses", f"raise SystemExit({EXIT_REFUSED})"))
        assert await asyncio.wait_for(children.run(idle()), 120) == EXIT_REFUSED


async def test_a_child_that_is_not_vital_may_end_without_the_others(tmp_path: Path) -> None:
    async with Supervisor() as children:
        await children.start(child("refuses", f"raise SystemExit({EXIT_REFUSED})", vital=False))
        await children.start(child("stays", announce(tmp_path / "stays")))
        await until_written(tmp_path / "stays")
        running = asyncio.create_task(children.run(idle()))
        await asyncio.sleep(0.3)
        assert not running.done()
        os.kill(os.getpid(), signal.SIGINT)
        assert await running == 0


async def test_two_children_of_one_name_are_a_mistake(tmp_path: Path) -> None:
    async with Supervisor() as children:
        await children.start(child("one", announce(tmp_path / "one")))
        with pytest.raises(ValueError, match="'one'"):
            await children.start(child("one", announce(tmp_path / "two")))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's own")
async def test_a_killed_supervisor_leaves_no_child(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = f"""
        import asyncio, os, sys
        from app.supervisor import ChildSpec, Supervisor
        async def main():
            async with Supervisor() as children:
                argv = (sys.executable, "-c", {textwrap.dedent(announce(pid_file))!r})
                await children.start(ChildSpec("child", argv, dict(os.environ), True))
                await children.run(asyncio.sleep(0))
        asyncio.run(main())
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
    pid = int(await until_written(pid_file))
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 60
    while alive(pid) and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    assert not alive(pid)


async def test_a_second_signal_does_not_interrupt_the_cleaning_up_that_follows() -> None:
    async with Supervisor() as children:

        async def work() -> None:
            os.kill(os.getpid(), signal.SIGINT)

        assert await children.run(work()) == 0
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(0)
