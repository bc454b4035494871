"""The demo: announces itself, lives at wall-clock time, and leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from devnet import demo
from devnet.demo import Ready
from devnet.node import NodeClient, integer
from devnet.world import World

pytestmark = pytest.mark.devnet

_DEMO = """
import pathlib, sys
from devnet import demo
demo.HISTORY_BLOCKS = 2
def ready(announced):
    print(announced.rpc_url.rpartition(":")[2], flush=True)
demo.run(None, 1, 30, 0.2, pathlib.Path(sys.argv[1]), ready)
"""


@pytest.mark.usefixtures("make_world")
def test_the_demo_announces_itself_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "HISTORY_BLOCKS", 5)
    file, stop, seen = tmp_path / "deployments.json", threading.Event(), []
    begun = int(time.time())

    def ready(announced: Ready) -> None:
        assert file.exists()
        client = NodeClient(int(announced.rpc_url.rpartition(":")[2]))
        head = client.record("eth_getBlockByNumber", "latest", False)
        client.close()
        assert integer(head["timestamp"]) <= int(time.time())
        seen.append(announced)
        stop.set()

    demo.run(None, 1, 60, 0.1, file, ready, stopped=stop)
    assert seen[0].chain_id == 31337
    assert len({wallet for _, wallet in seen[0].wallets}) == 4
    assert not file.exists()
    with pytest.raises(OSError, match="refused"):
        NodeClient(int(seen[0].rpc_url.rpartition(":")[2])).quantity("eth_blockNumber")
    assert int(time.time()) >= begun


@pytest.mark.usefixtures("make_world")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demo_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    file = tmp_path / "deployments.json"
    command = [sys.executable, "-c", _DEMO, str(file)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with closing(NodeClient(port)) as client:
            assert client.quantity("eth_chainId") == 31337
        process.send_signal(number)
        assert process.wait(30) == 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="refused"):
        NodeClient(port).quantity("eth_blockNumber")


def test_live_blocks_follow_the_clock(world: World) -> None:
    step = world.step_live()
    assert abs(step.timestamp - time.time()) < 60
    assert world.step_live().timestamp > step.timestamp


def test_the_announced_wallets_are_what_is_said_of_them(session_world: World) -> None:
    found = dict(demo.interesting_wallets(session_world))
    both = found["in both Aave deployments"]
    for row in session_world.deployments():
        view = session_world.accounts(str(row["id"]), [both])[0]
        assert view is not None
        assert view.has_debt
    emode = [session_world.accounts(str(r["id"]), [found["in an eMode"]])[0] for r in session_world.deployments()]
    assert any(view is not None and view.emode for view in emode)


def test_the_demo_lives_on_when_somebody_else_reorganises_its_chain(world: World) -> None:
    stop = threading.Event()
    ended: list[BaseException] = []

    def live() -> None:
        try:
            demo._live(world, 0.05, stop)
        except BaseException as error:  # named by the assertions below
            ended.append(error)
            raise

    living = threading.Thread(target=live)
    with closing(NodeClient(world.anvil.port)) as client:
        before = client.quantity("eth_blockNumber")
        living.start()
        for method, params in (("anvil_reorg", (3, [])), ("anvil_rollback", (2,)), ("evm_mine", ())) * 5:
            at = client.quantity("eth_blockNumber")
            while client.quantity("eth_blockNumber") < max(at + 1, before + 4):
                assert living.is_alive(), ended
                time.sleep(0.01)
            client.call(method, *params)
        at = client.quantity("eth_blockNumber")
        while client.quantity("eth_blockNumber") < at + 3:
            assert living.is_alive(), ended
            time.sleep(0.01)
        stop.set()
        living.join(60)
