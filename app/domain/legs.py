"""What the book is made of: every protocol's solvency as sums that are linear in a few numbers a block.

For one account, with the factor values f of a block:

    collateral  = sum(leg.collateral  * f[leg.factor])
    capacity    = sum(leg.capacity    * f[leg.factor])
    requirement = sum(leg.requirement * f[leg.factor])
    health      = capacity / requirement

Legs stay the same until the account's own next event or a change of configuration; the factors are what moves each
block. Floats: the book screens, the adapters' integers decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

CONSTANT = ""
"""Name of the factor that is 1 at every block: for what nothing moves (entry notional, realised results)."""


class Leg(NamedTuple):
    """One account's dependence on one factor. Coefficient x factor value = value in the deployment's unit, as a float
    of whole units (dollars, not 8-decimal integers)."""

    factor: str
    """Name of the factor inside the deployment; `CONSTANT` for none."""
    collateral: float
    """Lending: what is held as collateral, unweighted. Perps: equity, as `capacity`."""
    capacity: float
    """Lending: collateral weighted by its liquidation threshold. Perps: equity."""
    requirement: float
    """Lending: debt. Perps: maintenance margin."""


@dataclass(frozen=True, slots=True)
class Factor:
    """One number that moves by itself, at one block: price x index x unit, an index alone, funding growth, ..."""

    name: str
    value: float | None
    """None: not known at this block; every account with a leg on it is UNKNOWN."""
    rises_with: str | None = None
    """Market code of the price it is proportional to; None when no price moves it."""
    falls_with: str | None = None
    """Market code of the price it is inversely proportional to (a loan token that is the measure)."""
