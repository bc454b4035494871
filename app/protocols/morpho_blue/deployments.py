"""The Morpho Blue installations this project follows by itself: none yet.

Anybody can create a market with an oracle of his own making. One that burns all the gas it is given would slow every
block of the whole chain's reading, and one that tells Multicall3 another price than it tells Morpho would spoil the
comparison of rules for every account. Until a market can be kept apart for such faults, an installation is followed
only when somebody names it in the deployments file, knowing this.
"""

from __future__ import annotations

from app.domain.market import Deployment

SLUG = "morpho-blue"

DEPLOYMENTS: tuple[Deployment, ...] = ()
