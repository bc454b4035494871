"""How a wallet stands on the list of those to look up."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.schemas.base import AddressText, View


class TrackedChain(View):
    """One chain's list."""

    chain_id: int
    chain: str
    state: Literal["not_asked", "next_block", "looked_up"] = Field(
        description="`next_block`: it is looked up at the chain's next block."
    )
    looked_up_block: int | None = Field(description="Null until it was looked up.")
    accounts_found: int | None = Field(
        description="Accounts found there, 0 for none; they are stored with the block after. Null until looked up."
    )


class TrackingView(View):
    """One wallet on every chain, or the one asked for."""

    address: AddressText
    chains: list[TrackedChain]
    looked_up_in: list[str] = Field(description="Deployments whose accounts a wallet alone names.")
    learned_from_logs: list[str] = Field(description="Deployments whose accounts only their logs name.")
