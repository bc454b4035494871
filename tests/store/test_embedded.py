"""The embedded server: it comes up, keeps data, and leaves nothing behind however its owner ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app.errors import Retryable
from app.store.postgres.embedded import EmbeddedPostgres

pytestmark = pytest.mark.database

_OWNER = """
import sys, time
from pathlib import Path
from app.errors import Retryable
from app.store.postgres.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.url, flush=True)
time.sleep(60)
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="waterline-test-") as directory:
        yield Path(directory) / "deep" / "data"


def _sockets(url: str) -> Path:
    return Path(url.partition("host=")[2])


def _server_pid(data_dir: Path) -> int:
    return int((data_dir / "postmaster.pid").read_text().split()[0])


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 120
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.02)


def test_a_server_that_was_killed_comes_back_at_the_same_place_with_its_data(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        url = server.url
        assert not server.has_ended()
        os.kill(_server_pid(data_dir), signal.SIGKILL)
        deadline = time.monotonic() + 120
        while not server.has_ended():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        server.start()
        assert not server.has_ended()
        assert server.url == url
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT number FROM kept").fetchone() == (7,)
    assert not server.has_ended()
    assert not _sockets(url).exists()


def test_data_survives_a_restart_and_fsync_is_on(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as server, psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        pid, sockets = _server_pid(data_dir), _sockets(server.url)
    assert not sockets.exists()
    _wait_until_gone(pid)
    with EmbeddedPostgres(data_dir) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_a_second_user_of_the_directory_shares_the_server_and_leaves_it_running(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as first:
        with EmbeddedPostgres(data_dir) as second:
            assert second.url == first.url
            assert second.process_id is None
        with psycopg.connect(first.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    first.stop()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_with_its_owner_however_that_ends(data_dir: Path, how: signal.Signals) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(data_dir)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert owner.stdout is not None
    url = owner.stdout.readline().decode().strip()
    pid = _server_pid(data_dir)
    owner.send_signal(how)
    owner.wait()
    owner.stdout.close()
    _wait_until_gone(pid)
    with EmbeddedPostgres(data_dir) as server:
        assert _sockets(server.url) != _sockets(url)
    assert not _sockets(url).exists()


def test_a_server_that_cannot_start_says_where_its_log_is(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir):
        pass
    (data_dir / "postgresql.conf").write_text("nonsense = 1\n")
    with pytest.raises(Retryable, match=r"server\.log"):
        EmbeddedPostgres(data_dir).start()
