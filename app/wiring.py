"""Puts the parts together: the only file that knows all of them. One function a command of `app.cli`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import uvicorn
from prometheus_client import start_http_server
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from starlette.types import ASGIApp

from app.alerts.destination import Policy
from app.api.app import create_app
from app.api.channels import ChannelSetup
from app.api.deps import ApiOptions
from app.api.desk import Desk
from app.api.limits import LimitOptions
from app.api.source import ReadPath
from app.api.status import load_status_view
from app.commands.delivery import environment_of, vault_of
from app.commands.terminal import database_named, until_signal
from app.commands.watching import make_evaluator
from app.domain.market import Deployment
from app.errors import Refused, WaterlineError
from app.following import endpoint_pool, ens_names, note_refused, pooled_heads, verify_chain
from app.indexer.endpoints import EndpointMetrics, EndpointRecorder, recall_limits
from app.indexer.loop import Indexer
from app.indexer.metrics import IndexerMetrics
from app.indexer.options import IndexerOptions
from app.indexer.scan import OnScan, ScanProgress
from app.monitor.loop import Monitor
from app.monitor.metrics import MonitorMetrics
from app.monitor.options import DAY_SECONDS, MonitorOptions
from app.protocols.registry import adapters
from app.settings import Settings
from app.store.deployments import load_deployments
from app.store.engine import Database
from app.store.migrate import upgrade, verify_schema
from app.valuation.groups import DEFAULT_GROUPS
from app.web.routes import mount_pages
from devnet import demo as local_chain

_SHUTDOWN_SECONDS = 5


def known_deployments(settings: Settings) -> list[Deployment]:
    """Every deployment of every adapter and of DEPLOYMENTS_FILE, narrowed to DEPLOYMENTS when that is set.

    Raises:
        Refused: an id is unknown or taken twice, or a protocol has no adapter.
    """
    by_id = {deployment.id: deployment for deployment in registered_deployments(settings)}
    unknown = set(settings.deployments) - set(by_id)
    if unknown:
        raise Refused(f"DEPLOYMENTS: unknown: {', '.join(sorted(unknown))}; see `waterline protocols`")
    return [deployment for id, deployment in by_id.items() if not settings.deployments or id in settings.deployments]


def registered_deployments(settings: Settings) -> list[Deployment]:
    """Every deployment of every adapter and of DEPLOYMENTS_FILE, by chain and id, whatever DEPLOYMENTS says.

    Raises:
        Refused: an id is taken twice, or a protocol has no adapter.
    """
    built_in = [deployment for adapter in adapters().values() for deployment in adapter.deployments()]
    by_id: dict[str, Deployment] = {}
    for deployment in (*built_in, *settings.extra_deployments):
        if deployment.id in by_id:
            raise Refused(f"DEPLOYMENTS_FILE: the id {deployment.id!r} is already taken")
        if deployment.protocol not in adapters():
            names = ", ".join(sorted(adapters()))
            raise Refused(f"DEPLOYMENTS_FILE: {deployment.id}: no protocol {deployment.protocol!r}; there are: {names}")
        by_id[deployment.id] = deployment
    return sorted(by_id.values(), key=lambda deployment: (deployment.chain_id, deployment.id))


def is_followed(settings: Settings, deployment: Deployment) -> bool:
    """Whether these settings follow a registered deployment as soon as its chain has a node: DEPLOYMENTS names it, or
    names none and it is not followed on request only."""
    return deployment.id in settings.deployments if settings.deployments else not deployment.on_request


def followed_deployments(settings: Settings, chain_id: int) -> list[Deployment]:
    """The known deployments of one chain that are followed: those named in DEPLOYMENTS, or else all but those that
    are followed on request only. They are searched for accounts from FROM_BLOCK_<chain id> on if that is set.

    Raises:
        Refused: there is none, so following that chain would do nothing.
    """
    found = [
        deployment
        for deployment in known_deployments(settings)
        if deployment.chain_id == chain_id and is_followed(settings, deployment)
    ]
    if not found:
        raise Refused(f"RPC_URL_{chain_id}: no deployment is known on chain {chain_id}; see `waterline protocols`")
    from_block = settings.require_chain(chain_id).from_block
    return found if from_block is None else [replace(deployment, start_block=from_block) for deployment in found]


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
        await asyncio.to_thread(upgrade, url)
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


def _indexer_options(settings: Settings) -> IndexerOptions:
    days = settings.retention_days
    return IndexerOptions(
        audit_accounts=settings.audit_accounts, retention_seconds=None if days is None else days * DAY_SECONDS
    )


async def monitor(settings: Settings, chain_id: int | None) -> None:
    """Keep the risk board of one chain, of all that are configured, or else of all that are stored, until SIGINT or
    SIGTERM.

    Raises:
        Refused: there is no chain to keep it of.
    """
    database = Database(settings.require_database_url().reveal(), role="waterline monitor", writers=4)
    options = MonitorOptions(retention_seconds=settings.risk_snapshot_days * DAY_SECONDS)
    try:
        with database_named():
            async with database.read() as session:
                await verify_schema(session)
                stored = {deployment.chain_id for deployment in await load_deployments(session)}
        chains = sorted(settings.chains or stored) if chain_id is None else [chain_id]
        if not chains:
            raise Refused("no chain is followed yet: run `waterline index` first, or name one with --chain")
        if settings.monitor_metrics_port is not None:
            start_http_server(settings.monitor_metrics_port, settings.host)
        metrics = MonitorMetrics()

        async def keep_all() -> None:
            async with asyncio.TaskGroup() as tasks:
                for each in chains:
                    make = partial(make_evaluator, settings, database)
                    monitor = Monitor(database, each, options=options, metrics=metrics, evaluator=make)
                    tasks.create_task(monitor.run())

        await until_signal(keep_all())
    except* WaterlineError as failures:
        raise _first_of(failures) from None
    finally:
        await database.dispose()


def _first_of(failures: BaseExceptionGroup[WaterlineError]) -> WaterlineError:
    """The first failure of several tasks: what the command says and ends with."""
    first = failures.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first


async def serve(settings: Settings) -> None:
    """Serve the API and the page until SIGINT or SIGTERM."""
    database = Database(settings.require_database_url().reveal(), role="waterline serve")
    try:
        with database_named():
            async with database.read() as session:
                await verify_schema(session)
        async with ens_names(settings) as names:
            app = create_app(
                database, _api_options(settings), name_resolver=names, channel_setup=_channel_setup(settings)
            )
            desk = Desk(app.state.read_context, app.state.doorkeeper, names)
            mount_pages(app, ReadPath(app.state.read_context, app.state.tracker), desk)
            server = _Server(_server_config(app, settings))

            def end(_: asyncio.Task[None]) -> None:
                app.state.read_context.stream.close()  # event streams would keep the server waiting
                server.should_exit = True

            await until_signal(server.serve(), end)
    finally:
        await database.dispose()


def _server_config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How the application is served. A header says who the client is only where a trusted proxy sent it: rates are
    counted by address."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )


def _api_options(settings: Settings) -> ApiOptions:
    groups = DEFAULT_GROUPS.with_overrides(settings.asset_groups)
    limits = LimitOptions(settings.rate_limit_per_minute, settings.key_rate_limit_per_minute)
    return ApiOptions(chain_ids=tuple(settings.chains), groups=groups, limits=limits)


def _channel_setup(settings: Settings) -> ChannelSetup:
    return ChannelSetup(vault_of(settings), Policy(settings.alert_allowed_hosts), environment_of(settings))


async def migrate(settings: Settings) -> None:
    """Bring the database schema to this version."""
    with database_named():
        await asyncio.to_thread(upgrade, settings.require_database_url().reveal())


async def print_status(settings: Settings, console: Console) -> int:
    """What the store knows of each chain, as a table. 0 when every configured chain is fresh, else 1."""
    database = Database(settings.require_database_url().reveal(), role="waterline status")
    try:
        app = create_app(database, _api_options(settings))
        with database_named():
            view = await load_status_view(app.state.read_context)
    finally:
        await database.dispose()
    table = Table(title="Chains", header_style="bold")
    for column in ("chain", "indexed", "head", "behind", "age s", "to read", "to search", "state"):
        table.add_column(column, justify="left" if column in ("chain", "state") else "right")
    for chain in view.chains:
        numbers = (chain.indexed_number, chain.head_number, chain.blocks_behind, chain.lag_seconds)
        backlog = (chain.pending_reads, chain.scan_remaining_blocks)
        cells = ["-" if number is None else f"{number:,}" for number in (*numbers, *backlog)]
        table.add_row(f"{chain.chain} ({chain.chain_id})", *cells, chain.stale_reason or "fresh")
    console.print(table)
    return 0 if view.ready else 1


def devnet(
    *,
    port: int,
    seed: int,
    wallets: int,
    block_seconds: float,
    deployments_file: Path,
    guide_file: Path | None,
    history_after: Path | None,
    console: Console,
) -> None:
    """Run the local chain until SIGINT or SIGTERM."""

    def announce(ready: local_chain.Ready) -> None:
        if guide_file is None:
            console.print(f"chain {ready.chain_id} at {ready.rpc_url}, deployments in {ready.deployments_file}")
            for what, wallet in ready.wallets:
                console.print(f"  {wallet}  {what}", highlight=False)
        else:
            guide = [{"wallet": str(wallet), "why": what} for what, wallet in ready.wallets]
            partial = guide_file.with_suffix(".partial")
            partial.write_text(json.dumps(guide))
            partial.rename(guide_file)

    local_chain.run(port, seed, wallets, block_seconds, deployments_file, announce, history_after=history_after)


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


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: signals are this module's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
