"""The process that follows one chain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from prometheus_client import start_http_server
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.commands.terminal import database_named, until_signal
from app.deployments import followed_deployments
from app.errors import Refused, WaterlineError
from app.following import endpoint_pool, note_refused, pooled_heads, verify_chain
from app.indexer.between.scan import OnScan, ScanProgress
from app.indexer.endpoints import EndpointMetrics, EndpointRecorder, recall_limits
from app.indexer.loop import Indexer
from app.indexer.metrics import IndexerMetrics
from app.indexer.options import IndexerOptions
from app.settings import Settings
from app.store.postgres.engine import Database
from app.store.postgres.faults import SchemaMismatch
from app.store.postgres.schema import verify_schema

_DAY_SECONDS = 86_400


async def index(settings: Settings, chain_id: int, on_scan: OnScan | None) -> None:
    """Follow one chain until SIGINT or SIGTERM."""
    chain = settings.require_chain(chain_id)
    deployments = followed_deployments(settings, chain_id)
    url = settings.require_database_url().reveal()
    database = Database(url, role=f"waterline index {chain_id}")
    try:
        await verify_chain(chain)
    except Refused as reason:
        # whoever asks how the chain is followed is told; where even that fails, the refusal itself matters more
        with suppress(WaterlineError):
            await note_refused(database, chain_id, str(reason))
        await database.dispose()
        raise
    with database_named():
        await _bring_up_to_date(database, url)
    if settings.metrics_port is not None:
        start_http_server(settings.metrics_port, settings.host)
    metrics = EndpointMetrics()
    try:
        async with endpoint_pool(chain, deployments, metrics.counter(chain_id)) as pool:
            with database_named():
                await recall_limits(pool, database)
            indexer = Indexer(
                pool,
                database,
                pool.spec,
                deployments,
                lambda: pooled_heads(pool, database, settings.poll_seconds),
                options=_indexer_options(settings),
                metrics=IndexerMetrics(),
                on_scan=on_scan,
            )
            recording = asyncio.create_task(EndpointRecorder(pool, database, metrics).run())
            try:
                await until_signal(indexer.run())
            finally:
                recording.cancel()
                await asyncio.gather(recording, return_exceptions=True)
    finally:
        await database.dispose()


async def _bring_up_to_date(database: Database, url: str) -> None:
    """Migrate the tables if they are not of this version. Alembic is imported only then: most starts go without."""
    try:
        async with database.read() as session:
            await verify_schema(session)
    except SchemaMismatch:
        from app.store.postgres.migrate import upgrade

        await asyncio.to_thread(upgrade, url)


def _indexer_options(settings: Settings) -> IndexerOptions:
    days = settings.retention_days
    return IndexerOptions(
        audit_accounts=settings.audit_accounts, retention_seconds=None if days is None else days * _DAY_SECONDS
    )


@contextmanager
def scan_progress(console: Console, *, shown: bool) -> Iterator[OnScan | None]:
    """A progress bar for the search of old logs while the block lasts: what to call after each piece of it."""
    if not shown:
        yield None
        return
    columns = (
        TextColumn("searching old blocks"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[found]} accounts, {task.fields[rate]} blocks/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("scan", total=None, found="0", rate="-")

        def on_scan(state: ScanProgress) -> None:
            found, rate = f"{state.accounts_found:,}", f"{state.blocks_per_second:,.0f}"
            progress.update(task, total=state.blocks_total, completed=state.blocks_done, found=found, rate=rate)

        yield on_scan
