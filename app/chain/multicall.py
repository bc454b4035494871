"""Any number of calls at one block through Multicall3, as few requests as the node allows; no call harms another."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from operator import attrgetter
from typing import Final, TypeVar

from app.chain.aggregate3 import ENTRY_WORDS, decode_aggregate3, encode_aggregate3
from app.chain.apart import (
    LONE_GAS,
    MAX_RESULT_BYTES,
    METER,
    METER_GAS,
    MOST_LONE,
    REFUSED,
    Apart,
    bounded,
    is_doubtful,
)
from app.chain.faults import ExecutionReverted, Malformed, OutOfGas, ResponseTooLarge
from app.chain.rpc import Rpc
from app.chain.wire import body, call_params
from app.domain.chain import Address, CallResult, ContractCall, Returned

__all__ = ["MAX_BODY_BYTES", "MAX_CALLS", "Multicaller", "decode_aggregate3", "encode_aggregate3"]

T = TypeVar("T")

MAX_CALLS: Final = 500
MAX_BODY_BYTES: Final = 1_500_000
"""Nodes refuse bodies over 2 MB (Anvil) or 5 MB (geth)."""
_IN_FLIGHT: Final = 2
_EXTRA_IN_FLIGHT: Final = 4
"""Requests besides the chunks': about calls kept apart, and in search of what spoils a chunk."""
_FEW: Final = 8
"""A group no larger than this that spoils its request is not halved any more: its calls are judged one by one."""
_GROW_AFTER: Final = 64
"""Full chunks in a row that must succeed before a learned size grows again by a quarter."""
_WORD: Final = 32
_calldata = attrgetter("data")


class Multicaller:
    """Runs calls through one Multicall3, and remembers what the node bears and which calls spoil a request."""

    def __init__(self, rpc: Rpc, address: Address, *, max_calls: int = MAX_CALLS) -> None:
        self._rpc = rpc
        self._address = address
        self._most = max_calls
        self._full_chunks = 0
        self._extra = asyncio.Semaphore(_EXTRA_IN_FLIGHT)
        self._meter_proven = False
        self._meter_works = True
        """False once the node could not run the meter even alone: then chunks cannot be certified."""
        self.chunk_calls = max_calls
        """Calls a request at present: what the node was found to bear."""
        self.apart = Apart()
        """Calls found to burn gas or to answer with too much."""

    async def run(self, calls: Sequence[ContractCall], block: bytes) -> list[CallResult]:
        """The results of `calls`, in order, one each. See `stream`."""
        results: list[CallResult] = []
        async with aclosing(self.stream(calls, block)) as chunks:
            async for chunk in chunks:
                results += chunk
        return results

    async def stream(self, calls: Sequence[ContractCall], block: bytes) -> AsyncGenerator[list[CallResult], None]:
        """The results of `calls` in order, chunk by chunk, while the node works on the next ones. Close it.

        A revert without data is believed only of a call that certainly had gas: running dry because its neighbours
        used it up looks just like that, and must not read as its own failure. A call that starves others is found
        once and asked alone from then on, with `LONE_GAS`, and no more than `MOST_LONE` such in a run. What then runs
        dry, is refused by the node as a whole, answers with more than `MAX_RESULT_BYTES`, or finds no room is
        `Reverted(b"")`.

        Args:
            calls: Any number.
            block: JSON of the block identifier all of them are pinned to.

        Raises:
            OutOfGas, ResponseTooLarge, ExecutionReverted: the node refuses even a request without any call.
            Any other class of `app.chain.faults`: the request failed; nothing is known about the calls not given yet.
        """
        room = _Room()
        running: deque[asyncio.Task[list[CallResult]]] = deque()
        finished: list[CallResult] = []
        at, total = 0, len(calls)
        try:
            while at < total or running:
                while at < total and len(running) < _IN_FLIGHT:
                    chunk = calls[at : _cut(calls, at, self.chunk_calls)]
                    running.append(asyncio.create_task(self._run_chunk(chunk, block, room)))
                    at += len(chunk)
                if finished:
                    await asyncio.sleep(0)  # the next request leaves before the caller gets busy with these results
                    yield finished
                finished = await running[0]
                running.popleft()
            yield finished
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _run_chunk(self, calls: Sequence[ContractCall], block: bytes, room: _Room) -> list[CallResult]:
        """One chunk; the calls of it that are kept apart are asked beside it, as far as there is room."""
        lone = [place for place, call in enumerate(calls) if call in self.apart] if self.apart else []
        if not lone:
            return await self._run_together(calls, block)
        alone = set(lone)
        rest = [place for place in range(len(calls)) if place not in alone]
        asked = self.apart.chosen((calls[place] for place in lone), room.left)
        room.left -= len(asked)
        lone = [place for place in lone if calls[place] in asked]
        together = self._run_together([calls[place] for place in rest], block)
        answers, *single = await _all([together, *(self._one(calls[place], block) for place in lone)])
        results: list[CallResult] = [REFUSED] * len(calls)
        for place, answer in zip(rest + lone, [*answers, *(one[0] for one in single)], strict=True):
            results[place] = answer
        return results

    async def _run_together(self, calls: Sequence[ContractCall], block: bytes) -> list[CallResult]:
        """One request where all is well; otherwise what is doubtful is asked again, and who spoiled it is found."""
        if not calls:
            return []
        known = len(self.apart)
        results = await self._try(calls, block)
        if results is None:
            if len(calls) == 1:
                return await self._certified(calls, block)
            half = (len(calls) + 1) // 2
            ask = self._certified if self._meter_works else self._run_together
            answers = await _flat([ask(part, block) for part in (calls[:half], calls[half:])])
            if len(self.apart) == known:
                self._learn_limit(half)  # nobody spoiled it: it was too much
            return answers
        self._learn_success(len(calls))
        doubtful = [
            place
            for place, result in enumerate(results)
            if (type(result) is not Returned or len(result.data) > MAX_RESULT_BYTES) and is_doubtful(result)
        ]
        if not doubtful:
            return results
        answers = await self._certified([calls[place] for place in doubtful], block)
        starved = [place for place, answer in zip(doubtful, answers, strict=True) if answer != results[place]]
        for place, answer in zip(doubtful, answers, strict=True):
            results[place] = answer
        if starved and len(self.apart) == known:
            # one of those before it took the gas and answered all the same
            results[: starved[0]] = await self._certified(calls[: starved[0]], block)
            if len(self.apart) == known:
                self._learn_limit((len(calls) + 1) // 2)
        return results

    async def _certified(self, calls: Sequence[ContractCall], block: bytes) -> list[CallResult]:
        """Results that say something of their own calls: `METER_GAS` was left after all of them.

        Where it was not, the halves are asked, and in the end each call: one that leaves nothing is kept apart.
        """
        if not calls:
            return []
        if not self._meter_works:
            return await _flat([self._one(call, block) for call in calls])
        async with self._extra:
            results = await self._try([*calls, METER], block)
        if results is not None and type(results[-1]) is Returned:
            return [self._taken(call, result) for call, result in zip(calls, results[:-1], strict=True)]
        if len(calls) <= _FEW:
            if not await self._proves_meter(block):
                return await self._certified(calls, block)
            known = len(self.apart)
            answers = await _flat([self._judged(call, block) for call in calls])
            if len(self.apart) == known:  # one of them behaves while it is given little
                for call in calls:
                    self.apart.add(call)
            return answers
        half = (len(calls) + 1) // 2
        return await _flat([self._certified(calls[:half], block), self._certified(calls[half:], block)])

    async def _proves_meter(self, block: bytes) -> bool:
        """Whether the node can run the meter by itself; asked once."""
        if not self._meter_proven:
            async with self._extra:
                metered = await self._try([METER], block)
            self._meter_proven = metered is not None and type(metered[0]) is Returned
            self._meter_works = self._meter_proven
        return self._meter_works

    async def _judged(self, call: ContractCall, block: bytes) -> list[CallResult]:
        """The call's own answer with little gas; kept apart from now on if it leaves none of it."""
        async with self._extra:
            results = await self._try([call, METER], block, LONE_GAS + METER_GAS)
        if results is None or type(results[1]) is not Returned:
            self.apart.add(call)
        return [REFUSED if results is None else self._taken(call, results[0])]

    async def _one(self, call: ContractCall, block: bytes) -> list[CallResult]:
        """The call's own answer, by itself and with `LONE_GAS`."""
        async with self._extra:
            found = await self._try([call], block, LONE_GAS)
            if found is None and call not in self.apart:
                await self._request([], block, None)  # raises where it is not the call that is at fault
        answer = REFUSED if found is None else bounded(found[0])
        self.apart.note(call, answer)
        return [answer]

    def _taken(self, call: ContractCall, result: CallResult) -> CallResult:
        """A certified result; one that is too long is refused, and its call kept apart."""
        answer = bounded(result)
        if answer is not result:
            self.apart.add(call)
        return answer

    async def _try(
        self, calls: Sequence[ContractCall], block: bytes, gas: int | None = None
    ) -> list[CallResult] | None:
        """The results of one request; None where the node refuses it as too much."""
        try:
            return await self._request(calls, block, gas)
        except (OutOfGas, ResponseTooLarge, ExecutionReverted):
            return None

    async def _request(self, calls: Sequence[ContractCall], block: bytes, gas: int | None) -> list[CallResult]:
        params = call_params(self._address, encode_aggregate3(calls), block, gas)
        raw = await self._rpc.request_bytes(body("eth_call", params), "eth_call")
        if not raw:  # the outer call of an address without code succeeds with nothing
            raise Malformed(f"multicall: no contract at {self._address} at this block")
        return decode_aggregate3(raw, len(calls))

    def _learn_limit(self, calls: int) -> None:
        self.chunk_calls = max(1, min(self.chunk_calls, calls))
        self._full_chunks = 0

    def _learn_success(self, calls: int) -> None:
        if calls < self.chunk_calls or self.chunk_calls >= self._most:
            return
        self._full_chunks += 1
        if self._full_chunks >= _GROW_AFTER:
            self.chunk_calls = min(self._most, self.chunk_calls + max(1, self.chunk_calls // 4))
            self._full_chunks = 0


class _Room:
    """How many more calls kept apart one run may ask."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MOST_LONE


async def _all(work: Sequence[Coroutine[None, None, list[T]]]) -> list[list[T]]:
    """The results in order, worked for at once; when one fails the others end before the failure goes on."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _flat(work: Sequence[Coroutine[None, None, list[T]]]) -> list[T]:
    return [result for results in await _all(work) for result in results]


def _cut(calls: Sequence[ContractCall], start: int, size: int) -> int:
    """Where the chunk that begins at `start` ends: at most `size` calls, at most MAX_BODY_BYTES, at least one."""
    end = min(start + size, len(calls))
    overhead = (ENTRY_WORDS + 2) * _WORD
    budget = MAX_BODY_BYTES // 2  # hex takes two characters a byte
    if (end - start) * overhead + sum(map(len, map(_calldata, calls[start:end]))) <= budget:
        return end
    for index in range(start, end):
        budget -= overhead + len(calls[index].data)
        if budget < 0 and index > start:
            return index
    return end
