"""What every answer has in common: how numbers are written, and as of when it is true.

Every amount, value, price and ratio is an exact decimal string (never a JSON number); null is "not known" or
"does not apply", as the field says, never zero. Addresses are EIP-55, times are unix seconds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

DecimalText = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"})]
"""An exact decimal number as text."""
AddressText = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"})]
HashText = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^0x[0-9a-f]{64}$"})]
Status = Literal["no_debt", "healthy", "liquidatable", "unknown"]
Finality = Literal["latest", "safe", "finalized"]
Kind = Literal["lending", "perp"]


class View(BaseModel):
    """Base of every answer: immutable, and closed so that a misspelt field is an error where it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AsOf(View):
    """The block an answer is true at, and how old that is."""

    chain_id: int
    chain: str
    block_number: int | None = Field(description="Null when nothing of this chain is indexed yet.")
    block_hash: HashText | None
    block_timestamp: int | None
    finality: Finality | None = Field(description="What the chain last said of this block's height.")
    lag_seconds: int | None = Field(description="Clock time now minus the block's own timestamp, at least 0.")
    stale: bool = Field(description="The answer may no longer hold: see stale_reason.")
    stale_reason: str | None
