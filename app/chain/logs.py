"""Logs of a block and of ranges of blocks, with the checks that catch a node leaving some out."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from operator import attrgetter
from typing import Final

from app.chain.bloom import (
    bloom_explained,
    bloom_holds,
    bloom_is_crowded,
    bloom_leaves_open,
    bloom_speaks_of,
    bloom_tells,
)
from app.chain.faults import LogsDoubtful, RangeTooWide, ResponseTooLarge
from app.chain.rpc import Rpc
from app.chain.wire import Header, body, decode_logs, log_params
from app.domain.chain import Hash32, Log, LogFilter
from app.domain.specs import HeaderBloom

WIDEST_RANGE: Final = 10_000
_GROW_AFTER: Final = 16
"""Full windows in a row that must succeed before a learned range grows again by half."""


class LogFetcher:
    """eth_getLogs of one node; remembers how wide a range the node bears."""

    def __init__(
        self, rpc: Rpc, *, widest_range: int = WIDEST_RANGE, header_bloom: HeaderBloom = HeaderBloom.WHOLE
    ) -> None:
        self._rpc = rpc
        self._header_bloom = header_bloom
        self._most = widest_range
        self._full_windows = 0
        self._open: frozenset[bytes] = frozenset()
        """What the newest block left open, although it was all there: likely to be said of the next one's bloom too."""
        self.range_blocks = widest_range
        """Blocks a request at present."""

    async def fetch_block(self, header: Header, log_filter: LogFilter) -> list[Log]:
        """The block's logs that pass the filter, by index.

        An answer that leaves something open of what the header's bloom speaks of (see `bloom_leaves_open`) is not
        believed: then all logs of the block are asked for, and must explain every bit of the bloom and be numbered
        without a gap; what passes the filter is taken from those. Where the block before was one of these and the bloom
        speaks of the same things, all logs are asked for at once. What no header can show is a missing log whose
        contract and event other logs of the answer have too.

        Raises:
            LogsDoubtful: the answer contradicts the header or itself.
            NotThereYet, BlockGone or another class of `app.chain.faults`.
        """
        if not log_filter.addresses or not log_filter.topics0:
            return []
        where = b'"blockHash":"%b"' % str(header.block.hash).encode()
        bloom = header.logs_bloom
        tells = self._header_bloom is not HeaderBloom.NONE and bloom_tells(bloom)
        logs = None
        if tells and not bloom_is_crowded(bloom) and any(bloom_speaks_of(bloom, item) for item in self._open):
            logs = await self._among_all(header, where, log_filter, None)
        if logs is None:
            found = await self._request(log_params(log_filter, where))
            logs = [log for log in found if log_filter.matches(log)]
            if tells and bloom_leaves_open(bloom, log_filter, logs):
                logs = await self._among_all(header, where, log_filter, logs) or []
        if tells:
            self._open = bloom_leaves_open(bloom, log_filter, logs)
            if self._header_bloom is HeaderBloom.WHOLE and not bloom_holds(bloom, logs):
                raise LogsDoubtful(f"block {header.block.number}: a log its header does not speak of in the answer")
        for log in logs:
            if log.block_hash != header.block.hash or log.block_number != header.block.number:
                raise LogsDoubtful(f"block {header.block.number}: a log of another block in the answer")
        return _in_order(logs)

    async def _among_all(
        self, header: Header, where: bytes, log_filter: LogFilter, logs: list[Log] | None
    ) -> list[Log] | None:
        """Those of all logs of the block that pass the filter. Where all are too many for the node: `logs`, what the
        filter gave, unless that is nothing, or no more the same when it is asked again."""
        try:
            everything = await self._request(b"[{%b}]" % where)
        except (RangeTooWide, ResponseTooLarge):
            if logs == []:
                raise
            if logs is not None:
                again = await self._request(log_params(log_filter, where))
                if {log.log_index for log in again if log_filter.matches(log)} != {log.log_index for log in logs}:
                    raise LogsDoubtful(f"block {header.block.number}: other logs in each answer") from None
            return logs
        indices = sorted(log.log_index for log in everything)
        numbered = self._header_bloom is not HeaderBloom.WHOLE or indices == list(range(len(indices)))
        if not numbered or not bloom_explained(header.logs_bloom, everything):
            raise LogsDoubtful(f"block {header.block.number}: the node left out logs its header speaks of")
        return [log for log in everything if log_filter.matches(log)]

    async def fetch_range(self, log_filter: LogFilter, from_block: int, to_block: int) -> list[Log]:
        """The logs of blocks `from_block` to `to_block`, both included, by block and index.

        Ranges the node refuses are split, and the width it bore is kept for the next call.

        Raises:
            RangeTooWide, ResponseTooLarge: one block alone is too much for the node.
            LogsDoubtful: the answer contradicts itself.
            Another class of `app.chain.faults`.
        """
        if not log_filter.addresses or not log_filter.topics0:
            return []
        logs: list[Log] = []
        at = from_block
        while at <= to_block:
            end = min(to_block, at + self.range_blocks - 1)
            where = b'"fromBlock":"%b","toBlock":"%b"' % (hex(at).encode(), hex(end).encode())
            try:
                found = await self._request(log_params(log_filter, where))
            except (RangeTooWide, ResponseTooLarge) as refusal:
                if end == at:
                    raise
                limit = refusal.limit if isinstance(refusal, RangeTooWide) else None
                self._learn_limit(end - at + 1, limit)
                continue
            self._learn_success(end - at + 1)
            logs += _checked_range(found, log_filter, at, end)
            at = end + 1
        return logs

    async def _request(self, params: bytes) -> list[Log]:
        return decode_logs(await self._rpc.request(body("eth_getLogs", params), "eth_getLogs"))

    def _learn_limit(self, refused: int, limit: int | None) -> None:
        self.range_blocks = limit if limit is not None and limit < refused else max(1, refused // 2)
        self._full_windows = 0

    def _learn_success(self, blocks: int) -> None:
        if blocks < self.range_blocks or self.range_blocks >= self._most:
            return
        self._full_windows += 1
        if self._full_windows >= _GROW_AFTER:
            self.range_blocks = min(self._most, self.range_blocks + max(1, self.range_blocks // 2))
            self._full_windows = 0


def _checked_range(found: Iterable[Log], log_filter: LogFilter, from_block: int, to_block: int) -> list[Log]:
    addresses, topics0 = log_filter.addresses, log_filter.topics0
    # `LogFilter.matches`, without a call for each of a hundred thousand
    logs = [log for log in found if log.address in addresses and log.topics and log.topics[0] in topics0]
    hashes: dict[int, Hash32] = {}
    for number, block_hash in {(log.block_number, log.block_hash) for log in logs}:
        if not from_block <= number <= to_block:
            raise LogsDoubtful(f"blocks {from_block} to {to_block}: a log of block {number} in the answer")
        if hashes.setdefault(number, block_hash) != block_hash:
            raise LogsDoubtful(f"block {number}: logs of two different blocks in the answer")
    return _in_order(logs)


def _in_order(logs: list[Log]) -> list[Log]:
    """Sorted by block and index.

    Raises:
        LogsDoubtful: two logs share an index.
    """
    logs.sort(key=attrgetter("block_number", "log_index"))
    for before, after in pairwise(logs):
        if before.log_index == after.log_index and before.block_number == after.block_number:
            raise LogsDoubtful(f"block {after.block_number}: two logs with index {after.log_index} in the answer")
    return logs
