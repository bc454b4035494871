"""What every read needs: the database, the clock, the options, and the states and rankings already made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from starlette.requests import HTTPConnection

from app.api.frame.books import ChainBooks
from app.api.frame.cache import SingleFlightCache
from app.api.frame.limits import NO_LIMITS, LimitOptions
from app.api.frame.stream import BlockStream
from app.api.schemas.wallets import WalletView
from app.domain.account import AccountState, NotYetRead
from app.domain.legs import Factor
from app.domain.market import Deployment
from app.domain.units import WAD
from app.errors import Retryable
from app.protocols.base import Adapter, ProtocolKind
from app.store.blocks import StoredBlock, load_block
from app.store.chains import ChainStatus, load_chains
from app.store.deployments import DeploymentTrouble, load_deployments, load_troubles_at
from app.store.markets import load_markets, load_records
from app.store.postgres.engine import Database
from app.store.postgres.session import ReadSession
from app.store.progress import load_unsearched
from app.store.sightings import Sightings
from app.valuation.assess import StateAt, restore_at
from app.valuation.faults import note_fault
from app.valuation.groups import DEFAULT_GROUPS, AssetGroups
from app.valuation.ranking import Ranking
from app.valuation.volatility import Sample

Clock = Callable[[], int]
"""Unix seconds now."""
FindAdapter = Callable[[str], Adapter]


class Overtaken(Retryable):
    """What a request reads at changed under it (a reorg, a new deployment): start the request over."""


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """What can be set about the API."""

    chain_ids: tuple[int, ...] = ()
    """Chains that have to be fresh for /ready, and that are named even before anything of them is indexed."""
    default_target_health_wad: int = 3 * WAD // 2
    """What `restore` aims at when the caller does not say."""
    state_cache_size: int = 256
    """Deployment states kept, one per deployment and block."""
    ranking_cache_accounts: int = 400_000
    """Ranked accounts kept over all deployments and blocks; about 0.5 kB each."""
    risk_cache_size: int = 64
    """Answers about whole markets kept; a curve of many deployments takes about 0.1 MB."""
    answer_cache_size: int = 1024
    """Wallet answers kept for those who ask for the same in the same second."""
    following_cache_seconds: float = 0.5
    """How long deployments and chain statuses are believed unchanged. 0: read with every request."""
    cursor_max_age_seconds: int = 900
    """How long the pages of one ranking can be turned, measured between block timestamps."""
    stream_subscribers: int = 200
    stream_heartbeat_seconds: float = 15.0
    groups: AssetGroups = DEFAULT_GROUPS
    """Which assets move together, for shocks and exposure."""
    limits: LimitOptions = NO_LIMITS
    """How many requests are answered a minute."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may read the API; `*` for all."""


@dataclass(frozen=True, slots=True)
class Following:
    """What is followed, and how it goes."""

    deployments: tuple[Deployment, ...]
    statuses: Mapping[int, ChainStatus]
    unsearched: Mapping[int, int]
    """By chain: old blocks still to be searched for accounts."""


@dataclass(frozen=True)
class KeptAnswer:
    """A wallet's answer, and its JSON once somebody wanted that."""

    view: WalletView

    @cached_property
    def body(self) -> str:
        """The view as JSON."""
        return self.view.model_dump_json()


@dataclass(frozen=True, slots=True)
class ReadContext:
    """Handed to every reader. One a process; holds no request."""

    database: Database
    options: ApiOptions
    clock: Clock
    find_adapter: FindAdapter
    stream: BlockStream
    sightings: Sightings = field(default_factory=Sightings)
    """When what there is of each chain was first seen: no request sees it as younger than that."""
    books: ChainBooks = field(init=False)
    risk_views: SingleFlightCache[tuple[object, ...], Any] = field(init=False)
    """Answers made from whole books, by `app.api.risk`."""
    states: SingleFlightCache[tuple[str, int, bytes], StateAt | None] = field(init=False)
    troubles: SingleFlightCache[tuple[int, bytes], Mapping[str, DeploymentTrouble]] = field(init=False)
    rankings: SingleFlightCache[tuple[str, int, bytes], Ranking] = field(init=False)
    answers: SingleFlightCache[tuple[object, ...], KeptAnswer] = field(init=False)
    factors: SingleFlightCache[tuple[str, int, bytes], Mapping[str, Factor]] = field(init=False)
    price_histories: SingleFlightCache[tuple[str, int], Mapping[str, Sequence[Sample]]] = field(init=False)
    """By deployment and hour: prices of the days before."""
    _following: list[tuple[float, Following]] = field(default_factory=list)
    """The newest one and when it was read; or nothing."""
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        object.__setattr__(self, "books", ChainBooks(self.database, self.find_adapter, self.options.groups))
        object.__setattr__(self, "risk_views", SingleFlightCache(self.options.risk_cache_size))
        object.__setattr__(self, "states", SingleFlightCache(self.options.state_cache_size))
        object.__setattr__(self, "troubles", SingleFlightCache(self.options.state_cache_size))
        object.__setattr__(self, "rankings", SingleFlightCache(self.options.ranking_cache_accounts, len))
        object.__setattr__(self, "answers", SingleFlightCache(self.options.answer_cache_size))
        object.__setattr__(self, "factors", SingleFlightCache(self.options.state_cache_size))
        object.__setattr__(self, "price_histories", SingleFlightCache(self.options.state_cache_size))

    async def following(self, session: ReadSession) -> Following:
        """Deployments and chain statuses: `following_cache_seconds` old at most, and fresh when nobody notifies."""
        if self.stream.generation is None:
            return await self._read_following(session)
        async with self._one_at_a_time:  # whoever waited here finds it kept
            return self.kept_following() or await self._read_following(session)

    def kept_following(self) -> Following | None:
        """What `following` gives without asking the database; None when it has to be asked."""
        for read_at, following in self._following:
            age = time.monotonic() - read_at
            if self.stream.generation is not None and age < self.options.following_cache_seconds:
                return following
        return None

    async def _read_following(self, session: ReadSession) -> Following:
        now = time.monotonic()
        statuses = {status.chain_id: status for status in await load_chains(session)}
        deployments = tuple(await load_deployments(session))
        following = Following(deployments, statuses, await load_unsearched(session))
        self._following[:] = [(now, following)]
        return following

    def require_followed(
        self, deployments: Mapping[str, Deployment], accounts: Sequence[AccountState | NotYetRead]
    ) -> None:
        """Make sure that the deployment of every account is among `deployments`.

        Raises:
            Overtaken: one was added since they were read; they are read again with the next request.
        """
        if any(account.key.deployment_id not in deployments for account in accounts):
            self._following.clear()
            raise Overtaken("a deployment was added")

    def kind_of(self, deployment: Deployment) -> ProtocolKind:
        """Whether its accounts are of lending or of perps."""
        return self.find_adapter(deployment.protocol).kind

    async def state_at(self, deployment: Deployment, block: StoredBlock) -> StateAt | None:
        """The deployment's state at a stored block, from memory when it was made before.

        None when nothing of the deployment was stored up to that block, while it was set aside there or not followed
        (what is stored of it is then not of that block), and when its adapter fails (`fault_at` says so). Holds no
        session of the caller's: it must not be awaited inside one, or requests could wait for connections they hold
        themselves.

        Raises:
            Overtaken: the block is no longer stored.
        """
        if deployment.id in await self.troubles_at(block):
            return None
        key = (deployment.id, block.id, bytes(block.ref.hash))
        return await self.states.get(key, lambda: self._load_state(deployment, block))

    async def _load_state(self, deployment: Deployment, block: StoredBlock) -> StateAt | None:
        async with self.database.read() as session:
            await require_block(session, block)
            markets = await load_markets(session, deployment.id, block)
            records = await load_records(session, deployment.id, block)
        if not records:
            return None
        try:
            return restore_at(self.find_adapter(deployment.protocol), deployment, markets, records, block.ref)
        except Exception as fault:  # the adapter's own code, or records that are not its own
            note_fault(deployment.id, block.ref, fault)
            return None

    async def troubles_at(self, block: StoredBlock) -> Mapping[str, DeploymentTrouble]:
        """The deployments of a chain that were set aside at a stored block, from memory when asked before.

        Like `state_at` it must not be awaited inside a session.

        Raises:
            Overtaken: the block is no longer stored.
        """
        return await self.troubles.get((block.id, bytes(block.ref.hash)), lambda: self._load_troubles(block))

    async def _load_troubles(self, block: StoredBlock) -> Mapping[str, DeploymentTrouble]:
        async with self.database.read() as session:
            await require_block(session, block)
            return await load_troubles_at(session, {block.ref.chain_id: block.id})

    async def aclose(self) -> None:
        """Stop what is under way."""
        self.stream.close()
        await self.risk_views.aclose()
        await self.states.aclose()
        await self.troubles.aclose()
        await self.rankings.aclose()
        await self.answers.aclose()
        await self.factors.aclose()
        await self.price_histories.aclose()


async def require_block(session: ReadSession, block: StoredBlock) -> None:
    """Make sure that what this session reads "at `block`" really is the state at that block.

    Raises:
        Overtaken: it is no longer stored, so what lies at or below its id is the state of an older one.
    """
    if await load_block(session, block.ref.chain_id, block.ref.number) != block:
        raise Overtaken(f"block {block.ref.number} of chain {block.ref.chain_id} was replaced")


async def context_of(connection: HTTPConnection) -> ReadContext:
    """The process's context, for routes: `Annotated[ReadContext, Depends(context_of)]`.

    Async though it awaits nothing: FastAPI sends plain functions to a thread, which costs more than the rest of an
    answer from memory.
    """
    context = connection.app.state.read_context
    assert isinstance(context, ReadContext)
    return context
