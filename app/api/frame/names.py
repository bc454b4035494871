"""Names of wallets, as far as this part has to know of them."""

from __future__ import annotations

from typing import Protocol

from app.domain.chain import Address


class NameResolver(Protocol):
    """Finds the address a name stands for at this moment."""

    async def resolve(self, name: str) -> Address | None:
        """The address of an ENS name; None when it has none.

        Raises:
            Refused: the name cannot be one (ENSIP-15); the message is fit to be shown.
            Retryable: the chain it is resolved on cannot be reached.
        """
        ...
