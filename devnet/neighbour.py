"""What a protocol has to bring to join the Aave deployments of a world when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from app.domain.chain import Address


class Neighbour(Protocol):
    """A populated installation with a life of its own. Its randomness is its own too: it changes nobody else's."""

    state: object
    """All that its next block depends on besides the chain."""

    def as_row(self, chain_id: int) -> dict[str, object]:
        """In the shape of a deployments file."""

    def queue_block(self) -> None:
        """Queue what its users do in the next block."""

    def exposed(self) -> set[Address]:
        """Wallets that owe something, or hold a position that margin has to carry, now."""

    def queue_prices(self, prices: Mapping[str, int]) -> None:
        """Queue prices (USD, 8 decimals) by symbol, as the feeds will have them too."""
