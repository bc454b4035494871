"""What a demo finds in the temporary folder and what it does about it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from app import launch
from app.errors import Refused
from app.launch import _demo_environment, _kept_key, _part, _remove_left_behind, _verify_chains
from app.settings import ChainSettings, load_settings


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


def test_the_indexers_of_several_chains_are_children_of_their_own() -> None:
    names = {_part({}, "index", "--chain", str(chain_id), "--no-progress").name for chain_id in (1, 10)}
    assert names == {"index 1", "index 10"}
    assert _part({}, "serve").name == "serve"


async def test_a_chain_that_cannot_be_followed_is_told_and_the_others_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async def verify(chain: ChainSettings) -> None:
        if chain.chain_id in refusing:
            raise Refused(f"RPC_URL_{chain.chain_id}: another chain")

    monkeypatch.setattr(launch, "verify_chain", verify)
    settings = load_settings({"RPC_URL_1": "http://node", "RPC_URL_10": "http://other"})
    console = Console(file=StringIO(), record=True)
    refusing = {10}
    await _verify_chains(settings, console)
    assert "RPC_URL_10: another chain" in console.export_text()
    refusing = {1, 10}
    with pytest.raises(Refused, match=r"RPC_URL_1: .*RPC_URL_10: "):
        await _verify_chains(settings, console)


def test_an_embedded_database_has_a_key_of_its_own_unless_one_is_set(tmp_path: Path) -> None:
    made = _kept_key(load_settings({}), tmp_path)
    assert load_settings(made).secrets_keys
    assert _kept_key(load_settings({}), tmp_path) == made
    assert _kept_key(load_settings({"DATABASE_URL": "postgresql://host/name"}), tmp_path / "other") == {}
    assert _kept_key(load_settings(made), tmp_path / "other") == {}
    assert not (tmp_path / "other").exists()
