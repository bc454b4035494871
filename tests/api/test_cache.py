from __future__ import annotations

import asyncio

import pytest

from app.api.frame.cache import SingleFlightCache


async def test_a_value_is_made_once_however_many_ask_for_it() -> None:
    cache: SingleFlightCache[str, int] = SingleFlightCache(10)
    gate, made = asyncio.Event(), 0

    async def make() -> int:
        nonlocal made
        made += 1
        await gate.wait()
        return 7

    asking = [asyncio.create_task(cache.get("a", make)) for _ in range(5)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*asking) == [7] * 5
    assert await cache.get("a", make) == 7
    assert made == 1


async def test_a_caller_that_goes_away_does_not_stop_the_others() -> None:
    cache: SingleFlightCache[str, int] = SingleFlightCache(10)
    gate = asyncio.Event()

    async def make() -> int:
        await gate.wait()
        return 7

    first, second = (asyncio.create_task(cache.get("a", make)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    gate.set()
    assert await second == 7
    assert first.cancelled()


async def test_a_failure_reaches_everyone_and_is_not_kept() -> None:
    cache: SingleFlightCache[str, int] = SingleFlightCache(10)

    async def fail() -> int:
        await asyncio.sleep(0)
        raise ValueError("once")

    async def work() -> int:
        return 7

    outcomes = await asyncio.gather(cache.get("a", fail), cache.get("a", fail), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["once", "once"]
    assert await cache.get("a", work) == 7


async def test_the_least_recently_used_goes_when_the_weight_is_too_much() -> None:
    cache: SingleFlightCache[str, str] = SingleFlightCache(6, len)
    made: list[str] = []

    async def get(key: str) -> None:
        async def make() -> str:
            made.append(key)
            return "xxx"

        await cache.get(key, make)

    for key in ("a", "b", "a", "c", "a", "b"):
        await get(key)
    assert made == ["a", "b", "c", "b"]
    assert cache.weight == 6


async def test_one_value_too_heavy_for_the_cache_is_still_given_and_kept_alone() -> None:
    cache: SingleFlightCache[str, str] = SingleFlightCache(2, len)

    async def make() -> str:
        return "xxxxxx"

    assert await cache.get("a", make) == "xxxxxx"
    assert await cache.get("b", make) == "xxxxxx"
    assert cache.weight == 6


async def test_closing_stops_what_is_under_way() -> None:
    cache: SingleFlightCache[str, int] = SingleFlightCache(2)
    waiting = asyncio.create_task(cache.get("a", asyncio.Event().wait))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await cache.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
