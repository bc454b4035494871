"""Calldata and answers by signature text, e.g. `supply(address,uint256,address,uint16)`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from eth_abi.abi import decode, encode
from eth_abi.grammar import TupleType, parse
from eth_utils.crypto import keccak

from app.domain.chain import Address, ContractCall

Value = object
"""What eth_abi takes and gives: int, bool, str, bytes, and sequences of them."""


@cache
def _signature(signature: str) -> tuple[bytes, tuple[str, ...]]:
    selector = keccak(text=signature)[:4]
    return selector, types_of(signature[signature.index("(") :])


@cache
def types_of(tuple_text: str) -> tuple[str, ...]:
    """The member types of `(uint8,(address,bool)[])`."""
    if tuple_text == "()":
        return ()
    parsed = parse(tuple_text)
    assert isinstance(parsed, TupleType), tuple_text
    return tuple(component.to_type_str() for component in parsed.components)


def call_data(signature: str, *arguments: Value) -> bytes:
    """Selector plus encoded arguments."""
    selector, types = _signature(signature)
    return selector + encode(types, arguments)


def arguments_data(types: Sequence[str], *arguments: Value) -> bytes:
    """Encoded arguments alone, as a constructor wants them."""
    return encode(types, arguments)


def wallet_call_data(signature: str, wallet: Address) -> bytes:
    """`call_data` of a function of one address, many times faster."""
    return _signature(signature)[0] + bytes(12) + wallet


def aggregate_data(calls: Sequence[ContractCall], *, may_fail: bool) -> bytes:
    """Calldata of Multicall3's aggregate3((address,bool,bytes)[]), many times faster than the general encoder."""
    flag = int(may_fail).to_bytes(32)
    bodies = []
    for call in calls:
        padding = bytes(-len(call.data) % 32)
        head = bytes(12) + call.target + flag + (0x60).to_bytes(32) + len(call.data).to_bytes(32)
        bodies.append(head + call.data + padding)
    offset = 32 * len(bodies)
    offsets = []
    for body in bodies:
        offsets.append(offset.to_bytes(32))
        offset += len(body)
    selector = _signature("aggregate3((address,bool,bytes)[])")[0]
    return b"".join((selector, (0x20).to_bytes(32), len(bodies).to_bytes(32), *offsets, *bodies))


def decoded(tuple_text: str, data: bytes) -> tuple[Value, ...]:
    """An answer's values by their types, e.g. `(uint256,address)`."""
    values: tuple[Value, ...] = decode(types_of(tuple_text), data)
    return values


def words(data: bytes) -> tuple[int, ...]:
    """An answer of static types as unsigned 32-byte words: the quick way for numbers."""
    return tuple(int.from_bytes(data[i : i + 32]) for i in range(0, len(data), 32))


def address_in(data: bytes) -> Address:
    """The one address an answer holds."""
    return Address(data[12:32])


def created_address(sender: Address, nonce: int) -> Address:
    """Where a contract deployed by `sender` at `nonce` lies: the tail of keccak(rlp([sender, nonce]))."""
    raw = nonce.to_bytes((nonce.bit_length() + 7) // 8)
    item = raw if len(raw) == 1 and raw[0] < 0x80 else bytes([0x80 + len(raw)]) + raw
    body = b"\x94" + sender + item
    return Address(keccak(bytes([0xC0 + len(body)]) + body)[12:])
