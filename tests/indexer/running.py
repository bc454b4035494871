"""Running an Indexer over the model chain, and what a straight run over it stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any

from app.chain.reader import Header
from app.domain.account import AccountState
from app.domain.market import Deployment
from app.domain.specs import ChainSpec, chain_spec
from app.indexer.loop import Indexer
from app.indexer.options import IndexerOptions
from app.store.accounts import load_accounts
from app.store.blocks import load_block
from app.store.markets import load_markets, load_records
from app.store.postgres.engine import Database
from tests.fakes.protocol import ToyAdapter, ToyState, toy_deployment
from tests.indexer.model import CHAIN_ID, ModelChain, ModelReader

_DEPLOYMENT = toy_deployment()

QUICK = IndexerOptions(
    refresh_blocks=7,
    calibrate_blocks=5,
    retry_unreadable_blocks=3,
    search_at_once_blocks=20,
    scan_first_blocks=4,
    due_most_per_block=0,  # a block's room does not depend on how fast the machine is
    heartbeat_seconds=0.02,
    standby_seconds=0.01,
    first_pause_seconds=0.0,
    longest_pause_seconds=0.0,
)


def make_spec(**overrides: Any) -> ChainSpec:
    """The devnet's spec with short distances."""
    return replace(chain_spec(CHAIN_ID), **overrides)


def make_indexer(
    reader: ModelReader, database: Database, *, spec: ChainSpec | None = None, **overrides: Any
) -> Indexer:
    """An Indexer of the model protocol that polls the model chain."""
    arguments: dict[str, Any] = {"options": QUICK, "adapters": lambda _: ToyAdapter(), **overrides}
    deployments = arguments.pop("deployments", [toy_deployment()])
    return Indexer(reader, database, spec or make_spec(), deployments, lambda: poll(reader), **arguments)


async def poll(reader: ModelReader) -> AsyncGenerator[Header, None]:
    """Heads as the model chain has them."""
    last = None
    while True:
        header = await reader.fetch_header("latest")
        assert header is not None
        if header != last:
            last = header
            yield header
        await asyncio.sleep(0.001)


async def index_in_steps(
    chain: ModelChain, database: Database, blocks: int, *, reader: ModelReader | None = None, **overrides: Any
) -> None:
    """Let the chain grow by `blocks`, each indexed before the next comes."""
    indexer = make_indexer(reader or ModelReader(chain), database, **overrides)
    for _ in range(blocks):
        await indexer.run_until(chain.head.ref.number)
        chain.mine()
    await indexer.run_until(chain.head.ref.number, scanned=True)


async def straight_run(chain: ModelChain, database: Database, **overrides: Any) -> None:
    """Index the chain as it is now, from its first block on, without any disturbance."""
    replayed = replace_canonical(chain)
    indexer = make_indexer(ModelReader(replayed), database, **overrides)
    for block in chain.canonical:
        replayed.canonical.append(block)
        await indexer.run_until(block.ref.number, scanned=True)


def replace_canonical(chain: ModelChain) -> ModelChain:
    """The same blocks, but none of them mined yet."""
    copy = ModelChain(chain.seed)
    copy.blocks, copy.canonical = chain.blocks, []
    return copy


async def load_state(
    database: Database, number: int, deployment: Deployment = _DEPLOYMENT
) -> tuple[ToyState, list[AccountState]]:
    """What the store says about a deployment of the model at a block."""
    async with database.read() as session:
        block = await load_block(session, CHAIN_ID, number)
        assert block is not None
        assert block.ref.number == number
        records = await load_records(session, deployment.id, block)
        markets = await load_markets(session, deployment.id, block)
        accounts = await load_accounts(session, deployment.id, block)
    state = ToyAdapter().restore_state(deployment, markets, records)
    assert isinstance(state, ToyState)
    return state, accounts


async def when(condition: Callable[[], bool]) -> None:
    """Wait until something is so; the test's own time limit is the limit."""
    while not condition():
        await asyncio.sleep(0.001)
