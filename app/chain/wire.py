"""JSON-RPC bytes to domain values: headers, logs, and the bodies of the requests that are sent most.

Only the fields that are needed are decoded (msgspec skips the rest), and equal hex is decoded once an answer:
most logs of a block share their block, transaction, contract and event.
"""

from __future__ import annotations

import binascii
import gc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from app.chain.faults import LogsDoubtful, Malformed
from app.domain.chain import Address, BlockRef, ChainId, Hash32, Log, LogFilter

T = TypeVar("T")

BLOOM_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class Header:
    """A block as far as this project needs it."""

    block: BlockRef
    logs_bloom: bytes
    """256 bytes; empty where the node gives none."""


class _HeaderJson(msgspec.Struct, gc=False):
    hash: str | None
    parentHash: str  # noqa: N815 - the wire's own names
    number: str | None
    timestamp: str
    logsBloom: str | None = None  # noqa: N815


class _Announced(msgspec.Struct, gc=False):
    result: _HeaderJson


class _Announcement(msgspec.Struct, gc=False):
    params: _Announced


class _LogJson(msgspec.Struct, gc=False):
    address: str
    topics: list[str]
    data: str
    blockNumber: str | None  # noqa: N815
    blockHash: str | None  # noqa: N815
    transactionHash: str | None  # noqa: N815
    logIndex: str | None  # noqa: N815
    removed: bool = False


_header: Final = msgspec.json.Decoder(_HeaderJson | None)
_logs: Final = msgspec.json.Decoder(list[_LogJson] | None)


def decode_header(raw: msgspec.Raw | bytes, chain_id: ChainId) -> Header | None:
    """A header from the JSON of a block; None from `null` or a block still pending.

    Raises:
        Malformed: anything else.
    """
    try:
        return _domain_header(_header.decode(raw), chain_id)
    except (msgspec.DecodeError, ValueError) as error:
        raise Malformed(f"not a block header: {error}") from None


def announced_header(message: object, chain_id: ChainId) -> Header:
    """The header in a message of a `newHeads` subscription, as it was parsed.

    Raises:
        Malformed: there is none in it.
    """
    try:
        header = _domain_header(msgspec.convert(message, _Announcement).params.result, chain_id)
    except (msgspec.ValidationError, ValueError) as error:
        raise Malformed(f"the node announced a head that is not a header: {error}") from None
    if header is None:
        raise Malformed("the node announced a head without number or hash")
    return header


def _domain_header(found: _HeaderJson | None, chain_id: ChainId) -> Header | None:
    """Raises ValueError where something is not what it should be."""
    if found is None or found.hash is None or found.number is None:
        return None
    bloom = bytes.fromhex(found.logsBloom[2:]) if found.logsBloom else b""
    if len(bloom) not in (0, BLOOM_BYTES):
        raise ValueError(f"a logs bloom of {len(bloom)} bytes")
    block = BlockRef(
        chain_id=chain_id,
        number=int(found.number, 16),
        hash=Hash32.from_hex(found.hash),
        parent_hash=Hash32.from_hex(found.parentHash),
        timestamp=int(found.timestamp, 16),
    )
    return Header(block, bloom)


def decode_logs(raw: msgspec.Raw | bytes) -> list[Log]:
    """Logs in the order of the answer.

    Raises:
        Malformed: not a list of logs.
        LogsDoubtful: a log that is pending, or marked as removed by a reorg.
    """
    try:
        found = _logs.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"not a list of logs: {error}") from None
    if found is None:
        raise Malformed("null instead of a list of logs")
    collecting = gc.isenabled()
    gc.disable()  # thousands of new objects and no garbage: collections in between only cost time
    try:
        return _domain_logs(found)
    except ValueError as error:
        raise Malformed(f"not a log: {error}") from None
    finally:
        if collecting:
            gc.enable()


def _domain_logs(found: list[_LogJson]) -> list[Log]:
    addresses: _Known[Address] = _Known(Address.from_hex)
    words: _Known[Hash32] = _Known(Hash32.from_hex)
    numbers: _Known[int] = _Known(_quantity)
    from_hex, word = bytes.fromhex, words.__getitem__
    logs: list[Log] = []
    for entry in found:
        number, block, transaction, index = entry.blockNumber, entry.blockHash, entry.transactionHash, entry.logIndex
        if entry.removed or number is None or block is None or transaction is None or index is None:
            raise LogsDoubtful("the node answered with a log that is not in a block")
        data = entry.data
        if data[:2] != "0x":
            raise ValueError(f"expected 0x-prefixed hex, got {data[:80]!r}")
        logs.append(
            Log(
                addresses[entry.address],
                tuple(map(word, entry.topics)),
                from_hex(data[2:]),
                numbers[number],
                words[block],
                words[transaction],
                numbers[index],
            )
        )
    return logs


class _Known(dict[str, T]):
    """Parsed values by their text: a dict that parses what it does not hold yet."""

    __slots__ = ("_parse",)

    def __init__(self, parse: Callable[[str], T]) -> None:
        super().__init__()
        self._parse = parse

    def __missing__(self, text: str) -> T:
        value = self[text] = self._parse(text)
        return value


def _quantity(text: str) -> int:
    return int(text, 16)


def decode_bytes(raw: msgspec.Raw | bytes) -> bytes:
    """The bytes of a JSON string of hex (`"0x.."`), without building the string.

    Raises:
        Malformed: anything else.
    """
    text = memoryview(raw)
    if bytes(text[:3]) != b'"0x' or bytes(text[-1:]) != b'"':
        raise Malformed("not a string of hex")
    try:
        return binascii.unhexlify(text[3:-1])
    except ValueError:
        raise Malformed("not a string of hex") from None


def body(method: str, params: bytes) -> bytes:
    """A JSON-RPC request. `params` is the finished JSON of the parameter list, brackets included."""
    return b'{"jsonrpc":"2.0","id":1,"method":"%b","params":%b}' % (method.encode(), params)


def call_params(target: Address, calldata: bytes, block: bytes, gas: int | None = None) -> bytes:
    """Parameters of eth_call. `calldata` is hex digits, `block` the finished JSON of the block identifier; `gas` None
    is the node's own limit."""
    limit = b"" if gas is None else b',"gas":"%b"' % hex(gas).encode()
    return b'[{"to":"0x%b","data":"0x%b"%b},%b]' % (binascii.hexlify(target), calldata, limit, block)


def log_params(log_filter: LogFilter, where: bytes) -> bytes:
    """Parameters of eth_getLogs. `where` is the finished JSON members that name the blocks."""
    return b'[{%b,"address":[%b],"topics":[[%b]]}]' % (
        where,
        _hex_list(log_filter.addresses),
        _hex_list(log_filter.topics0),
    )


def _hex_list(values: Iterable[bytes]) -> bytes:
    """Sorted, so that equal filters make equal requests."""
    return b",".join([b'"0x%b"' % binascii.hexlify(value) for value in sorted(values)])
