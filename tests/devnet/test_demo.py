"""The demo: announces itself, lives at wall-clock time, and leaves nothing."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from devnet import demo
from devnet.demo import Ready
from devnet.node import NodeClient, integer
from devnet.world import World

pytestmark = pytest.mark.devnet


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
    assert len({wallet for _, wallet in seen[0].wallets}) == 3
    assert not file.exists()
    with pytest.raises(OSError, match="refused"):
        NodeClient(int(seen[0].rpc_url.rpartition(":")[2])).quantity("eth_blockNumber")
    assert int(time.time()) >= begun


def test_live_blocks_follow_the_clock(world: World) -> None:
    step = world.step_live()
    assert abs(step.timestamp - time.time()) < 60
    assert world.step_live().timestamp > step.timestamp


def test_the_announced_wallets_are_what_is_said_of_them(session_world: World) -> None:
    found = dict(demo.interesting_wallets(session_world))
    both = found["in both deployments"]
    for row in session_world.deployments():
        view = session_world.accounts(str(row["id"]), [both])[0]
        assert view is not None
        assert view.has_debt
    emode = [session_world.accounts(str(r["id"]), [found["in an eMode"]])[0] for r in session_world.deployments()]
    assert any(view is not None and view.emode for view in emode)
