"""The API as an ASGI application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response

from app.api import (
    accounts,
    accuracy,
    board,
    deployments,
    docs,
    events,
    history,
    market_simulation,
    markets,
    risk,
    simulate,
    status,
    tracking,
    wallets,
)
from app.api.frame.deps import ApiOptions, Clock, FindAdapter, ReadContext
from app.api.frame.keys import Doorkeeper
from app.api.frame.limits import Limiter, Limits
from app.api.frame.metrics import RequestMetrics
from app.api.frame.middleware import Envelope
from app.api.frame.names import NameResolver
from app.api.frame.problems import ApiProblem, problem_of, problem_response
from app.api.frame.stream import BlockStream
from app.api.watch import alert_routes, changes, channels, deliveries, episodes, members, rules, watchlists
from app.api.watch.channels import ChannelSetup
from app.errors import Retryable
from app.protocols.registry import adapter_for
from app.store.postgres.engine import Database
from app.store.watch.keys import KeyRing

DESCRIPTION = """How far every wallet is from liquidation, on every protocol followed, as of a named block.

Amounts, values, prices and ratios are exact decimal strings; `null` means "not known" or "does not apply", never
zero. Every answer carries `as_of`: its block, how final it is, how old, and whether that is too old."""


def create_app(
    database: Database,
    options: ApiOptions | None = None,
    *,
    clock: Clock = lambda: int(time.time()),
    find_adapter: FindAdapter = adapter_for,
    name_resolver: NameResolver | None = None,
    channel_setup: ChannelSetup | None = None,
) -> FastAPI:
    """The API over one database. It opens nothing before it is started and leaves `database` open at its end.

    `app.state.read_context` is what pages read with. Before a server waits for open connections to end, call
    `app.state.read_context.stream.close()`: event streams end only then.

    Args:
        clock: unix seconds now; what ages are measured against.
        find_adapter: the adapter of a protocol slug.
        name_resolver: what ENS names are resolved with when members are added; None: they are refused.
        channel_setup: what channels are set up with; None: nothing secret can be kept.
    """
    options = options or ApiOptions()
    stream = BlockStream(database.listen, options.stream_subscribers, options.stream_heartbeat_seconds)
    context = ReadContext(database, options, clock, find_adapter, stream)
    metrics = RequestMetrics()
    limits = Limits(options.limits)
    doorkeeper = Doorkeeper(KeyRing(database), limits, clock)
    app = FastAPI(
        title="Waterline",
        version="1",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        middleware=_middleware(options, metrics, limits, doorkeeper),
        redirect_slashes=False,
    )
    app.state.read_context = context
    app.state.tracker = tracking.new_tracker(context)
    app.state.name_resolver = name_resolver
    app.state.channel_setup = channel_setup or ChannelSetup()
    app.state.doorkeeper = doorkeeper
    app.state.request_metrics = metrics
    for error in (ApiProblem, RequestValidationError, HTTPException, Retryable):
        app.add_exception_handler(error, _answer_problem)
    for resource in (wallets, history, simulate, accounts, deployments, markets, risk, market_simulation):
        app.include_router(resource.router)
    for resource in (watchlists, members, rules, alert_routes, channels, episodes, deliveries, changes):
        app.include_router(resource.router)
    for resource in (tracking, board, accuracy, status, events, docs):
        app.include_router(resource.router)
    app.openapi = cache(lambda: docs.describe(app))  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: ReadContext = app.state.read_context
    listening = asyncio.create_task(context.stream.run(), name="block notifications")
    try:
        yield
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
        await context.aclose()


def _middleware(
    options: ApiOptions, metrics: RequestMetrics, limits: Limits, doorkeeper: Doorkeeper
) -> list[Middleware]:
    layers = [Middleware(Envelope, metrics=metrics)]
    if options.cors_origins:
        exposed = ["ETag", "X-Request-ID", "Retry-After", "RateLimit", "RateLimit-Policy"]
        layers.append(
            Middleware(
                CORSMiddleware,
                allow_origins=options.cors_origins,
                allow_methods=["GET", "POST"],
                expose_headers=exposed,
            )
        )
    if options.limits.per_address or options.limits.per_key:
        layers.append(Middleware(Limiter, limits=limits, known_key=doorkeeper.known_key))
    layers.append(Middleware(GZipMiddleware, minimum_size=2048, compresslevel=4))
    return layers


async def _answer_problem(request: Request, error: Exception) -> Response:
    return problem_response(request, problem_of(error))
