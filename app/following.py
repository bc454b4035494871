"""From a chain's settings to what its indexer is given: a pool of endpoints, and their heads merged."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from app.chain.endpoints import ChainEndpoint, CountRequest, EndpointUrls
from app.chain.merge import follow_pool
from app.chain.pool import ReaderPool
from app.chain.wire import Header
from app.domain.market import Deployment
from app.domain.specs import chain_spec
from app.errors import Fatal, Refused, Retryable
from app.settings import ChainSettings
from app.store.blocks import load_head
from app.store.chains import ChainStatus, load_chains, observe
from app.store.postgres.engine import Database


@asynccontextmanager
async def endpoint_pool(
    chain: ChainSettings, deployments: Sequence[Deployment] = (), count: CountRequest | None = None
) -> AsyncIterator[ReaderPool]:
    """The chain's endpoints until the block is left; nothing is sent yet.

    Args:
        chain: The endpoints.
        deployments: Their contracts are looked for on every endpoint when it is checked.
        count: For metrics.
    """
    spec = chain_spec(chain.chain_id)
    endpoints = [
        ChainEndpoint(
            number,
            EndpointUrls(one.url.reveal(), one.ws_url.reveal() if one.ws_url else None),
            spec,
            alone=len(chain.endpoints) == 1,
            count=count,
        )
        for number, one in enumerate(chain.endpoints, 1)
    ]
    pool = ReaderPool(endpoints, spec, sorted({one.address for one in deployments}))
    try:
        yield pool
    finally:
        await pool.aclose()


async def pooled_heads(pool: ReaderPool, database: Database, poll_seconds: float) -> AsyncGenerator[Header, None]:
    """Heads of all endpoints, none below what is stored already unless the chain itself went back.

    Raises:
        As `follow_pool`.
        Retryable: the database is out of reach.
    """
    async with database.read() as session:
        stored = await load_head(session, pool.chain_id)
    floor = stored.ref.number if stored is not None else -1
    async with aclosing(follow_pool(pool, poll_seconds, floor=floor)) as heads:
        async for head in heads:
            yield head


async def verify_chain(chain: ChainSettings) -> None:
    """Make sure that some endpoint serves the chain its setting names. Endpoints that are silent now pass.

    Raises:
        Refused: all serve another chain, one without Multicall3, or no JSON-RPC, or want a key.
    """
    async with endpoint_pool(chain) as pool:
        try:
            await pool.verify()
        except Fatal as error:
            raise Refused(f"RPC_URL_{chain.chain_id}: {error}") from error
        except Retryable:
            return  # the indexer keeps trying, and says so


async def note_refused(database: Database, chain_id: int, reason: str) -> None:
    """Put into the chain's status why nobody follows it. What was last seen of the chain stays.

    Raises:
        WaterlineError: the database is out of reach, or has no tables yet.
    """
    async with database.read() as session:
        known = {status.chain_id: status for status in await load_chains(session)}
    unseen = ChainStatus(chain_id, None, None, None, None, None, 0)
    status = replace(known.get(chain_id, unseen), observed_at=int(time.time()), trouble=reason)
    async with database.write() as session:
        await observe(session, status)
