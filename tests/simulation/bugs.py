"""Five defects an indexer could have, put into the code on purpose: a simulation that misses one is worth nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from app.chain.aggregate3 import decode_aggregate3
from app.chain.multicall import Multicaller
from app.chain.reader import Header
from app.domain.chain import CallResult, ContractCall, Returned, Reverted
from app.indexer.block.harvest import Harvest
from app.indexer.loop import Indexer
from app.indexer.rhythm import next_multiple
from app.indexer.stored import StoredChain
from app.store.blocks import drop_blocks_above
from app.store.commit import commit_batch
from app.store.postgres.locks import AdvisoryLock


@contextmanager
def skips_a_block_on_reconnect() -> Iterator[None]:
    """Whoever has just taken the lead goes on one block too late."""
    just_led = False
    lead = Indexer._lead

    async def forgetful(self: Indexer, *arguments: Any) -> None:
        nonlocal just_led
        just_led = True
        await lead(self, *arguments)

    def one_too_far(number: int, step: int) -> int:
        nonlocal just_led
        skipped, just_led = just_led, False
        return next_multiple(number + step if skipped else number, step)

    with patch.object(Indexer, "_lead", forgetful), patch("app.indexer.loop.next_multiple", one_too_far):
        yield


@contextmanager
def ignores_reorgs() -> Iterator[None]:
    """What is above the cursor is appended, whatever it descends from."""
    follow = Indexer._follow

    async def append(self: Indexer, head: Header, lock: AdvisoryLock) -> None:
        if self.cursor is None:
            await follow(self, head, lock)
            return
        for number in range(self.cursor.number + 1, head.block.number + 1):
            target = await self._reader.fetch_header(number)
            if target is not None:
                await self._index(target, head, lock)

    with patch.object(Indexer, "_follow", append):
        yield


@contextmanager
def reads_reverts_as_zero() -> Iterator[None]:
    """A call that failed inside a multicall is taken for one that answered zeros."""

    def generous(raw: bytes, count: int) -> list[CallResult]:
        results = decode_aggregate3(raw, count)
        return [Returned(bytes(96)) if isinstance(result, Reverted) else result for result in results]

    with patch("app.chain.multicall.decode_aggregate3", generous):
        yield


@contextmanager
def commits_the_cursor_first() -> Iterator[None]:
    """A block is stored in one transaction, and what it brought in another one after it."""
    commit = StoredChain.commit

    async def in_two_steps(self: StoredChain, harvest: Harvest, lock: AdvisoryLock) -> Any:
        empty = replace(harvest.batch, markets=(), records=(), accounts=())
        before = self.cursor
        async with lock.write() as session:
            await self._require_cursor(session)
            await commit_batch(session, empty, retry_unreadable_after=self._retry_unreadable_blocks)
        async with lock.write() as session:  # the second one replaces the block by the whole of it
            await drop_blocks_above(session, harvest.batch.block.chain_id, harvest.batch.block.number - 1)
        self.cursor = before
        return await commit(self, harvest, lock)

    with patch.object(StoredChain, "commit", in_two_steps):
        yield


@contextmanager
def drops_the_last_call() -> Iterator[None]:
    """A batch of calls goes out without its last one, which then seems to have answered nothing."""
    request = Multicaller._request

    async def cut(self: Multicaller, calls: Sequence[ContractCall], block: bytes, gas: int | None) -> list[CallResult]:
        if len(calls) < 2:
            return await request(self, calls, block, gas)
        return [*await request(self, calls[:-1], block, gas), Returned(b"")]

    with patch.object(Multicaller, "_request", cut):
        yield


BUGS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "skips a block on reconnect": skips_a_block_on_reconnect,
    "ignores a reorg": ignores_reorgs,
    "reads a revert as zero": reads_reverts_as_zero,
    "commits the cursor before the data": commits_the_cursor_first,
    "drops the last call of a batch": drops_the_last_call,
}
