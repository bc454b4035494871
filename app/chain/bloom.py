"""The 2048-bit bloom of a block's logs: what it can rule out, and what a set of logs would set in it.

Source: Ethereum yellow paper, section 4.3.1 (M3:2048): for each address and topic, three 11-bit numbers from
the first three pairs of bytes of its keccak-256 each set one bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from eth_utils.crypto import keccak

from app.domain.chain import Log, LogFilter

_BITS: Final = 2048
_FULL: Final = (1 << _BITS) - 1


def bloom_tells(bloom: bytes) -> bool:
    """Whether this bloom holds information: some chains leave it all zeros or all ones."""
    value = int.from_bytes(bloom, "big")
    return value not in (0, _FULL)


def bloom_allows(bloom: bytes, log_filter: LogFilter) -> bool:
    """Whether the block may hold a log that passes the filter. False is certain, True is not."""
    value = int.from_bytes(bloom, "big")
    return _holds_any(value, log_filter.addresses) and _holds_any(value, log_filter.topics0)


def bloom_explained(bloom: bytes, logs: Iterable[Log]) -> bool:
    """Whether these logs set every bit of the bloom: if not, some of the block's logs are missing.

    Logs may set more (Polygon's state-sync logs are not in the header's bloom).
    """
    value = 0
    for item in {item for log in logs for item in (log.address, *log.topics)}:
        value |= _bits(bytes(item))
    return int.from_bytes(bloom, "big") & ~value == 0


def make_bloom(items: Iterable[bytes]) -> bytes:
    """The bloom of these addresses and topics."""
    value = 0
    for item in items:
        value |= _bits(bytes(item))
    return value.to_bytes(_BITS // 8, "big")


def _holds_any(value: int, items: Iterable[bytes]) -> bool:
    return any(value & bits == bits for bits in map(_bits, map(bytes, items)))


@lru_cache(maxsize=65536)
def _bits(item: bytes) -> int:
    digest = keccak(item)
    return (
        1 << (int.from_bytes(digest[0:2], "big") & 2047)
        | 1 << (int.from_bytes(digest[2:4], "big") & 2047)
        | 1 << (int.from_bytes(digest[4:6], "big") & 2047)
    )
