"""Running one indexer, and seeing from outside when it is done.

All are watched in the same way: another connection to their database asks every 20 ms, and what it then finds must be
every account's position, to the unit.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg.conninfo import conninfo_to_dict

from app.errors import Fatal
from app.store.postgres.embedded import EmbeddedPostgres
from benchmarks.peers.chain import EventChain, Holding, Pair
from benchmarks.peers.contestants import Indexer, Ours
from benchmarks.peers.watch import Observer

MINED_EVERY_SECONDS = 0.25
"""As on Arbitrum."""
_LONGEST_SECONDS = 900
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of one contestant."""

    seconds: float
    """From its first connection to the node to the last position being visible."""
    start_seconds: float
    """Before that: from the start of its process."""
    cpu_seconds: float
    """Of its process."""
    peak_bytes: int
    """Largest resident memory of its process."""


@contextmanager
def fresh_database(postgres: EmbeddedPostgres) -> Iterator[tuple[str, str]]:
    """A new database of the server, dropped afterwards: its URL and the server's socket folder."""
    name = f"peer_{uuid4().hex[:12]}"
    server = conninfo_to_dict(postgres.url)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield f"postgresql://postgres@/{name}?host={server['host']}", str(server["host"])
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
            connection.execute("CHECKPOINT")  # its leftovers are not to be paid for by the next


def sync(indexer: Indexer, chain: EventChain, postgres: EmbeddedPostgres) -> Outcome:
    """Run one contestant from nothing until it has every position.

    Ours reads accounts with new blocks only, so a block is mined every `MINED_EVERY_SECONDS` while it runs. For the
    others the chain stands still, which costs them nothing.

    Raises:
        Fatal: it ended, took too long, or what it stored is not what the events add up to.
    """
    with fresh_database(postgres) as (url, sockets):
        indexer.prepare(url)
        with closing(Observer(url)) as database:
            with living(indexer, chain):
                started = time.perf_counter()
                with indexer.running(chain, url, sockets) as process:
                    connected = started
                    while process.poll() is None and not indexer.is_done(database, chain):
                        if connected == started and is_connected(process.pid, chain.node.port):
                            connected = time.perf_counter()
                        if time.perf_counter() - started > _LONGEST_SECONDS:
                            raise Fatal(f"{indexer.name} was not done after {_LONGEST_SECONDS} s")
                        time.sleep(_POLL_SECONDS)
                    ended = time.perf_counter()
                    used = _usage(process.pid) if process.poll() is None else (0.0, 0)
            require_equal(indexer.name, indexer.holdings(database), chain.expected())
    return Outcome(ended - connected, connected - started, *used)


def living(indexer: Indexer, chain: EventChain) -> AbstractContextManager[None]:
    """The chain moving, for who needs that."""
    return chain.mining(MINED_EVERY_SECONDS) if isinstance(indexer, Ours) else nullcontext()


def is_connected(pid: int, port: int) -> bool:
    """Whether a process, or one it has started, is connected to a port of this machine."""
    ours, established = f":{port:04X}", "01"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    connected = {f"socket:[{row[9]}]" for row in rows if row[2].endswith(ours) and row[3] == established}
    return any(not connected.isdisjoint(_open_files(each)) for each in _family(pid))


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has ended meanwhile
            for child in children.read_text().split():
                yield from _family(int(child))


def _open_files(pid: int) -> Iterator[str]:
    for file in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            yield os.readlink(file)


def require_equal(name: str, found: Mapping[Pair, Holding], expected: Mapping[Pair, Holding]) -> None:
    """Account by account.

    Raises:
        Fatal: they differ.
    """
    if found != expected:
        wrong = [pair for pair in found.keys() | expected.keys() if found.get(pair) != expected.get(pair)]
        raise Fatal(f"{name}: {len(wrong)} of {len(expected)} accounts differ, such as {wrong[0]}")


def _usage(pid: int) -> tuple[float, int]:
    """Processor seconds and peak resident bytes of a live process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    (peak,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), int(peak.split()[1]) * 1024
