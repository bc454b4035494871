"""Anvil as a child: it leaves nothing behind, however its parent ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from devnet.anvil import Anvil, AnvilFailed
from tests.fixtures.devnet import WorldFactory

pytestmark = pytest.mark.devnet

_PARENT = """
import sys, time
from devnet.anvil import Anvil
anvil = Anvil()
print(anvil.pid, anvil._home.name, flush=True)
time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.usefixtures("make_world")
def test_stopping_leaves_no_process_and_no_folder() -> None:
    anvil = Anvil()
    pid, folder = anvil.pid, Path(anvil._home.name)
    assert is_alive(pid)
    anvil.stop()
    anvil.stop()
    assert not is_alive(pid)
    assert not folder.exists()


@pytest.mark.usefixtures("make_world")
def test_a_taken_port_is_said_and_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(AnvilFailed, match=f"port {taken.getsockname()[1]}"):
            Anvil(taken.getsockname()[1])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("make_world")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_anvil_dies_with_a_killed_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, folder = parent.stdout.readline().split(maxsplit=1)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 60
    while is_alive(int(pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(int(pid))
    Path(folder.strip()).rmdir()  # empty, or this raises: Anvil wrote nothing


def test_blocks_leave_nothing_on_disk(make_world: WorldFactory) -> None:
    world = make_world(wallets=30, seed=9, keep_states=8)
    world.run(10)
    world.chain.client.call("anvil_mine", hex(600))  # more than the node would keep in memory by itself
    world.chain.resync()
    written = [path for path in Path(world.anvil._home.name).rglob("*") if path.is_file()]
    assert written == []
    assert world.account_data("aave-v3-0-devnet", world.wallets[:1], world.block_number - 5)[0] is not None
