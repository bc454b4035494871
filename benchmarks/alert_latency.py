"""Bar 16: from a mined block to the webhook's receipt on loopback, with 10,000 watched wallets on real Aave V3.0.

The product's own processes follow the chain: `waterline index`, `monitor` and `deliver`. Each block moves one price so
little that a handful of the watched accounts crosses the rule's level, down in one block and up in the next: so each
block opens episodes or clears them, and sends them. The clock starts when the node's answer to evm_mine is in and stops
when the receiver has read a request whole. Two more connections to the database tell when the block was committed and
when its messages were. What the node takes to answer is in the first part only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import queue
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from app.alerts.destination import Policy
from app.alerts.forms import make_channel
from app.alerts.vault import Vault, new_key
from app.domain.chain import Address
from app.domain.watch import Member, Metric, Rule, Severity
from app.settings import environment_with
from app.store.blocks import BLOCKS_CHANNEL
from app.store.channels import NewRoute, store_channel, store_route
from app.store.embedded import EmbeddedPostgres
from app.store.engine import Database
from app.store.migrate import upgrade
from app.store.outbox import OUTBOX_CHANNEL
from app.store.watch_members import add_members
from app.store.watch_rules import create_rule
from app.store.watchlists import create_list
from benchmarks.harness import Figure, report, spread
from devnet.world import World

AAVE = "aave-v3-0-devnet"
WATCHED = 10_000
WALLETS_PER_ACCOUNT = 1.6
"""The world's wallets are spread over two deployments; only one is followed."""
BLOCKS = 120
WARM_UP = 10
SYMBOL = "WETH"
MOVE_BPS = 2
"""How far the price moves each block."""
_MOST_CROSSING = 5
_BEGINS_SECONDS_AGO = 43_200
"""The chain's time runs ahead of the clock's, and must not look stale meanwhile: that is an alert of its own."""
_WAIT_SECONDS = 60
_READ_SECONDS = 900
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


@dataclass(slots=True)
class Found:
    """Milliseconds, one value a message; of the parts one a block."""

    total: list[float] = field(default_factory=list)
    parts: dict[str, list[float]] = field(
        default_factory=lambda: {name: [] for name in ("mined to committed", "to messages", "to first receipt")}
    )
    node_ms: float = 0.0
    """A block, on average: what the indexer waited for the node's answers."""


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
    for above, below in sorted(moved, key=lambda pair: abs(pair[1] - 12 * 10**17)):
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


class Race:
    """Blocks, and what is heard of them."""

    def __init__(
        self, world: World, crossing: Crossing, blocks: Onlooker, outbox: Onlooker, receiver: Receiver
    ) -> None:
        self._world, self._crossing = world, crossing
        self._blocks, self._outbox, self._receiver = blocks, outbox, receiver

    def one_block(self, price: int, found: Found | None) -> None:
        """Mine a block that moves the price; note the times, unless it is a warm-up."""
        for heard in (self._blocks.heard, self._outbox.heard):
            while not heard.empty():
                heard.get()
        self._world._life.queue_prices({SYMBOL: price})
        client = self._world.chain.client
        client.call("evm_setNextBlockTimestamp", self._world.chain.timestamp + self._world.chain.block_seconds)
        client.call("evm_mine")
        mined = time.perf_counter()
        self._world.chain.resync()
        number = self._world.block_number
        committed = self._wait_for(self._blocks, f"{self._world.chain_id}:{number}")
        told = self._wait_for(self._outbox, str(self._crossing.accounts))
        receipts = [self._receiver.got.get(timeout=_WAIT_SECONDS) for _ in range(self._crossing.accounts)]
        assert {of for _, of in receipts} == {number}, f"block {number}: receipts tell of {receipts}"
        if found is None:
            return
        found.total += [(at - mined) * 1000 for at, _ in receipts]
        first = min(at for at, _ in receipts)
        for name, value in zip(found.parts, (committed - mined, told - committed, first - told), strict=True):
            found.parts[name].append(value * 1000)

    @staticmethod
    def _wait_for(onlooker: Onlooker, wanted: str) -> float:
        while True:
            at, said = onlooker.heard.get(timeout=_WAIT_SECONDS)
            if said == wanted:
                return at


def run(*, blocks: int = BLOCKS, watched: int = WATCHED) -> list[Figure]:
    """Bar 16: p50 and p99 of all messages, and the parts."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="waterline-bench-")))
        folder.chmod(0o711)
        start = int(time.time()) - _BEGINS_SECONDS_AGO
        wallets_made = int(watched * WALLETS_PER_ACCOUNT)
        world = stack.enter_context(World(seed=7, wallets=wallets_made, start_timestamp=start))
        postgres = stack.enter_context(EmbeddedPostgres(folder / "data"))
        upgrade(postgres.url)
        held = world.account_data(AAVE, world.wallets)
        wallets = [wallet for wallet, data in zip(world.wallets, held, strict=True) if data and data[0]][:watched]
        assert len(wallets) == watched
        crossing = find_crossing(world, wallets)
        receiver = stack.enter_context(closing(Receiver()))
        return _figures(_measure(world, postgres.url, folder, wallets, crossing, receiver, blocks), crossing)


def _measure(
    world: World,
    url: str,
    folder: Path,
    wallets: Sequence[Address],
    crossing: Crossing,
    receiver: Receiver,
    blocks: int,
) -> Found:
    key, metrics_port = new_key(), _free_port()
    file = folder / "deployments.json"
    file.write_text(json.dumps([row for row in world.deployments() if row["id"] == AAVE]))
    environ = environment_with(
        DATABASE_URL=url,
        SECRETS_KEY=key,
        ALERT_ALLOWED_HOSTS="127.0.0.1",
        DEPLOYMENTS_FILE=str(file),
        LOG_LEVEL="error",
        BLIND_WARNING_SECONDS="86400",
        BLIND_CRITICAL_SECONDS="604800",
        METRICS_PORT=str(metrics_port),
        **{f"RPC_URL_{world.chain_id}": world.rpc_url, f"WS_URL_{world.chain_id}": world.ws_url},
    )
    found, chain = Found(), str(world.chain_id)
    following = ("index", "--chain", chain, "--no-progress"), ("monitor", "--chain", chain)
    with processes(environ, *following) as children:
        _catch_up(world, url, len(wallets), children)
        asyncio.run(set_up(url, key, wallets, crossing, f"http://127.0.0.1:{receiver.server_port}/"))
        _let_first_ones_pass(world, url)
        with (
            processes(environ, ("deliver",)),
            closing(Onlooker(url, BLOCKS_CHANNEL)) as committed,
            closing(Onlooker(url, OUTBOX_CHANNEL)) as told,
        ):
            _drain(url, receiver)
            race = Race(world, crossing, committed, told, receiver)
            before = 0.0
            for turn in range(WARM_UP + blocks):
                if turn == WARM_UP:
                    before = _node_seconds(metrics_port)
                is_measured = turn >= WARM_UP
                race.one_block(crossing.high if turn % 2 else crossing.low, found if is_measured else None)
            found.node_ms = (_node_seconds(metrics_port) - before) * 1000 / blocks
    return found


def _catch_up(world: World, url: str, accounts: int, children: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait until every watched account is read and on the board."""
    query = b"SELECT count(DISTINCT account_id) FROM positions"
    deadline = time.monotonic() + _READ_SECONDS
    with psycopg.connect(url, autocommit=True) as connection:
        while time.monotonic() < deadline:
            assert all(child.poll() is None for child in children), "a process has ended"
            world.mine()
            time.sleep(1)
            row = connection.execute(query).fetchone()
            if row is not None and row[0] >= accounts:
                return
    raise AssertionError("the accounts were not read in time")


def _let_first_ones_pass(world: World, url: str) -> None:
    """Whoever is below the level already gives an episode of his own, once."""
    with psycopg.connect(url, autocommit=True) as connection:
        deadline = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < deadline:
            world.mine()
            time.sleep(1)
            row = connection.execute(b"SELECT max(block_number) FROM watch_progress").fetchone()
            if row is not None and row[0] == world.block_number:
                return
    raise AssertionError("the rules were not evaluated in time")


def _drain(url: str, receiver: Receiver) -> None:
    """Wait until everything told so far is sent, and forget it."""
    with psycopg.connect(url, autocommit=True) as connection:
        while (row := connection.execute(b"SELECT count(*) FROM outbox WHERE state = 'pending'").fetchone()) and row[0]:
            time.sleep(0.2)
    while not receiver.got.empty():
        receiver.got.get()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _node_seconds(port: int) -> float:
    """Seconds the indexer has spent in the parts that wait for the node."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    name = "waterline_block_phase_seconds_sum{"
    wanted = [line for line in lines if line.startswith(name) and any(f'phase="{one}"' in line for one in _NODE_PHASES)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in wanted)


def _figures(found: Found, crossing: Crossing) -> list[Figure]:
    p50, p99 = statistics.median(found.total), statistics.quantiles(found.total, n=100)[-1]
    parts = {name: statistics.median(values) for name, values in found.parts.items()}
    whole = statistics.mean(found.total)
    ours = whole - found.node_ms
    split = ", ".join(f"{name} {value:.1f}" for name, value in parts.items())
    detail = (
        f"p99 {p99:.1f} ms; {spread(found.total, 'ms')}; {len(found.total)} messages, {crossing.accounts} a block; "
        f"medians: {split}; mean {whole:.1f}, of it the node {found.node_ms:.1f}, ours {ours:.1f} ({ours / whole:.0%})"
    )
    what = f"ms from mined to the webhook's receipt, p50, {WATCHED:,} wallets watched"
    return [
        Figure("16", what, p50, 100, at_least=False, detail=detail),
        Figure("16p", "the same, p99", p99, 250, at_least=False),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alert_latency", description=__doc__)
    parser.add_argument("--blocks", type=int, default=BLOCKS)
    parser.add_argument("--watched", type=int, default=WATCHED)
    given = parser.parse_args()
    report(run(blocks=given.blocks, watched=given.watched))
