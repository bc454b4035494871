"""Everything the indexer reads from one chain: headers, logs, and contract state pinned to one block."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Final, Literal, TypeAlias, TypeVar

from app.chain.faults import (
    BlockGone,
    Malformed,
    MethodMissing,
    NodeError,
    NotThereYet,
    ParamsRefused,
    Unauthorised,
    WrongChain,
)
from app.chain.logs import LogFetcher
from app.chain.multicall import Multicaller
from app.chain.rounds import Asked, Round
from app.chain.rpc import Rpc
from app.chain.wire import Header, body, decode_header
from app.domain.chain import Address, BlockRef, CallResult, ContractCall, Hash32, Log, LogFilter, ReadPlan
from app.domain.endpoint import LearnedLimits
from app.domain.specs import ChainSpec

__all__ = ["BlockTag", "ChainReader", "Header"]

T = TypeVar("T")

BlockTag: TypeAlias = Literal["latest", "safe", "finalized"]

_LAG_PAUSES: Final = (0.1, 0.4)
"""Seconds between tries of a read at a block that the node says it does not have, although it announced it."""


_SYNCED_WITHIN_BLOCKS = 16
"""Nodes that follow the chain may call themselves syncing while they are a few blocks behind."""


class ChainReader:
    """Reads one chain through one node. Belongs to one event loop; `aclose` closes the node's connections."""

    def __init__(self, rpc: Rpc, spec: ChainSpec) -> None:
        self._rpc = rpc
        self._spec = spec
        self._multicaller = Multicaller(rpc, spec.multicall3)
        self._logs = LogFetcher(rpc, header_bloom=spec.header_bloom)
        self._pins_by_hash = True
        self.proven_by_hash = False
        """Whether the node has answered a read that was pinned by block hash."""

    @property
    def chain_id(self) -> int:
        """The chain's id, as configured; `verify` makes sure the node agrees."""
        return self._spec.chain_id

    @property
    def label(self) -> str:
        """The node, as it may be shown."""
        return self._rpc.label

    @property
    def rpc(self) -> Rpc:
        """The way to the node."""
        return self._rpc

    @property
    def limits(self) -> LearnedLimits:
        """What the node was found to bear."""
        return LearnedLimits(self._logs.range_blocks, self._multicaller.chunk_calls)

    def adopt(self, limits: LearnedLimits) -> None:
        """Begin with what was learned of the node before."""
        self._logs.range_blocks = min(self._logs.range_blocks, limits.range_blocks or self._logs.range_blocks)
        calls = self._multicaller.chunk_calls
        self._multicaller.chunk_calls = min(calls, limits.chunk_calls or calls)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._rpc.aclose()

    async def verify(self) -> None:
        """Make sure the node serves this chain and that Multicall3 is there.

        Raises:
            WrongChain: it does not; the message says what was found.
            A class of `app.chain.faults`: the node could not be asked.
        """
        await self.verify_chain_id()
        if not await self.has_code(self._spec.multicall3):
            where = f"at {self._spec.multicall3} on chain {self._spec.chain_id}"
            raise WrongChain(f"{self.label}: no Multicall3 contract {where}")

    async def verify_chain_id(self) -> None:
        """Make sure the node serves this chain.

        Raises:
            As `verify`.
        """
        answer = await self._rpc.call("eth_chainId")
        try:
            found = int(str(answer), 16)
        except ValueError:
            raise Malformed(f"{self.label} answered eth_chainId with something else") from None
        if found != self._spec.chain_id:
            wanted = f"{self._spec.chain_id} ({self._spec.name})"
            raise WrongChain(f"{self.label} serves chain {found}, configured is {wanted}")

    async def has_code(self, contract: Address) -> bool:
        """Whether there is a contract at the address at the node's head.

        Raises:
            A class of `app.chain.faults`.
        """
        code = await self._rpc.call("eth_getCode", [str(contract), "latest"])
        return isinstance(code, str) and len(code) > 2

    async def fetch_syncing(self) -> bool:
        """Whether the node says that it is far behind its peers. A node that does not say is believed to be there.

        Raises:
            A class of `app.chain.faults`.
        """
        try:
            told = await self._rpc.call("eth_syncing")
        except (MethodMissing, ParamsRefused, Unauthorised):
            return False
        if not isinstance(told, dict):
            return told is True
        try:
            return int(str(told["highestBlock"]), 16) - int(str(told["currentBlock"]), 16) > _SYNCED_WITHIN_BLOCKS
        except (KeyError, ValueError):
            return True

    async def fetch_header(self, at: int | BlockTag | Hash32) -> Header | None:
        """A block's header by number, tag or hash; None if the node does not have that block.

        Raises:
            Malformed: the node answered with another block than asked for.
            Another class of `app.chain.faults`.
        """
        if isinstance(at, bytes):
            method, params = "eth_getBlockByHash", b'["%b",false]' % str(at).encode()
        else:
            method = "eth_getBlockByNumber"
            params = b'["%b",false]' % (hex(at) if isinstance(at, int) else at).encode()
        try:
            raw = await self._rpc.request(body(method, params), method)
        except NotThereYet:
            return None
        except ParamsRefused:
            if at in ("safe", "finalized"):  # a node older than these tags
                return None
            raise
        header = decode_header(raw, self._spec.chain_id)
        if header is not None:
            given = header.block.hash if isinstance(at, bytes) else header.block.number
            if not isinstance(at, str) and given != at:
                raise Malformed(f"asked for block {at}, the node gave {given}")
        return header

    async def fetch_block_logs(self, header: Header, log_filter: LogFilter) -> list[Log]:
        """The block's logs that pass the filter, by index, checked against the header.

        Raises:
            LogsDoubtful, NotThereYet or another class of `app.chain.faults`.
        """
        return await self._logs.fetch_block(header, log_filter)

    async def fetch_logs(self, log_filter: LogFilter, from_block: int, to_block: int) -> list[Log]:
        """The logs of blocks `from_block` to `to_block` inclusive, by block and index; refused ranges are split.

        Raises:
            LogsDoubtful, RangeTooWide or another class of `app.chain.faults`.
        """
        return await self._logs.fetch_range(log_filter, from_block, to_block)

    async def read(self, plan: ReadPlan[T], block: BlockRef) -> T:
        """Drive one plan to its value, every round at `block`. See `read_all`."""
        return (await self.read_all([plan], block))[0]

    async def read_all(
        self, plans: Sequence[ReadPlan[T]], block: BlockRef, meanwhile: Awaitable[object] | None = None
    ) -> list[T]:
        """Drive all plans in lock-step, one multicall a round for all of them; their values in order.

        Args:
            meanwhile: What must have ended before the plans are sent the results of their first round.

        Raises:
            BlockGone: the block left the node's chain meanwhile; nothing read may be used.
            NotThereYet, Pruned, OutOfGas or another class of `app.chain.faults`: nothing is known.
            Whatever a plan itself, or `meanwhile`, raises. All other plans are closed then.
        """
        values: dict[int, T] = {}
        asked = Asked()
        used_number = False
        try:
            for place, plan in enumerate(plans):
                try:
                    wanted = next(plan)
                except StopIteration as stop:
                    values[place] = stop.value
                else:
                    asked.places.append(place)
                    asked.counts.append(len(wanted))
                    asked.calls += wanted
            while asked.places:
                round_ = Round(plans, asked, values)
                if meanwhile is None:
                    used_number |= await self.call_all(asked.calls, block, round_.feed)
                else:
                    results: list[CallResult] = []
                    used_number |= await self.call_all(asked.calls, block, results.extend)
                    await meanwhile
                    round_.feed(results)
                    meanwhile = None
                asked = round_.next
            if used_number:
                await self.recheck(block)
        except BaseException:
            for plan in plans:
                plan.close()
            raise
        return [values[place] for place in range(len(plans))]

    async def call_all(
        self, calls: Sequence[ContractCall], block: BlockRef, feed: Callable[[list[CallResult]], None]
    ) -> bool:
        """Feed the results in order as they come. True if they were pinned by number: `recheck` the block then.

        Raises:
            As `read_all`. What was fed before stays true.
        """
        fed = 0

        async def run(pin: bytes) -> None:
            nonlocal fed
            async with aclosing(self._multicaller.stream(calls[fed:] if fed else calls, pin)) as chunks:
                async for results in chunks:
                    feed(results)
                    fed += len(results)
                    self.proven_by_hash = self.proven_by_hash or pin is by_hash

        by_hash = b'{"blockHash":"%b","requireCanonical":true}' % str(block.hash).encode()
        by_number = b'"%b"' % hex(block.number).encode()
        for pause in (*_LAG_PAUSES, None):
            try:
                if self._pins_by_hash:
                    try:
                        await run(by_hash)
                        return False
                    except ParamsRefused as refusal:
                        if self.proven_by_hash:  # not for this are all later reads pinned by less
                            raise NodeError(f"refused a form of request it has answered before: {refusal}") from None
                        await run(by_number)
                        self._pins_by_hash = False  # EIP-1898 is not known here, and that worked
                        return True
                await run(by_number)
                return True
            except NotThereYet:
                if pause is None:
                    await self.recheck(block)  # tells a reorg from a node that lags
                    raise
                await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def recheck(self, block: BlockRef) -> None:
        """Raise BlockGone unless `block` is still the chain's block at its height."""
        header = await self.fetch_header(block.number)
        if header is None or header.block.hash != block.hash:
            raise BlockGone(f"block {block.number} was replaced while it was read")
