"""Morpho Blue (Morpho V1 markets): an account is one wallet in one market, judged by that market's own oracle.

Pre-liquidation contracts, which a borrower may authorise to act earlier than `liquidate`, are separate contracts
with rules of their own and are not modelled: what they do arrives as ordinary Repay and WithdrawCollateral events.
"""

from __future__ import annotations

from app.protocols.morpho_blue.state import MorphoAdapter

ADAPTER = MorphoAdapter()
