"""Bar 15: the wallet answer over HTTP, against a plain ORM route that serves ready-made rows of the same size.

Ours values the account on the way (health, liquidation prices, time to liquidation, remedies); the ORM route only
loads and serialises. `python -m benchmarks.api_wallet` prints the figures.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

from app.api.app import create_app
from app.domain.account import AccountKey, AccountSnapshot
from app.domain.batch import BlockBatch
from app.domain.chain import Address, BlockRef, Hash32
from app.store.chains import ChainStatus, observe
from app.store.commit import commit_batch
from app.store.deployments import register_deployments
from app.store.postgres.embedded import EmbeddedPostgres
from app.store.postgres.engine import Database
from app.store.postgres.migrate import upgrade
from benchmarks.harness import Figure, interleave, median_ratio, report, spread
from tests.protocols.aave_v3.builders import DEPLOYMENT, NOW, USDC, WBTC, WETH, make_state, owed, supplied

WALLETS = 5_000
CONNECTIONS = 16
SECONDS = 1.5
HOT = 8


class _Base(DeclarativeBase):
    pass


class OrmWallet(_Base):
    """A wallet whose numbers were worked out beforehand."""

    __tablename__ = "orm_wallets"
    address: Mapped[str] = mapped_column(primary_key=True)
    block_number: Mapped[int]
    block_hash: Mapped[str]
    health_factor: Mapped[str]
    collateral_value: Mapped[str]
    debt_value: Mapped[str]
    utilization: Mapped[str]
    positions: Mapped[list[OrmPosition]] = relationship(order_by="OrmPosition.market")


class OrmPosition(_Base):
    """One position, ready to be shown."""

    __tablename__ = "orm_positions"
    address: Mapped[str] = mapped_column(ForeignKey("orm_wallets.address"), primary_key=True)
    market: Mapped[str] = mapped_column(primary_key=True)
    asset: Mapped[str]
    symbol: Mapped[str]
    decimals: Mapped[int]
    supplied: Mapped[str]
    borrowed: Mapped[str]
    is_collateral: Mapped[bool]
    price: Mapped[str]
    supplied_value: Mapped[str]
    borrowed_value: Mapped[str]
    liquidation_threshold: Mapped[str]
    max_ltv: Mapped[str]
    liquidation_direction: Mapped[str]
    liquidation_price: Mapped[str]
    liquidation_distance: Mapped[str]
    note: Mapped[str]


class PositionOut(BaseModel):
    """What the ORM route answers of a position."""

    model_config = ConfigDict(from_attributes=True)
    market: str
    asset: str
    symbol: str
    decimals: int
    supplied: str
    borrowed: str
    is_collateral: bool
    price: str
    supplied_value: str
    borrowed_value: str
    liquidation_threshold: str
    max_ltv: str
    liquidation_direction: str
    liquidation_price: str
    liquidation_distance: str
    note: str


class WalletOut(BaseModel):
    """What the ORM route answers."""

    model_config = ConfigDict(from_attributes=True)
    address: str
    block_number: int
    block_hash: str
    health_factor: str
    collateral_value: str
    debt_value: str
    utilization: str
    positions: list[PositionOut]


def wallet(number: int) -> Address:
    """One of `WALLETS`."""
    return Address((number * 2_654_435_761).to_bytes(20, "big"))


def serve(url: str) -> None:
    """The server process: prints its port, then serves until standard input ends."""
    database = Database(url)
    app = create_app(database)
    _add_contestants(app, url)
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, loop="uvloop", http="httptools")
    server = uvicorn.Server(config)

    async def run() -> None:
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110  # uvicorn tells no other way
            await asyncio.sleep(0.01)
        print(server.servers[0].sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        await serving
        await database.dispose()

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(run())


def _add_contestants(app: FastAPI, url: str) -> None:
    engine = create_async_engine(url.replace("postgresql://", "postgresql+psycopg://"), pool_size=8, max_overflow=0)
    sessions = async_sessionmaker(engine)

    @app.get("/orm/{address}", response_model=WalletOut)
    async def orm(address: str) -> OrmWallet | None:
        async with sessions() as session:
            return await session.get(OrmWallet, address, options=[selectinload(OrmWallet.positions)])

    @app.get("/empty")
    async def empty() -> dict[str, str]:
        return {}


async def fill(url: str) -> None:
    """One block with every wallet, in the store and in the ORM's tables."""
    chance = random.Random(1)
    state = make_state()
    accounts = []
    for number in range(WALLETS):
        positions = (
            supplied(WETH, chance.randrange(10**17, 10**19)),
            supplied(WBTC, chance.randrange(10**5, 10**7)),
            owed(USDC, chance.randrange(10**6, 10**10)),
        )
        key = AccountKey(DEPLOYMENT.id, wallet(number))
        accounts.append(AccountSnapshot(key, 1, tuple(sorted(positions, key=lambda p: p.market)), (0,)))
    ref = BlockRef(DEPLOYMENT.chain_id, 1, Hash32(b"\x01" * 32), Hash32(bytes(32)), NOW)
    database = Database(url)
    async with database.write() as session:
        await register_deployments(session, [DEPLOYMENT])
        await commit_batch(session, BlockBatch(ref, state.markets(), state.records(), tuple(accounts)))
        await observe(session, ChainStatus(DEPLOYMENT.chain_id, 1, ref.hash, NOW, 1, 1, int(time.time())))
    await database.dispose()
    engine = create_async_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    async with engine.begin() as connection:
        await connection.run_sync(_Base.metadata.create_all)
    async with AsyncSession(engine) as session:
        await session.execute(insert(OrmWallet), [_orm_wallet(number) for number in range(WALLETS)])
        await session.execute(insert(OrmPosition), [row for number in range(WALLETS) for row in _orm_rows(number)])
        await session.commit()
    await engine.dispose()


_AMOUNT = "12.345678901234567890"


def _orm_wallet(number: int) -> dict[str, object]:
    texts = dict.fromkeys(("health_factor", "collateral_value", "debt_value", "utilization"), _AMOUNT)
    return {"address": str(wallet(number)), "block_number": 1, "block_hash": "0x" + "01" * 32, **texts}


def _orm_rows(number: int) -> list[dict[str, object]]:
    """Three positions, padded to make the answer as long as ours."""
    fields = [column.name for column in OrmPosition.__table__.columns]
    texts: dict[str, object] = dict.fromkeys(fields, _AMOUNT)
    own = {"address": str(wallet(number)), "decimals": 18, "is_collateral": True, "note": "x" * 600}
    return [{**texts, **own, "market": listed.code, "asset": listed.code} for listed in (WETH, WBTC, USDC)]


async def _drive(port: int, path: Callable[[], str], seconds: float) -> int:
    """Requests answered over `CONNECTIONS` kept-alive connections in `seconds`."""
    end = time.perf_counter() + seconds
    counts = await asyncio.gather(*(_one_connection(port, path, end) for _ in range(CONNECTIONS)))
    return sum(counts)


async def _one_connection(port: int, path: Callable[[], str], end: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    while time.perf_counter() < end:
        writer.write(f"GET {path()} HTTP/1.1\r\nHost: waterline\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"unexpected answer: {head[:80]!r}")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        count += 1
    writer.close()
    return count


@contextmanager
def _served(url: str) -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.api_wallet", "serve", url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.stdin.close()
            server.wait(30)


def measure() -> list[Figure]:
    """Every part of bar 15."""
    chance = random.Random(2)
    with tempfile.TemporaryDirectory(prefix="waterline-bench-") as directory:
        Path(directory).chmod(0o711)
        with EmbeddedPostgres(Path(directory) / "data") as postgres:
            upgrade(postgres.url)
            asyncio.run(fill(postgres.url))
            with _served(postgres.url) as port:
                paths: dict[str, Callable[[], str]] = {
                    "orm": lambda: f"/orm/{wallet(chance.randrange(WALLETS))}",
                    "empty": lambda: "/empty",
                    "database": lambda: f"/v1/wallets/{wallet(chance.randrange(WALLETS))}",
                    "memory": lambda: f"/v1/wallets/{wallet(chance.randrange(HOT))}",
                }

                def contestant(path: Callable[[], str]) -> Callable[[], int]:
                    return lambda: asyncio.run(_drive(port, path, SECONDS))

                samples = interleave({name: contestant(path) for name, path in paths.items()})
    rates = {name: [each.units / each.wall_seconds for each in runs] for name, runs in samples.items()}
    detail = {name: spread(rate, "req/s") for name, rate in rates.items()}
    return [
        Figure("15a", "wallet valued from Postgres / ORM route", median_ratio(rates["database"], rates["orm"]), 3,
               detail=f"{detail['database']}, ORM {detail['orm']}"),
        Figure("15b", "wallet asked for again in its second / ORM route", median_ratio(rates["memory"], rates["orm"]),
               6, detail=detail["memory"]),
        Figure("15c", "the same / an empty FastAPI route", median_ratio(rates["memory"], rates["empty"]), 0.6,
               detail=f"empty {detail['empty']}"),
    ]  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    else:
        report(measure())
