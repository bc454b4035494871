"""The process that keeps the risk boards, and holds watchlists against them."""

from __future__ import annotations

import asyncio
from functools import partial

from prometheus_client import start_http_server

from app.commands.terminal import database_named, until_signal
from app.errors import Refused, WaterlineError
from app.monitor.loop import Monitor
from app.monitor.metrics import MonitorMetrics
from app.monitor.options import DAY_SECONDS, MonitorOptions
from app.processes.evaluator import make_evaluator
from app.settings import Settings
from app.store.deployments import load_deployments
from app.store.postgres.engine import Database
from app.store.postgres.schema import verify_schema


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
