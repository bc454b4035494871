"""How fast the store grows, and what auditing costs: measured on the devnet, the growth extrapolated to real chains.

The product's own indexer follows a living world, once without and once with audits (8 accounts at every block). Bytes
are what Postgres says its tables and their indexes take, after less what they took when following began; the rest is
counting. A real chain's day follows from the assumptions in CHAINS, which are stated guesses about how much happens
there: put your own in.

    python -m benchmarks.storage_growth
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from prometheus_client import CollectorRegistry

from app.chain.reader import ChainReader, Header
from app.chain.rpc import Rpc
from app.domain.specs import chain_spec
from app.indexer.loop import Indexer
from app.indexer.metrics import IndexerMetrics
from app.indexer.options import IndexerOptions
from app.settings import load_settings
from app.store.postgres.embedded import EmbeddedPostgres
from app.store.postgres.engine import Database
from app.store.postgres.migrate import upgrade
from devnet.world import NEIGHBOURS, World

BLOCKS = 80
WALLETS = 90
AUDITED = 8
TABLES = ("blocks", "market_records", "positions", "account_states", "accounts", "account_due", "audits")
DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Assumed:
    """What is assumed of one chain's day, for the deployments followed by themselves."""

    chain_id: int
    records_per_block: float
    """Groups of market numbers that change in a stored block: prices, and the indices of markets somebody used."""
    positions_per_day: int
    """Positions changed by their owners or liquidators."""


CHAINS = (
    Assumed(1, records_per_block=6, positions_per_day=20_000),
    Assumed(8453, records_per_block=8, positions_per_day=80_000),
    Assumed(42161, records_per_block=6, positions_per_day=50_000),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run's outcome."""

    rows: dict[str, int]
    bytes: dict[str, int]
    audit_seconds: float
    index_seconds: float
    audited: tuple[int, int]
    """Accounts checked, and those of them for which nothing differed."""


async def follow(world: World, url: str, folder: Path, audited: int, blocks: int) -> Run:
    """Follow `blocks` blocks of the world's life into a fresh database."""
    path = folder / "deployments.json"
    path.write_text(json.dumps(world.deployments()))
    deployments = list(load_settings({"DEPLOYMENTS_FILE": str(path)}).extra_deployments)
    spec, database = chain_spec(world.chain_id), Database(url)
    reader = ChainReader(Rpc(world.rpc_url), spec)
    shown = world.block_number

    async def heads() -> AsyncGenerator[Header, None]:
        last = -1
        while True:
            if shown != last:
                header = await reader.fetch_header(shown)
                assert header is not None
                last = shown
                yield header
            await asyncio.sleep(0.001)

    registry = CollectorRegistry()
    options = IndexerOptions(audit_accounts=audited, audit_seconds=0.0)
    indexer = Indexer(reader, database, spec, deployments, heads, options=options, metrics=IndexerMetrics(registry))
    try:
        await indexer.run_until(shown, scanned=True)
        task = asyncio.create_task(indexer.run())
        for _ in range(3):  # whoever was found in old logs is read
            world.mine()
            shown = world.block_number
            await asyncio.sleep(0.5)
        before = sizes(url)
        spent = [seconds(registry, phase) for phase in ("audit", None)]
        for _ in range(blocks):
            world.step()
            shown = world.block_number
            while indexer.cursor is None or indexer.cursor.number < shown:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)  # what is done between blocks is done
        after = sizes(url)
        audit, index = (seconds(registry, phase) for phase in ("audit", None))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    finally:
        await reader.aclose()
        await database.dispose()
    return Run(
        {name: after[name][0] - before[name][0] for name in TABLES},
        {name: after[name][1] - before[name][1] for name in TABLES},
        audit - spent[0],
        index - spent[1],
        checked(url),
    )


def checked(url: str) -> tuple[int, int]:
    """Accounts that audits checked, and those for which nothing differed."""
    with psycopg.connect(url) as connection:
        query = "SELECT coalesce(sum(checked), 0)::int, coalesce(sum(exact), 0)::int FROM audits"
        found: tuple[int, int] = connection.execute(query).fetchall()[0]
        return found


def sizes(url: str) -> dict[str, tuple[int, int]]:
    """Rows and bytes, indexes included, of every table."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM")
        found: dict[str, tuple[int, int]] = {}
        for name in TABLES:
            query = f"SELECT count(*), pg_total_relation_size('{name}') FROM {name}"
            found[name] = connection.execute(query.encode()).fetchall()[0]
    return found


def seconds(registry: CollectorRegistry, phase: str | None) -> float:
    """What a phase took so far; without one, whole blocks."""
    name = "waterline_block_phase_seconds" if phase else "waterline_block_index_seconds"
    samples: list[Any] = [s for family in registry.collect() for s in family.samples if s.name == f"{name}_sum"]
    return float(sum(s.value for s in samples if phase is None or s.labels["phase"] == phase))


def report(plain: Run, audited: Run, blocks: int) -> list[str]:
    """Everything measured, and what it comes to on real chains."""
    lines = [f"devnet, {blocks} blocks of life, {WALLETS} wallets"]
    per_row = {}
    for name in TABLES:
        rows, size = audited.rows[name], audited.bytes[name]
        per_row[name] = size / rows if rows else 0.0
        lines.append(f"  {name}: {rows / blocks:.2f} rows a block, {per_row[name]:.0f} bytes a row")
    lines.append(f"  bytes a block: {sum(plain.bytes.values()) / blocks:.0f}, with audits of every block "
                 f"{sum(audited.bytes.values()) / blocks:.0f}")  # fmt: skip
    lines.append(
        f"audit of {AUDITED} accounts: {audited.audit_seconds / blocks * 1e3:.1f} ms between blocks; a block takes "
        f"{audited.index_seconds / blocks * 1e3:.1f} ms with audits, {plain.index_seconds / blocks * 1e3:.1f} without"
    )
    lines.append(f"  {audited.audited[1]:,} of {audited.audited[0]:,} accounts checked were exact")
    for one in CHAINS:
        spec = chain_spec(one.chain_id)
        stored = DAY_SECONDS / spec.block_seconds / spec.sampling_step
        states = one.positions_per_day * audited.rows["account_states"] / max(1, audited.rows["positions"])
        parts = {
            "blocks": stored * per_row["blocks"],
            "market numbers": stored * one.records_per_block * per_row["market_records"],
            "positions": one.positions_per_day * per_row["positions"],
            "account states": states * per_row["account_states"],
        }
        said = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in parts.items())
        lines.append(f"{spec.name}: {sum(parts.values()) / 1e6:.0f} MB a day ({said}); "
                     f"{sum(parts.values()) * 365 / 1e9:.1f} GB a year")  # fmt: skip
    return lines


async def main() -> None:
    """Measure and print."""
    runs = []
    for audited in (0, AUDITED):
        with TemporaryDirectory(prefix="waterline-growth-") as directory:
            Path(directory).chmod(0o711)  # noqa: ASYNC240 - nothing else is under way
            with (
                EmbeddedPostgres(Path(directory) / "data", {}) as server,
                World(seed=7, wallets=WALLETS, protocols=tuple(NEIGHBOURS)) as world,
            ):
                upgrade(server.url)
                runs.append(await follow(world, server.url, Path(directory), audited, BLOCKS))
    print("\n".join(report(runs[0], runs[1], BLOCKS)))


if __name__ == "__main__":
    asyncio.run(main())
