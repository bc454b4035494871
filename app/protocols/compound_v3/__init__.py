"""Compound V3 (Comet): one base asset lent against up to 24 collaterals. Exact, by accrued interest."""

from __future__ import annotations

from app.protocols.compound_v3.state import CometAdapter

ADAPTER = CometAdapter()
