"""Signatures, selectors and words of the ABI: the only file of the adapters that knows an ABI library.

Hot reads never decode through the library: calldata is a selector plus padded words, and answers are sliced here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from struct import Struct
from typing import cast

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from app.domain.chain import Address, CallResult, Hash32, Returned

ABI_ROOT = Path(__file__).resolve().parents[2] / "abis"
"""The minimal ABIs at the top of the repository, one folder a protocol."""

_ADDRESS_PADDING = bytes(12)


def selector(signature: str) -> bytes:
    """The four bytes that call `name(type,type)`."""
    return keccak(text=signature)[:4]


def topic(signature: str) -> Hash32:
    """`topics[0]` of the event `Name(type,type)`; indexed or not makes no difference."""
    return Hash32(keccak(text=signature))


def address_word(address: Address) -> bytes:
    """An address as an ABI word."""
    return _ADDRESS_PADDING + address


def uint_word(value: int) -> bytes:
    """A non-negative integer as an ABI word."""
    return value.to_bytes(32, "big")


def address_array(addresses: Sequence[Address]) -> bytes:
    """The arguments of a function whose only parameter is `address[]`."""
    words = b"".join(_ADDRESS_PADDING + address for address in addresses)
    return uint_word(32) + uint_word(len(addresses)) + words


def decode_uint(result: CallResult) -> int | None:
    """One uint256 answer; None when the call reverted or answered anything but one word."""
    if type(result) is Returned and len(result.data) == 32:
        return int.from_bytes(result.data, "big")
    return None


def decode_address(result: CallResult) -> Address | None:
    """One address answer (the zero address is an answer); None when reverted or malformed."""
    if type(result) is Returned and len(result.data) == 32 and result.data[:12] == _ADDRESS_PADDING:
        return Address(result.data[12:])
    return None


def decode_words(result: CallResult, count: int) -> tuple[int, ...] | None:
    """`count` static words; None when reverted or of any other length."""
    if type(result) is not Returned or len(result.data) != 32 * count:
        return None
    return tuple(map(int.from_bytes, _words(count).unpack(result.data)))


@lru_cache(maxsize=256)
def _words(count: int) -> Struct:
    return Struct("32s" * count)


def decode_uint_array(result: CallResult, length: int) -> tuple[int, ...] | None:
    """One `uint256[]` of exactly `length` elements; None when reverted or malformed."""
    words = decode_words(result, length + 2)
    if words is None or words[0] != 32 or words[1] != length:
        return None
    return words[2:]


def decode_text(result: CallResult) -> str | None:
    """A `string` answer, or a `bytes32` one padded with zeros as some old tokens give; None when neither.

    Control characters and undecodable bytes make it None too: what a token calls itself is shown to people.
    """
    if type(result) is not Returned:
        return None
    try:
        raw = result.data.rstrip(b"\0") if len(result.data) == 32 else _decode_string(result.data)
        text = raw.decode("utf-8").strip()
    except (DecodingError, UnicodeDecodeError):
        return None
    return text if text and text.isprintable() else None


def _decode_string(data: bytes) -> bytes:
    (raw,) = decode(("bytes",), data)
    return cast(bytes, raw)


@cache
def load_signatures(name: str) -> Mapping[str, frozenset[str]]:
    """Canonical signatures of an ABI file such as `aave_v3/pool`, by kind: `function` and `event`.

    Raises:
        OSError: no such file.
    """
    entries = json.loads((ABI_ROOT / f"{name}.json").read_text())
    return {
        kind: frozenset(
            f"{entry['name']}({','.join(_canonical(argument) for argument in entry['inputs'])})"
            for entry in entries
            if entry["type"] == kind
        )
        for kind in ("function", "event")
    }


def _canonical(argument: Mapping[str, object]) -> str:
    """The type of one ABI argument as signatures spell it: a tuple is the list of its members."""
    kind = str(argument["type"])
    if not kind.startswith("tuple"):
        return kind
    members = cast(Sequence[Mapping[str, object]], argument["components"])
    return f"({','.join(_canonical(member) for member in members)}){kind[5:]}"
