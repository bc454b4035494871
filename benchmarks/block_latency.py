"""Bar 10: from a mined block with 50 events to its row being visible in Postgres, against what one writes first.

Ours is the product's own indexer on real Aave V3.0: it hears of the block over a WebSocket, searches its logs, reads
the market and every touched account, and commits. The clock starts when the node's answer to evm_mine is in and stops
when another connection is told of the commit (then it looks whether the rows are there). The other side is handed the
block's number at once, so that no polling is in its time: web3.py's get_logs and process_log, getUserAccountData of
every touched wallet, and the SQLAlchemy ORM. It reads less: six finished numbers an account instead of positions.
"""

from __future__ import annotations

import asyncio
import gc
import json
import queue
import statistics
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from prometheus_client import CollectorRegistry
from sqlalchemy import BigInteger, Numeric, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from web3 import Web3

from app.chain.heads import follow_heads
from app.chain.reader import ChainReader, Header
from app.chain.rpc import Rpc
from app.domain.chain import Address
from app.domain.specs import chain_spec
from app.indexer.loop import Indexer
from app.indexer.metrics import IndexerMetrics
from app.settings import load_settings
from app.store.blocks import BLOCKS_CHANNEL
from app.store.postgres.embedded import EmbeddedPostgres
from app.store.postgres.engine import Database, parse_url
from app.store.postgres.migrate import upgrade
from benchmarks.harness import Figure, report, spread
from devnet import pool
from devnet.assets import LIQUIDITY_PROVIDER
from devnet.chain import MULTICALL3
from devnet.codec import aggregate_data
from devnet.world import World

AAVE = "aave-v3-0-devnet"
EVENTS = 50
BLOCKS = 25
PHASES = ("logs", "configuration", "accounts", "rules", "commit")
_WAIT_SECONDS = 20
_UINT = "uint256"
_POOL_ABI = [
    {
        "type": "function",
        "name": "getUserAccountData",
        "stateMutability": "view",
        "inputs": [{"name": "user", "type": "address"}],
        "outputs": [{"name": f"value{place}", "type": _UINT} for place in range(6)],
    }
]
_TRANSFER_ABI = [
    {
        "type": "event",
        "name": "Transfer",
        "anonymous": False,
        "inputs": [
            {"name": "from", "type": "address", "indexed": True},
            {"name": "to", "type": "address", "indexed": True},
            {"name": "value", "type": _UINT, "indexed": False},
        ],
    }
]


class _Base(DeclarativeBase):
    pass


class FirstAccount(_Base):
    """What a first attempt keeps of an account."""

    __tablename__ = "first_accounts"
    wallet: Mapped[str] = mapped_column(primary_key=True)
    block_number: Mapped[int] = mapped_column(BigInteger)
    collateral: Mapped[int] = mapped_column(Numeric(78, 0))
    debt: Mapped[int] = mapped_column(Numeric(78, 0))
    available: Mapped[int] = mapped_column(Numeric(78, 0))
    threshold: Mapped[int] = mapped_column(Numeric(78, 0))
    ltv: Mapped[int] = mapped_column(Numeric(78, 0))
    health_factor: Mapped[int] = mapped_column(Numeric(78, 0))


class FirstAttempt:
    """A loop as one writes it first."""

    def __init__(self, rpc_url: str, url: str, target: Address, tokens: Sequence[Address]) -> None:
        self._web3 = Web3(Web3.HTTPProvider(rpc_url))
        checksum = self._web3.to_checksum_address
        self._pool = self._web3.eth.contract(address=checksum(str(target)), abi=_POOL_ABI)
        self._tokens = [checksum(str(token)) for token in tokens]
        self._transfer = self._web3.eth.contract(address=self._tokens[0], abi=_TRANSFER_ABI).events.Transfer()
        self._topic = self._web3.to_hex(self._web3.keccak(text="Transfer(address,address,uint256)"))
        self._engine = create_engine(parse_url(url))
        _Base.metadata.create_all(self._engine)

    def index(self, number: int) -> int:
        """Store the accounts a block touched; how many."""
        found = self._web3.eth.get_logs(
            {"fromBlock": number, "toBlock": number, "address": self._tokens, "topics": [self._topic]}
        )
        touched: set[str] = set()
        for one in found:
            given = self._transfer.process_log(one)["args"]
            touched |= {given["from"], given["to"]}
        touched.discard("0x" + "0" * 40)
        with Session(self._engine) as session:
            for wallet in sorted(touched):
                values = self._pool.functions.getUserAccountData(wallet).call(block_identifier=number)
                session.merge(FirstAccount(**dict(zip(_COLUMNS, (wallet, number, *values), strict=True))))
            session.commit()
        return len(touched)

    def close(self) -> None:
        """Close the database's connections."""
        self._engine.dispose()


_COLUMNS = [column.name for column in FirstAccount.__table__.columns]


class Onlooker(threading.Thread):
    """Another client of the database: hears of commits, looks for the rows, notes when."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute(f"LISTEN {BLOCKS_CHANNEL}".encode())
        self._ended = threading.Event()
        self.seen: queue.Queue[tuple[int, float, int]] = queue.Queue()
        """Block number, `perf_counter` then, and account rows of that block found."""

    def run(self) -> None:
        while not self._ended.is_set():
            found = list(self._connection.notifies(timeout=0.2, stop_after=1))
            at = time.perf_counter()
            for told in found:
                number = int(told.payload.partition(":")[2])
                self.seen.put((number, at, self._rows(number)))

    def wait_for(self, number: int) -> tuple[float, int]:
        """When block `number` became visible, and with how many positions."""
        while True:
            seen, at, rows = self.seen.get(timeout=_WAIT_SECONDS)
            if seen == number:
                return at, rows

    def close(self) -> None:
        """End the thread and its connection."""
        self._ended.set()
        self.join()
        self._connection.close()

    def _rows(self, number: int) -> int:
        query = b"SELECT count(*) FROM positions p JOIN blocks b ON b.id = p.block_id WHERE b.number = %s"
        row = self._connection.execute(query, [number]).fetchone()
        assert row is not None
        return int(row[0])


class Follower:
    """The product's indexer in an event loop and a thread of its own, telling how long its parts took."""

    def __init__(self, world: World, url: str) -> None:
        self._world, self._url = world, url
        self._registry = CollectorRegistry()
        self.arrivals: dict[int, float] = {}
        """`perf_counter` when the header of a block was handed over, by number."""
        self._stop: Callable[[], object] | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._follow()), daemon=True)
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Begin to follow, old logs first."""
        self._thread.start()

    def close(self) -> None:
        """End following.

        Raises:
            Whatever ended it before.
        """
        if self._stop is not None and self.failure is None:
            self._stop()
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def phases(self) -> dict[str, float]:
        """Seconds spent in each part of indexing so far."""
        name, chain = "waterline_block_phase_seconds_sum", str(self._world.chain_id)
        read = self._registry.get_sample_value
        return {phase: read(name, {"chain": chain, "phase": phase}) or 0.0 for phase in PHASES}

    async def _follow(self) -> None:
        spec = chain_spec(self._world.chain_id)
        reader, database = ChainReader(Rpc(self._world.rpc_url), spec), Database(self._url)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "deployments.json"
            path.write_text(json.dumps([row for row in self._world.deployments() if row["id"] == AAVE]))
            deployments = load_settings({"DEPLOYMENTS_FILE": str(path)}).extra_deployments
        metrics = IndexerMetrics(self._registry)
        indexer = Indexer(reader, database, spec, list(deployments), lambda: self._heads(reader), metrics=metrics)
        task = asyncio.create_task(indexer.run())
        loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(task.cancel)
        try:
            with suppress(asyncio.CancelledError):
                await task
        except Exception as error:  # shown by the main thread
            self.failure = error
        finally:
            await reader.aclose()
            await database.dispose()

    async def _heads(self, reader: ChainReader) -> AsyncGenerator[Header, None]:
        async for header in follow_heads(reader, self._world.ws_url, 10.0):
            self.arrivals[header.block.number] = time.perf_counter()
            yield header


@dataclass(slots=True)
class Found:
    """Milliseconds, one value a block."""

    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    parts: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in ("head", *PHASES)})


class Race:
    """Blocks with events, each indexed by both sides."""

    def __init__(self, world: World, follower: Follower, onlooker: Onlooker, first: FirstAttempt) -> None:
        self._world, self._follower, self._onlooker, self._first = world, follower, onlooker, first
        self._wallets = [plan.wallet for plan in world.plans if plan.deployment_id == AAVE][:EVENTS]
        assert len(self._wallets) == EVENTS

    def one_block(self, found: Found | None) -> None:
        """Mine a block in which `EVENTS` wallets get a supply; note the times, unless it is a warm-up."""
        self._queue_supplies()
        before = self._follower.phases()
        self._world.chain.client.call("evm_mine")
        mined = time.perf_counter()
        self._world.chain.resync()
        number = self._world.block_number
        visible, rows = self._onlooker.wait_for(number)
        assert rows >= EVENTS, f"block {number}: {rows} positions of {EVENTS} are stored"
        after = self._follower.phases()
        started = time.perf_counter()
        touched = self._first.index(number)
        theirs = time.perf_counter() - started
        assert touched >= EVENTS
        if found is None:
            return
        found.ours.append((visible - mined) * 1000)
        found.theirs.append(theirs * 1000)
        found.parts["head"].append((self._follower.arrivals[number] - mined) * 1000)
        for phase in PHASES:
            found.parts[phase].append((after[phase] - before[phase]) * 1000)

    def catch_up(self) -> None:
        """Wait until every account found in old logs is read: from then on a block is only its own work."""
        for _ in range(4):
            self._world.mine()
            self._onlooker.wait_for(self._world.block_number)

    def _queue_supplies(self) -> None:
        deployed = self._world.deployed(AAVE)
        calls = [pool.supply(deployed, "USDC", 10**6, wallet) for wallet in self._wallets]
        data = aggregate_data(calls, may_fail=False)
        self._world.chain.send(LIQUIDITY_PROVIDER, MULTICALL3, data, gas=500_000 * EVENTS, label="supplies")


def run(*, blocks: int = BLOCKS, wallets: int = 300) -> list[Figure]:
    """Bar 10: 10 as milliseconds, 10w as a ratio."""
    with (
        TemporaryDirectory(prefix="waterline-bench-") as folder,
        World(seed=5, wallets=wallets) as world,
        EmbeddedPostgres(Path(folder) / "data") as postgres,
    ):
        upgrade(postgres.url)
        tokens = [reserve.a_token for reserve in world.deployed(AAVE).reserves.values()]
        with closing(FirstAttempt(world.rpc_url, postgres.url, world.deployed(AAVE).pool, tokens)) as first:
            found = _measure(world, postgres.url, first, blocks)
    return _figures(found)


def _measure(world: World, url: str, first: FirstAttempt, blocks: int) -> Found:
    found = Found()
    with closing(Onlooker(url)) as onlooker, closing(Follower(world, url)) as follower:
        onlooker.start()
        follower.start()
        onlooker.wait_for(world.block_number)
        race = Race(world, follower, onlooker, first)
        race.catch_up()
        gc.collect()
        gc.freeze()  # as the command does: no collection looks through what is imported
        for turn in range(blocks + 3):
            race.one_block(found if turn >= 3 else None)
    return found


def _figures(found: Found) -> list[Figure]:
    p95 = statistics.quantiles(found.ours, n=20)[-1]
    parts: dict[str, Any] = {name: statistics.median(values) for name, values in found.parts.items()}
    split = ", ".join(f"{name} {value:.1f}" for name, value in parts.items())
    what = f"ms from mined to visible, p50, {EVENTS} accounts touched"
    ratio = statistics.median(a / b for a, b in zip(found.theirs, found.ours, strict=True))
    detail = f"ours {spread(found.ours, 'ms')}, p95 {p95:.3g}; medians: {split}"
    return [
        Figure("10", what, statistics.median(found.ours), 15, at_least=False, detail=detail),
        Figure("10w", "web3.py + ORM loop / ours", ratio, 4, detail=f"web3.py + ORM {spread(found.theirs, 'ms')}"),
    ]


if __name__ == "__main__":
    report(run())
