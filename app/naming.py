"""What names of wallets are resolved with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from app.settings import Settings

if TYPE_CHECKING:
    from app.chain.names import EnsNames


@asynccontextmanager
async def ens_names(settings: Settings) -> AsyncIterator[EnsNames | None]:
    """What names of wallets are resolved with; None where ENS_CHAIN has no node. Nothing is sent before the first."""
    chain = settings.chains.get(settings.ens_chain)
    if chain is None:
        yield None
        return
    # What speaks with nodes takes a second to import: a service that resolves no names starts without.
    from app.chain.names import EnsNames
    from app.following import endpoint_pool

    async with endpoint_pool(chain) as pool:
        yield EnsNames(pool)
