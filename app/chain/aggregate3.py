"""Multicall3.aggregate3: bytes in, bytes out.

Interface (mds1/multicall3): `aggregate3((address target, bool allowFailure, bytes callData)[])` returns
`(bool success, bytes returnData)[]`. Encoding and decoding are templates over the ABI's fixed layout: the
generic codec costs 50 to 80 us a call, this 2 to 4.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, repeat
from operator import attrgetter
from struct import Struct
from typing import Final, cast

from app.chain.faults import Malformed
from app.domain.chain import CallResult, ContractCall, Returned, Reverted

SELECTOR: Final = bytes.fromhex("82ad56cb")
"""keccak("aggregate3((address,bool,bytes)[])")[:4]"""

_WORD: Final = 32
_ZERO12: Final = bytes(12)
ENTRY_WORDS: Final = 4  # target, allowFailure, offset of the data, its length


_set_data = vars(Returned)["data"].__set__
"""What a frozen dataclass's constructor does in the end; called from C, results are made three times faster."""
_target = attrgetter("target")
_calldata = attrgetter("data")


def encode_aggregate3(calls: Sequence[ContractCall]) -> bytes:
    """Calldata that runs `calls` in order, each allowed to fail."""
    count = len(calls)
    entries, sizes = _uniform_entries(calls) or _entries(calls)
    offsets = list(accumulate(sizes, initial=_WORD * count))[:-1]
    return b"".join((SELECTOR, _word(_WORD), _word(count), _offset_table(count).pack(*offsets), entries))


def _entries(calls: Sequence[ContractCall]) -> tuple[bytes, list[int]]:
    """The encoded entries in a row, and the length of each."""
    parts: list[bytes] = []
    sizes: list[int] = []
    add, add_size = parts.extend, sizes.append
    for target, data in calls:
        head, padding, size = _shape(len(data))
        add((_ZERO12, target, head, data, padding))
        add_size(size)
    return b"".join(parts), sizes


def _uniform_entries(calls: Sequence[ContractCall]) -> tuple[bytes, list[int]] | None:
    """`_entries` in one step where all calls go to one contract with calldata of one length; None elsewhere."""
    targets = set(map(_target, calls))
    if len(targets) != 1 or len(lengths := set(map(len, map(_calldata, calls)))) != 1:
        return None
    head, padding, size = _shape(lengths.pop())
    before = _ZERO12 + targets.pop() + head
    return before + (padding + before).join(map(_calldata, calls)) + padding, [size] * len(calls)


def decode_aggregate3(raw: bytes, count: int) -> list[CallResult]:
    """The `count` results in the order of the calls.

    Raises:
        Malformed: the bytes are not exactly `count` results in the layout every Solidity contract gives.
    """
    if len(raw) < 2 * _WORD + _WORD * count or raw[:64] != _word(_WORD) + _word(count):
        raise Malformed(f"multicall: the answer is not a list of {count} results")
    table = _offset_table(count)
    offsets = table.unpack_from(raw, 64)
    if table.pack(*offsets) != raw[64 : 64 + table.size]:
        raise Malformed("multicall: an offset is out of range")
    uniform = _decode_uniform(raw, offsets)
    if uniform is not None:
        return uniform
    results: list[CallResult] = []
    append, known = results.append, _result_heads
    for offset in offsets:
        start = 160 + offset
        head = raw[start - 96 : start]
        success, size = known.get(head) or _remember_head(head)
        data = raw[start : start + size]
        if len(data) != size:
            raise Malformed("multicall: a result is cut off")
        append(Returned(data) if success else Reverted(data))
    return results


def _decode_uniform(raw: bytes, offsets: Sequence[int]) -> list[CallResult] | None:
    """The usual case at twice the speed: all calls succeeded with data of one length. None if it is not that case."""
    count = len(offsets)
    if count < 2:
        return None
    stride = (len(raw) - 64) // count - _WORD
    if offsets[0] != _WORD * count or offsets[-1] != _WORD * count + stride * (count - 1) or stride < 96:
        return None
    head = raw[64 + offsets[0] : 160 + offsets[0]]
    success, size = _result_heads.get(head) or _remember_head(head)
    if not success or stride != 96 + size + -size % _WORD or len(raw) != 64 + count * (_WORD + stride):
        return None
    if list(offsets) != list(range(offsets[0], offsets[0] + stride * count, stride)):
        return None
    fields = _uniform_table(count, size).unpack_from(raw, 64 + _WORD * count)
    if fields[::2].count(head) != count:
        return None
    results = list(map(object.__new__, repeat(Returned, count)))
    deque(map(_set_data, results, fields[1::2]), maxlen=0)
    return cast(list[CallResult], results)


def _word(value: int) -> bytes:
    return value.to_bytes(_WORD, "big")


@lru_cache(maxsize=1024)
def _shape(size: int) -> tuple[bytes, bytes, int]:
    """For calldata of `size` bytes: what stands before it in its entry, its padding, the whole entry's length."""
    padding = bytes(-size % _WORD)
    head = _word(1) + _word(3 * _WORD) + _word(size)
    return head, padding, ENTRY_WORDS * _WORD + size + len(padding)


@lru_cache(maxsize=1024)
def _offset_table(count: int) -> Struct:
    """`count` ABI words holding small numbers."""
    return Struct(">" + "24xQ" * count)


@lru_cache(maxsize=64)
def _uniform_table(count: int, size: int) -> Struct:
    """`count` results of `size` bytes: the three words before each, and its data."""
    return Struct(f"96s{size}s{-size % _WORD}x" * count)


_result_heads: dict[bytes, tuple[bool, int]] = {}
"""Decoded heads of results: a node's answers repeat a handful of them."""
_HEADS_KEPT: Final = 4096
_HEAD: Final = Struct(">24xQ24xQ24xQ")


def _remember_head(head: bytes) -> tuple[bool, int]:
    """(success, length) from the three words before a result's data.

    Raises:
        Malformed: not such words.
    """
    if len(head) != _HEAD.size:
        raise Malformed("multicall: a result is cut off")
    success, offset, size = _HEAD.unpack(head)
    if _HEAD.pack(success, offset, size) != head or success > 1 or offset != 2 * _WORD:
        raise Malformed("multicall: a result does not have the ABI's layout")
    if len(_result_heads) >= _HEADS_KEPT:
        _result_heads.clear()
    return _result_heads.setdefault(head, (bool(success), size))
