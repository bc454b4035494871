"""How prices move: a seeded walk that comes back, with rare jumps, and groups of assets that move together."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from devnet.assets import ASSETS, GROUP_VOLATILITY

QUIET_BLOCKS = 0.3
"""Share of blocks without any price change."""
REVERSION = 0.01
"""Share of the distance to the opening price that is walked back in one block."""
JUMP_CHANCE = 0.008
JUMP_RANGE = (0.015, 0.05)
MIN_MOVE = 2e-5
"""Smaller relative moves are not reported, as a real feed does not."""


def next_prices(rng: random.Random, current: Mapping[str, int]) -> dict[str, int]:
    """The prices that change in the next block (USD, 8 decimals), out of those now known."""
    if rng.random() < QUIET_BLOCKS:
        return {}
    together = {group: rng.gauss(0, deviation) for group, deviation in GROUP_VOLATILITY.items()}
    if rng.random() < JUMP_CHANCE:
        group = rng.choice(("ETH", "ETH", "BTC", "LINK"))
        together[group] += rng.choice((-1, -1, 1)) * rng.uniform(*JUMP_RANGE)
    moved = {}
    for asset in ASSETS:
        own = rng.gauss(0, asset.volatility)  # drawn for every asset, so that one asset's fate does not shift another's
        now = current.get(asset.symbol)
        if now is None:
            continue
        pull = -REVERSION * math.log(now / asset.price)
        move = pull + together[asset.group] + own
        price = max(1, round(now * math.exp(move)))
        if abs(move) >= MIN_MOVE and price != now:
            moved[asset.symbol] = price
    return moved
