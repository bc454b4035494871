"""Bar 11: from a block being mined to the head being handled, against raw websockets and orjson.

Both listen to the same Anvil, one at a time; the clock starts before evm_mine is sent and stops in the handler.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

import orjson
from websockets.asyncio.client import connect

from app.chain.heads import follow_heads
from app.chain.reader import ChainReader
from app.chain.rpc import Rpc
from app.domain.specs import chain_spec
from benchmarks.harness import ROUNDS, Figure, median_ratio, report, spread
from devnet.anvil import Anvil

Mine = Callable[[], Awaitable[object]]


async def _raw_heads(ws_url: str) -> AsyncGenerator[int, None]:
    """Numbers of announced heads, with as little in between as can be."""
    async with connect(ws_url) as socket:
        await socket.send(orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}))
        await socket.recv()
        yield -1  # listening
        while True:
            yield int(orjson.loads(await socket.recv())["params"]["result"]["number"], 16)


async def _our_heads(reader: ChainReader, ws_url: str) -> AsyncGenerator[int, None]:
    async with aclosing(follow_heads(reader, ws_url, 60.0)) as heads:
        async for head in heads:
            yield head.block.number


async def _delays(heads: AsyncGenerator[int, None], mine: Mine, blocks: int) -> list[float]:
    """Milliseconds from sending evm_mine to holding the head, a block."""
    found: list[float] = []
    async with aclosing(heads):
        await anext(heads)
        await asyncio.sleep(0.1)  # the subscription behind the first head may still be on its way
        for _ in range(blocks):
            started = time.perf_counter()
            mined = asyncio.ensure_future(mine())
            await anext(heads)
            found.append((time.perf_counter() - started) * 1000)
            await mined
            await asyncio.sleep(0.005)
    return found


async def _mining(mine: Mine, blocks: int) -> list[float]:
    found: list[float] = []
    for _ in range(blocks):
        started = time.perf_counter()
        await mine()
        found.append((time.perf_counter() - started) * 1000)
    return found


async def _race(node: Anvil, rounds: int, blocks: int) -> tuple[list[float], list[float], list[float]]:
    """Median milliseconds a round: ours, raw, evm_mine alone."""
    rpc = Rpc(node.url)
    reader = ChainReader(rpc, chain_spec(31337))
    ours: list[float] = []
    raw: list[float] = []
    alone: list[float] = []

    async def mine() -> object:
        return await rpc.call("evm_mine")

    try:
        for number in range(rounds + 1):
            medians = (
                statistics.median(await _delays(_our_heads(reader, node.ws_url), mine, blocks)),
                statistics.median(await _delays(_raw_heads(node.ws_url), mine, blocks)),
                statistics.median(await _mining(mine, blocks)),
            )
            if number:
                for kept, value in zip((ours, raw, alone), medians, strict=True):
                    kept.append(value)
    finally:
        await reader.aclose()
    return ours, raw, alone


def run(*, rounds: int = ROUNDS, blocks: int = 40) -> list[Figure]:
    """Bar 11 as a ratio, and 11m: milliseconds on top of evm_mine itself."""
    with Anvil() as node:
        ours, raw, alone = asyncio.run(_race(node, rounds, blocks))
    over = [mine - bare for mine, bare in zip(ours, alone, strict=True)]
    detail = f"ours {spread(ours, 'ms')}, raw {spread(raw, 'ms')}"
    return [
        Figure("11", "mined to handled, p50, ours / raw", median_ratio(ours, raw), 2, at_least=False, detail=detail),
        Figure(
            "11m",
            "ms over evm_mine itself, p50",
            statistics.median(over),
            10,
            at_least=False,
            detail=f"evm_mine {spread(alone, 'ms')}",
        ),
    ]


if __name__ == "__main__":
    report(run())
