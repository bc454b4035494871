"""The process that serves the API and the pages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from app.alerts.destination import Policy
from app.api.app import create_app
from app.api.frame.deps import ApiOptions
from app.api.frame.limits import LimitOptions
from app.api.source import ReadPath
from app.api.watch.channels import ChannelSetup
from app.api.watch.desk import Desk
from app.commands.terminal import database_named, until_signal
from app.naming import ens_names
from app.processes.secrets import environment_of, vault_of
from app.settings import Settings
from app.store.postgres.engine import Database
from app.store.postgres.schema import verify_schema
from app.valuation.groups import DEFAULT_GROUPS
from app.web.routes import mount_pages

_SHUTDOWN_SECONDS = 5


async def serve(settings: Settings) -> None:
    """Serve the API and the page until SIGINT or SIGTERM."""
    database = Database(settings.require_database_url().reveal(), role="waterline serve")
    try:
        with database_named():
            async with database.read() as session:
                await verify_schema(session)
        async with ens_names(settings) as names:
            app = create_app(
                database, api_options(settings), name_resolver=names, channel_setup=_channel_setup(settings)
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


def api_options(settings: Settings) -> ApiOptions:
    groups = DEFAULT_GROUPS.with_overrides(settings.asset_groups)
    limits = LimitOptions(settings.rate_limit_per_minute, settings.key_rate_limit_per_minute)
    return ApiOptions(chain_ids=tuple(settings.chains), groups=groups, limits=limits)


def _channel_setup(settings: Settings) -> ChannelSetup:
    return ChannelSetup(vault_of(settings), Policy(settings.alert_allowed_hosts), environment_of(settings))


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: signals are this module's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
