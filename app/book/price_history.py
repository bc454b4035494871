"""The oracle prices of a deployment over the days before a block, as they were stored."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from app.domain.market import Deployment, Market, MarketRecord
from app.domain.specs import chain_spec
from app.errors import Fatal
from app.protocols.base import Adapter
from app.store.blocks import StoredBlock, load_spaced
from app.store.markets import load_markets, load_records_at
from app.store.postgres.engine import Database
from app.valuation.volatility import GRID_SECONDS, LEAST_RETURNS, WINDOW_SECONDS, Sample

PriceHistory: TypeAlias = Mapping[str, Sequence[Sample]]
"""By market: (block time, price), oldest first."""


async def load_price_history(
    database: Database, adapter: Adapter, deployment: Deployment, block: StoredBlock
) -> PriceHistory:
    """Prices at stored blocks about an hour apart. Empty while less is stored than a sigma can be made of.

    Not to be awaited in a session.
    """
    window = int(WINDOW_SECONDS / chain_spec(deployment.chain_id).block_seconds)
    first, last = max(0, block.ref.number - window), block.ref.number
    async with database.read() as session:
        blocks = await load_spaced(session, deployment.chain_id, first, last, WINDOW_SECONDS // GRID_SECONDS + 1)
        if not blocks or block.ref.timestamp - blocks[0].ref.timestamp < LEAST_RETURNS * GRID_SECONDS:
            return {}
        markets = await load_markets(session, deployment.id, block)
        records = await load_records_at(session, deployment.id, blocks)
    return await asyncio.to_thread(_prices, adapter, deployment, markets, blocks, records)


def _prices(
    adapter: Adapter,
    deployment: Deployment,
    markets: Sequence[Market],
    blocks: Sequence[StoredBlock],
    records: Mapping[int, Sequence[MarketRecord]],
) -> PriceHistory:
    found: dict[str, list[Sample]] = {}
    for block in blocks:
        at = block.ref
        try:
            state = adapter.restore_state(deployment, markets, records[block.id])
        except Fatal:  # nothing, or not all of it, was stored yet
            continue
        for quote in state.at(at.timestamp, at.number).quotes():
            if quote.price:
                found.setdefault(quote.market, []).append((at.timestamp, quote.price))
    return found
