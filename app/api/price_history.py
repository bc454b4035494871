"""The oracle prices of a deployment over the days before a block, remembered for an hour."""

from __future__ import annotations

from app.api.frame.deps import ReadContext
from app.book.price_history import PriceHistory
from app.book.price_history import load_price_history as load_anew
from app.domain.market import Deployment
from app.store.blocks import StoredBlock
from app.valuation.volatility import GRID_SECONDS

__all__ = ["PriceHistory", "load_price_history"]


async def load_price_history(context: ReadContext, deployment: Deployment, block: StoredBlock) -> PriceHistory:
    """Prices at stored blocks about an hour apart, from memory when asked for in the same hour before.

    Empty while less is stored than a sigma can be made of. Not to be awaited in a session.
    """
    adapter = context.find_adapter(deployment.protocol)
    key = (deployment.id, block.ref.timestamp // GRID_SECONDS)
    return await context.price_histories.get(key, lambda: load_anew(context.database, adapter, deployment, block))
