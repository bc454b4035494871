"""Perpetual Protocol v2 (Curie): virtual-token perps on Uniswap v3 pools, one cross-margined account a wallet."""

from __future__ import annotations

from app.protocols.perp_curie.state import CurieAdapter

ADAPTER = CurieAdapter()
