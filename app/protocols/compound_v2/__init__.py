"""Compound V2 and its family: Venus (core and isolated pools), Moonwell, BENQI. Exact by each member's own rules."""

from __future__ import annotations

from app.protocols.compound_v2.state import CompoundAdapter

ADAPTER = CompoundAdapter()
