"""Bar 17: from a mined block to the webhook's receipt on loopback, with 10,000 watched wallets on real Aave V3.0.

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
import statistics
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from app.alerts.vault import new_key
from app.domain.chain import Address
from app.settings import environment_with
from app.store.blocks import BLOCKS_CHANNEL
from app.store.postgres.embedded import EmbeddedPostgres
from app.store.postgres.migrate import upgrade
from app.store.watch.outbox import OUTBOX_CHANNEL
from benchmarks.alert_world import (
    AAVE,
    SYMBOL,
    Crossing,
    Onlooker,
    Receiver,
    Spent,
    find_crossing,
    free_port,
    processes,
    set_up,
    spent,
)
from benchmarks.harness import Figure, report, spread
from devnet.world import World

WATCHED = 10_000
WALLETS_PER_ACCOUNT = 1.6
"""The world's wallets are spread over two deployments; only one is followed."""
BLOCKS = 120
WARM_UP = 10
_BEGINS_SECONDS_AGO = 43_200
"""The chain's time runs ahead of the clock's, and must not look stale meanwhile: that is an alert of its own."""
_WAIT_SECONDS = 60
_CALM_SECONDS = 10
"""A block that gave no message by then gives none."""
_READ_SECONDS = 900


@dataclass(slots=True)
class Found:
    """Milliseconds, one value a message; of the parts one a block."""

    total: list[float] = field(default_factory=list)
    parts: dict[str, list[float]] = field(
        default_factory=lambda: {name: [] for name in ("mined to committed", "to messages", "to first receipt")}
    )
    node_ms: float = 0.0
    """A block, on average: what the indexer waited for the node's answers."""
    rules_ms: float = 0.0
    """A block, on average: what evaluating the rules took."""
    open_episodes: int = 0
    """All the while, besides those that come and go."""


class Race:
    """Blocks, and what is heard of them."""

    def __init__(
        self, world: World, crossing: Crossing, blocks: Onlooker, outbox: Onlooker, receiver: Receiver
    ) -> None:
        self._world, self._crossing = world, crossing
        self._blocks, self._outbox, self._receiver = blocks, outbox, receiver

    def one_block(self, price: int, found: Found | None) -> None:
        """Mine a block that moves the price; note the times, unless it is a warm-up."""
        for waiting in (self._blocks.heard, self._outbox.heard, self._receiver.got):
            while not waiting.empty():
                waiting.get()
        self._world._life.queue_prices({SYMBOL: price})
        client = self._world.chain.client
        client.call("evm_setNextBlockTimestamp", self._world.chain.timestamp + self._world.chain.block_seconds)
        client.call("evm_mine")
        mined = time.perf_counter()
        self._world.chain.resync()
        number = self._world.block_number
        committed = self._wait_for_commit(f"{self._world.chain_id}:{number}")
        try:
            told, said = self._outbox.heard.get(timeout=_CALM_SECONDS)
        except queue.Empty:
            return  # interest has moved whoever was to cross
        receipts = [self._receiver.got.get(timeout=_WAIT_SECONDS) for _ in range(int(said))]
        assert {of for _, of in receipts} == {number}, f"block {number}: receipts tell of {receipts}"
        if found is None:
            return
        found.total += [(at - mined) * 1000 for at, _ in receipts]
        first = min(at for at, _ in receipts)
        for name, value in zip(found.parts, (committed - mined, told - committed, first - told), strict=True):
            found.parts[name].append(value * 1000)

    def _wait_for_commit(self, wanted: str) -> float:
        while True:
            at, said = self._blocks.heard.get(timeout=_WAIT_SECONDS)
            if said == wanted:
                return at


def run(*, blocks: int = BLOCKS, watched: int = WATCHED) -> list[Figure]:
    """Bar 17: p50 and p99 of all messages, and the parts."""
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
        return _figures(_measure(world, postgres.url, folder, wallets, crossing, receiver, blocks), watched)


def _measure(
    world: World,
    url: str,
    folder: Path,
    wallets: Sequence[Address],
    crossing: Crossing,
    receiver: Receiver,
    blocks: int,
) -> Found:
    key, index_port, monitor_port = new_key(), free_port(), free_port()
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
        METRICS_PORT=str(index_port),
        MONITOR_METRICS_PORT=str(monitor_port),
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
            found.open_episodes = _drain(url, receiver)
            race = Race(world, crossing, committed, told, receiver)
            before = Spent(0.0, 0.0)
            for turn in range(WARM_UP + blocks):
                if turn == WARM_UP:
                    before = spent(index_port, monitor_port)
                is_measured = turn >= WARM_UP
                race.one_block(crossing.high if turn % 2 else crossing.low, found if is_measured else None)
            after = spent(index_port, monitor_port)
            found.node_ms = (after.node - before.node) * 1000 / blocks
            found.rules_ms = (after.rules - before.rules) * 1000 / blocks
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


def _drain(url: str, receiver: Receiver) -> int:
    """Wait until everything told so far is sent, and forget it; how many episodes are open."""
    with psycopg.connect(url, autocommit=True) as connection:
        while (row := connection.execute(b"SELECT count(*) FROM outbox WHERE state = 'pending'").fetchone()) and row[0]:
            time.sleep(0.2)
        found = connection.execute(b"SELECT count(*) FROM episodes WHERE state = 'open'").fetchone()
    while not receiver.got.empty():
        receiver.got.get()
    return int(found[0]) if found else 0


def _figures(found: Found, watched: int) -> list[Figure]:
    assert found.total, "no block gave a message"
    p50, p99 = statistics.median(found.total), statistics.quantiles(found.total, n=100)[-1]
    parts = {name: statistics.median(values) for name, values in found.parts.items()}
    whole = statistics.mean(found.total)
    ours = whole - found.node_ms
    split = ", ".join(f"{name} {value:.1f}" for name, value in parts.items())
    detail = (
        f"p99 {p99:.1f} ms; {spread(found.total, 'ms')}; {len(found.total)} messages; "
        f"{found.open_episodes} episodes open all the while; medians: {split}; mean {whole:.1f}, of it the node "
        f"{found.node_ms:.1f}, ours {ours:.1f} ({ours / whole:.0%}), of that the rules {found.rules_ms:.1f}"
    )
    what = f"ms from mined to the webhook's receipt, p50, {watched:,} wallets watched"
    return [
        Figure("17", what, p50, 100, at_least=False, detail=detail),
        Figure("17p", "the same, p99", p99, 250, at_least=False),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alert_latency", description=__doc__)
    parser.add_argument("--blocks", type=int, default=BLOCKS)
    parser.add_argument("--watched", type=int, default=WATCHED)
    given = parser.parse_args()
    report(run(blocks=given.blocks, watched=given.watched))
