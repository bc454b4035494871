"""`python -m benchmarks`: what it can run, and when it fails."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.peers.runs import is_connected

FOLDER = Path(command.__file__).parent


def test_every_benchmark_has_its_module_and_every_module_with_an_entry_is_listed() -> None:
    entries = {path.stem for path in FOLDER.glob("*.py") if '__name__ == "__main__"' in path.read_text()}
    assert entries - {"__main__"} == set(command.BENCHMARKS)
    assert {path.parent.name for path in FOLDER.glob("*/__main__.py")} == set(command.LONG)


def test_only_a_broken_benchmark_makes_the_run_fail(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "BENCHMARKS", {"harness": "prints nothing", "not_there": "cannot start"})
    assert command.main(["harness"]) == 0
    assert command.main([]) == 1
    assert "broken: not_there" in capfd.readouterr().err


def test_a_name_that_is_no_benchmark_is_refused_with_those_that_are() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "no_such"], capture_output=True, text=True, check=False, cwd=FOLDER.parent
    )
    assert run.returncode == 2
    assert "no_such" in run.stderr
    assert "block_loop" in run.stderr


def test_a_contestants_clock_starts_with_a_connection_of_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as node:
        port = node.getsockname()[1]
        connecting = f"import socket, sys; s = socket.create_connection(('127.0.0.1', {port})); sys.stdin.read()"
        other = subprocess.Popen([sys.executable, "-c", connecting], stdin=subprocess.PIPE)
        try:
            accepted, _ = node.accept()
            with accepted:
                assert is_connected(other.pid, port)
                assert is_connected(os.getpid(), port)  # what it has started is its own
                assert not is_connected(other.pid, port + 1)
        finally:
            other.communicate()
        assert not is_connected(os.getpid(), port)
