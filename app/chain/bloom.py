"""The 2048-bit bloom of a block's logs: what it can rule out, and what a set of logs would set in it.

Source: Ethereum yellow paper, section 4.3.1 (M3:2048): for each address and topic, three 11-bit numbers from
the first three pairs of bytes of its keccak-256 each set one bit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Final

from eth_utils.crypto import keccak

from app.domain.chain import Log, LogFilter

_BITS: Final = 2048
_FULL: Final = (1 << _BITS) - 1
_TELLING_BITS: Final = _BITS * 3 // 4
"""In a bloom with more bits set than this, four in ten of all things seem to be: that one is says little."""


def bloom_tells(bloom: bytes) -> bool:
    """Whether this bloom holds information: some chains leave it all zeros or all ones."""
    value = int.from_bytes(bloom, "big")
    return value not in (0, _FULL)


def bloom_is_crowded(bloom: bytes) -> bool:
    """Whether so many bits are set that hardly anything is ruled out."""
    return int.from_bytes(bloom, "big").bit_count() > _TELLING_BITS


def bloom_leaves_open(bloom: bytes, log_filter: LogFilter, logs: Collection[Log]) -> frozenset[bytes]:
    """Why the block may hold logs that pass the filter besides `logs`, which do: what none of them has of the addresses
    and events of the filter that the bloom speaks of. Empty: nothing speaks for more.

    A second log of the same
    contract or of the same event leaves no trace of its own there. It is often a coincidence: another contract's
    event of that name, another event of that contract, or bits that others have set. In blooms so full that this is
    the rule nothing is made of it, except where there is no log at all.
    """
    value = int.from_bytes(bloom, "big")
    addresses = {address for address in log_filter.addresses if _holds(value, address)}
    topics = {topic for topic in log_filter.topics0 if _holds(value, topic)}
    if not addresses or not topics or (logs and bloom_is_crowded(bloom)):
        return frozenset()
    return frozenset(addresses - {log.address for log in logs} | topics - {log.topics[0] for log in logs})


def bloom_speaks_of(bloom: bytes, item: bytes) -> bool:
    """Whether an address or a topic seems to be in the block."""
    return _holds(int.from_bytes(bloom, "big"), item)


def bloom_holds(bloom: bytes, logs: Iterable[Log]) -> bool:
    """Whether every address and topic of these logs is in the bloom, as it is if they are logs of its block."""
    value = int.from_bytes(bloom, "big")
    return all(_holds(value, item) for item in {item for log in logs for item in (log.address, *log.topics)})


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


def _holds(value: int, item: bytes) -> bool:
    bits = _bits(bytes(item))
    return value & bits == bits


@lru_cache(maxsize=65536)
def _bits(item: bytes) -> int:
    digest = keccak(item)
    return (
        1 << (int.from_bytes(digest[0:2], "big") & 2047)
        | 1 << (int.from_bytes(digest[2:4], "big") & 2047)
        | 1 << (int.from_bytes(digest[4:6], "big") & 2047)
    )
