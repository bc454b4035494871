"""What a demo finds in the temporary folder and what it does about it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from app.launch import _demo_environment, _remove_left_behind
from app.settings import load_settings


def test_only_the_folders_of_dead_demos_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = subprocess.Popen((sys.executable, "-c", ""))
    dead.wait()
    folders = {}
    for name, pid in (("dead", str(dead.pid)), ("alive", str(os.getpid())), ("unknown", ""), ("none", None)):
        folders[name] = tmp_path / f"waterline-demo-{name}"
        (folders[name] / "postgres").mkdir(parents=True)
        if pid is not None:
            (folders[name] / "pid").write_text(pid)
    (tmp_path / "something-else").mkdir()
    _remove_left_behind()
    assert not folders["dead"].exists()
    assert all(folders[name].exists() for name in ("alive", "unknown", "none"))
    assert (tmp_path / "something-else").exists()


def test_a_demo_follows_the_local_chain_only_whatever_else_is_configured() -> None:
    configured = {
        "RPC_URL_1": "http://node",
        "WS_URL_1": "ws://node",
        "RPC_URL_31337": "http://own",
        "DEPLOYMENTS": "x",
    }
    told = load_settings({**configured, **_demo_environment(load_settings(configured))})
    assert set(told.chains) == {31337}
    assert told.chains[31337].endpoints[0].url.reveal() == "http://127.0.0.1:8545"
    assert told.deployments == ()
