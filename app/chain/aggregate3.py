"""Multicall3.aggregate3: calls to the hex of a request, the bytes of an answer to results.

Interface (mds1/multicall3): `aggregate3((address target, bool allowFailure, bytes callData)[])` returns
`(bool success, bytes returnData)[]`. Encoding and decoding are templates over the ABI's fixed layout: the
generic codec costs 50 to 80 us a call, this less than 1.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from operator import attrgetter
from struct import Struct
from typing import Final

from app.chain.faults import Malformed
from app.domain.chain import Address, CallResult, ContractCall, Returned, Reverted

SELECTOR: Final = bytes.fromhex("82ad56cb")
"""keccak("aggregate3((address,bool,bytes)[])")[:4]"""

_WORD: Final = 32
_ZERO12: Final = bytes(12)
ENTRY_WORDS: Final = 4  # target, allowFailure, offset of the data, its length


_target = attrgetter("target")
_calldata = attrgetter("data")


def encode_aggregate3(calls: Sequence[ContractCall]) -> bytes:
    """Calldata, as hex digits, that runs `calls` in order, each allowed to fail."""
    return _encode_uniform(calls) or _encode_any(calls)


def _encode_any(calls: Sequence[ContractCall]) -> bytes:
    parts: list[bytes] = []
    sizes: list[int] = []
    add, add_size = parts.extend, sizes.append
    for call in calls:
        before, after, size = _frame(call.target, len(call.data))
        add((before, hexlify(call.data), after))
        add_size(size)
    count = len(calls)
    *offsets, _ = accumulate(sizes, initial=_WORD * count)
    return b"".join((hexlify(_opening(count) + _offset_table(count).pack(*offsets)), *parts))


def _encode_uniform(calls: Sequence[ContractCall]) -> bytes | None:
    """The usual case at twice the speed: all calls go to one contract with calldata of one length. None elsewhere."""
    targets = set(map(_target, calls))
    if len(targets) != 1 or len(lengths := set(map(len, map(_calldata, calls)))) != 1:
        return None
    length = lengths.pop()
    before, after, _ = _frame(targets.pop(), length)
    entries = (after + before).join(map(hexlify, map(_calldata, calls)))
    return b"".join((_uniform_opening(len(calls), length), before, entries, after))


def decode_aggregate3(raw: bytes, count: int) -> list[CallResult]:
    """The `count` results in the order of the calls.

    Raises:
        Malformed: the bytes are not exactly `count` results in the layout every Solidity contract gives.
    """
    if len(raw) < 2 * _WORD + _WORD * count or raw[:64] != _word(_WORD) + _word(count):
        raise Malformed(f"multicall: the answer is not a list of {count} results")
    uniform = _decode_uniform(raw, count)
    if uniform is not None:
        return uniform
    table = _offset_table(count)
    offsets = table.unpack_from(raw, 64)
    if table.pack(*offsets) != raw[64 : 64 + table.size]:
        raise Malformed("multicall: an offset is out of range")
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


def _decode_uniform(raw: bytes, count: int) -> list[CallResult] | None:
    """The usual case at three times the speed: all calls succeeded with data of one length. None if it is not."""
    if count < 2:
        return None
    start = 64 + _WORD * count
    head = raw[start : start + 96]
    success, size = _result_heads.get(head) or _remember_head(head)
    if not success or len(raw) != start + count * (96 + _padded(size)):
        return None
    if raw[64:start] != _uniform_offsets(count, 96 + _padded(size)):
        return None
    fields = _uniform_table(count, size).unpack_from(raw, start)
    if fields[::2].count(head) != count:
        return None
    return list(map(Returned, fields[1::2]))


def _word(value: int) -> bytes:
    return value.to_bytes(_WORD, "big")


def _padded(size: int) -> int:
    """The least whole number of words, in bytes."""
    return size + -size % _WORD


@lru_cache(maxsize=64)
def _opening(count: int) -> bytes:
    return SELECTOR + _word(_WORD) + _word(count)


@lru_cache(maxsize=4096)
def _frame(target: Address, length: int) -> tuple[bytes, bytes, int]:
    """Of an entry with `length` bytes of calldata: the hex before and after these, and the bytes of the whole."""
    before = _ZERO12 + target + _word(1) + _word(3 * _WORD) + _word(length)
    return hexlify(before), b"00" * (-length % _WORD), ENTRY_WORDS * _WORD + _padded(length)


@lru_cache(maxsize=64)
def _uniform_opening(count: int, length: int) -> bytes:
    """Hex of all that stands before the entries of `count` calls with `length` bytes of calldata each."""
    return hexlify(_opening(count) + _uniform_offsets(count, ENTRY_WORDS * _WORD + _padded(length)))


@lru_cache(maxsize=64)
def _uniform_offsets(count: int, stride: int) -> bytes:
    """The offsets of `count` elements of `stride` bytes that follow one another."""
    return _offset_table(count).pack(*range(_WORD * count, _WORD * count + stride * count, stride))


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
