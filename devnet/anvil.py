"""Anvil as a child process: started on a free port, gone with its parent, nothing left on disk."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from app.errors import Fatal
from devnet.fetch import anvil_binary
from devnet.node import NodeClient, NodeError

HARDFORK = "cancun"
START_TIMEOUT_SECONDS = 20
STOP_TIMEOUT_SECONDS = 10
BLOCK_GAS_LIMIT = 3_000_000_000
PR_SET_PDEATHSIG = 1


class AnvilFailed(Fatal):
    """Anvil did not start, or ended by itself."""


class Anvil:
    """One running Anvil that mines only when told to, lets anybody be impersonated, and asks no fees.

    It is killed by the kernel when the thread that started it ends (Linux), so start it from a thread that lives
    as long as it is needed: the main one.
    """

    def __init__(
        self,
        port: int | None = None,
        *,
        chain_id: int = 31337,
        timestamp: int | None = None,
        keep_states: int = 128,
        binary: Path | None = None,
    ) -> None:
        """Start it and wait until it answers.

        Args:
            port: on 127.0.0.1; None takes a free one.
            timestamp: of the genesis block, seconds; None for now.
            keep_states: how many blocks back state can be read. Anvil would otherwise write every older state to
                disk for ever, so there is no way to ask for all.

        Raises:
            AnvilFailed: it ended or did not answer in time; the message holds what it said.
            DevnetUnavailable: there is no Anvil for this machine.
        """
        self.port = port or _free_port()
        self.chain_id = chain_id
        self._home = tempfile.TemporaryDirectory(prefix="waterline-anvil-")
        command = [
            str(binary or anvil_binary()),
            *("--host", "127.0.0.1", "--port", str(self.port), "--chain-id", str(chain_id)),
            *("--hardfork", HARDFORK, "--prune-history", str(keep_states), "--no-mining", "--order", "fifo"),
            *("--auto-impersonate", "--gas-limit", str(BLOCK_GAS_LIMIT), "--block-base-fee-per-gas", "0"),
            *("--gas-price", "0", "--disable-min-priority-fee", "--no-request-size-limit", "--quiet"),
            *("--accounts", "1", "--disable-console-log", "--slots-in-an-epoch", "4"),
        ]
        if timestamp is not None:
            command += ["--timestamp", str(timestamp)]
        # A home of its own: whatever Anvil writes goes there, and goes away with it.
        environment = {"HOME": self._home.name, "PATH": os.environ.get("PATH", "")}
        self._process = subprocess.Popen(  # noqa: S603 - our own command line, no shell
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is ours to handle: the node must not be gone before we are done
            preexec_fn=_die_with_parent(),
        )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """End it and remove its folder. May be called more than once."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        self._home.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                assert self._process.stderr is not None
                said = self._process.stderr.read().decode(errors="replace").strip()[-300:]
                raise AnvilFailed(f"anvil ended at once on port {self.port} (is the port taken?): {said}")
            client = NodeClient(self.port, timeout_seconds=5)
            try:
                if client.quantity("eth_chainId") == self.chain_id:
                    return
            except (OSError, NodeError):
                time.sleep(0.02)
            finally:
                client.close()
        raise AnvilFailed(f"anvil did not answer on port {self.port} within {START_TIMEOUT_SECONDS} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> Callable[[], None] | None:
    """Run in the child before Anvil: ask the kernel to kill it when we are gone, however we go."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up here: after the fork nothing may be loaded

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return ask
