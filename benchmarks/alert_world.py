"""What the benchmark of alerts needs: a rule that a few accounts cross, the product's processes, a receiver."""

from __future__ import annotations

import json
import queue
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

from app.alerts.destination import Policy
from app.alerts.forms import make_channel
from app.alerts.vault import Vault
from app.domain.chain import Address
from app.domain.watch import Member, Metric, Rule, Severity
from app.store.postgres.engine import Database
from app.store.watch.channels import NewRoute, store_channel, store_route
from app.store.watch.members import add_members
from app.store.watch.rules import create_rule
from app.store.watch.watchlists import create_list
from devnet.world import World

AAVE = "aave-v3-0-devnet"
SYMBOL = "WETH"
MOVE_BPS = 2
"""How far the price moves each block."""
_MOST_CROSSING = 5
_LEVEL_WAD = 105 * 10**16
"""About where the rule's level is."""
_NODE_PHASES = ("logs", "configuration", "accounts")
"""Parts of indexing that wait for the node's answers."""


class Receiver(ThreadingHTTPServer):
    """Takes every webhook, and notes when it had it whole."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.got: queue.Queue[tuple[float, int]] = queue.Queue()
        """`perf_counter` then, and the number of the block it tells of."""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End it."""
        self.shutdown()
        self.server_close()


class _Taking(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        at = time.perf_counter()
        self.send_response(204)
        self.end_headers()
        self.server.got.put((at, json.loads(body)["data"]["as_of"]["block_number"]))

    def log_message(self, format: str, *_: object) -> None:
        """Nothing is printed."""


class Onlooker(threading.Thread):
    """Another client of the database, told of commits on one channel."""

    def __init__(self, url: str, channel: str) -> None:
        super().__init__(daemon=True)
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute(f"LISTEN {channel}".encode())
        self._ended = threading.Event()
        self.heard: queue.Queue[tuple[float, str]] = queue.Queue()
        """`perf_counter` then, and what was said."""
        self.start()

    def run(self) -> None:
        while not self._ended.is_set():
            for told in self._connection.notifies(timeout=0.2, stop_after=1):
                self.heard.put((time.perf_counter(), told.payload))

    def close(self) -> None:
        """End the thread and its connection."""
        self._ended.set()
        self.join()
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Crossing:
    """Two prices, and a level that a few accounts are above at the first and at or below at the second."""

    high: int
    low: int
    level_wad: int
    clear_at_wad: int
    accounts: int


def find_crossing(world: World, wallets: Sequence[Address]) -> Crossing:
    """A small move of one price, and a level in the middle of where it takes few accounts."""
    high = world.prices()[SYMBOL]
    low = high - high * MOVE_BPS // 10_000
    before = _healths(world, wallets)
    world.set_price(SYMBOL, low)
    after = _healths(world, wallets)
    world.set_price(SYMBOL, high)
    falling = [(a, b) for a, b in zip(before, after, strict=True) if a is not None and b is not None and b < a]
    # Whoever has much else barely moves: interest alone would move him as far.
    moved = [(a, b) for a, b in falling if (a - b) * 20_000 >= a * MOVE_BPS]
    for above, below in sorted(moved, key=lambda pair: abs(pair[1] - _LEVEL_WAD)):
        level = (above + below) // 2
        clear_at = level + (above - below) // 4
        crossing = [a for a, b in falling if b <= level < a]
        if 0 < len(crossing) <= _MOST_CROSSING and min(crossing) > clear_at + (above - below) // 8:
            return Crossing(high, low, level, clear_at, len(crossing))
    raise AssertionError("no level that a few accounts cross")


def _healths(world: World, wallets: Sequence[Address]) -> list[int | None]:
    return [data[5] if data and data[1] else None for data in world.account_data(AAVE, wallets)]


async def set_up(url: str, key: str, wallets: Sequence[Address], crossing: Crossing, hook: str) -> None:
    """One list with every wallet and one rule, told to one webhook."""
    database = Database(url)
    now = int(time.time())
    rule = Rule(0, 0, "health", Metric.HEALTH_FACTOR, {Severity.WARNING: crossing.level_wad}, crossing.clear_at_wad)
    made = make_channel(
        "hook", "webhook", {"url": hook}, vault=Vault([key]), policy=Policy(["127.0.0.1"]), environment={}
    )
    async with database.write() as session:
        watchlist = await create_list(session, "watched", "", now)
        await add_members(session, watchlist, [Member(wallet) for wallet in wallets], now)
        await create_rule(session, _of_list(rule, watchlist), now)
        await store_route(session, NewRoute(watchlist, await store_channel(session, made.new, now)))
    await database.dispose()


def _of_list(rule: Rule, watchlist: int) -> Rule:
    return Rule(0, watchlist, rule.name, rule.metric, rule.levels, rule.clear_at)


@contextmanager
def processes(environ: dict[str, str], *commands: Sequence[str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The product's processes, ended with the block."""
    children = [subprocess.Popen((sys.executable, "-m", "app", *command), env=environ) for command in commands]
    try:
        yield children
        assert all(child.poll() is None for child in children), "a process has ended"
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait(30)


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds so far."""

    node: float
    """In the parts of indexing that wait for the node."""
    rules: float
    """Evaluating rules."""


def spent(index_port: int, monitor_port: int) -> Spent:
    """By the processes' own metrics."""
    phases = [f'phase="{name}"' for name in _NODE_PHASES]
    node = _sum(index_port, "waterline_block_phase_seconds_sum", phases)
    return Spent(node, _sum(monitor_port, "waterline_watch_seconds_sum", [""]))


def _sum(port: int, name: str, labels: Sequence[str]) -> float:
    """The sum of a metric's samples that have one of the labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    wanted = [line for line in lines if line.startswith(f"{name}{{") and any(label in line for label in labels)]
    assert wanted, f"no {name}"
    return sum(float(line.rsplit(" ", 1)[1]) for line in wanted)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
