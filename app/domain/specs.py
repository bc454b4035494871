"""What differs between chains, one row a chain. Sources: each chain's own documentation of block time and
finality; Multicall3 addresses from its deployment list (the same address wherever the pre-signed deployment ran).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain.chain import Address, ChainId

MULTICALL3 = Address.from_hex("0xcA11bde05977b3631167028862bE2a173976CA11")


class HeaderBloom(StrEnum):
    """What the bloom in a block's header is worth for finding out whether logs of the block are missing."""

    WHOLE = "whole"
    """It holds every log of its block, and nothing else."""
    PARTIAL = "partial"
    """Some logs of the block are not in it."""
    NONE = "none"
    """It says nothing of its block: blocks are agreed on before they are executed."""


@dataclass(frozen=True, slots=True)
class ChainSpec:
    """How one chain behaves."""

    chain_id: ChainId
    name: str
    block_seconds: float
    """Typical time between blocks."""
    finality_depth: int
    """A reorg deeper than this many blocks is not followed: the chain stops, loudly."""
    sampling_step: int
    """State is read and committed every so many blocks; logs of all blocks between are still searched."""
    state_depth: int
    """How many blocks back an ordinary (non-archive) node still answers calls."""
    explorer: str | None
    """Base URL of a block explorer, for links on pages."""
    multicall3: Address = MULTICALL3
    header_bloom: HeaderBloom = HeaderBloom.WHOLE

    @property
    def caip2(self) -> str:
        """The chain's CAIP-2 name, e.g. `eip155:1`."""
        return f"eip155:{self.chain_id}"

    @property
    def stale_after_seconds(self) -> int:
        """Age of the newest block past which answers are called stale: ten blocks, at least half a minute."""
        return max(30, round(10 * self.block_seconds * self.sampling_step))


_SPECS = (
    ChainSpec(1, "Ethereum", 12, 65, 1, 120, "https://etherscan.io"),
    ChainSpec(10, "Optimism", 2, 240, 1, 120, "https://optimistic.etherscan.io"),
    ChainSpec(56, "BNB Smart Chain", 0.75, 200, 3, 100, "https://bscscan.com"),
    ChainSpec(137, "Polygon", 2, 200, 1, 120, "https://polygonscan.com", header_bloom=HeaderBloom.PARTIAL),
    ChainSpec(8453, "Base", 2, 240, 1, 120, "https://basescan.org"),
    ChainSpec(42161, "Arbitrum One", 0.25, 240, 4, 120, "https://arbiscan.io"),
    ChainSpec(43114, "Avalanche", 1.5, 30, 1, 30, "https://snowtrace.io"),
    ChainSpec(31337, "Devnet", 1, 64, 1, 64, None),
)

_BY_ID = {spec.chain_id: spec for spec in _SPECS}
_EXECUTED_LATER = frozenset({143, 10143})
"""Monad and its test network."""


def chain_spec(chain_id: ChainId) -> ChainSpec:
    """The chain's own row, or cautious defaults (the devnet's pace, no explorer) for one not listed."""
    known = _BY_ID.get(chain_id)
    bloom = HeaderBloom.NONE if chain_id in _EXECUTED_LATER else HeaderBloom.WHOLE
    return known or ChainSpec(chain_id, f"Chain {chain_id}", 2, 64, 1, 64, None, header_bloom=bloom)


def known_chains() -> tuple[ChainSpec, ...]:
    """Every chain with a row of its own."""
    return _SPECS
