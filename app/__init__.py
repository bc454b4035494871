"""Waterline: how far every on-chain position is from liquidation, as of this block."""
