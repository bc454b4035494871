"""The price walk: seeded, coming back, and together where assets belong together."""

from __future__ import annotations

import random

from devnet.assets import ASSETS
from devnet.prices import next_prices

OPENING = {asset.symbol: asset.price for asset in ASSETS}


def walk(seed: int, blocks: int, start: dict[str, int] | None = None) -> dict[str, int]:
    rng, prices = random.Random(seed), dict(start or OPENING)
    for _ in range(blocks):
        prices.update(next_prices(rng, prices))
    return prices


def test_the_same_seed_walks_the_same_way() -> None:
    assert walk(1, 50) == walk(1, 50)
    assert walk(1, 50) != walk(2, 50)


def test_prices_come_back_from_far_away() -> None:
    halved = {symbol: price // 2 for symbol, price in OPENING.items()}
    after = walk(3, 1500, halved)
    assert all(abs(after[symbol] / OPENING[symbol] - 1) < 0.25 for symbol in OPENING)


def test_some_blocks_have_no_price_change() -> None:
    rng = random.Random(4)
    empty = sum(not next_prices(rng, OPENING) for _ in range(200))
    assert 20 < empty < 120


def test_a_price_that_cannot_be_read_is_left_alone() -> None:
    known = {symbol: price for symbol, price in OPENING.items() if symbol != "WETH"}
    rng = random.Random(5)
    assert all("WETH" not in next_prices(rng, known) for _ in range(20))
