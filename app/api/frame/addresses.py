"""Addresses as people write them: in, any sound form; out, EIP-55."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from eth_utils.crypto import keccak

from app.domain.chain import Address
from app.errors import Refused

_HEX_ADDRESS = re.compile(r"0[xX]([0-9a-fA-F]{40})")
_CAIP10 = re.compile(r"eip155:([0-9]{1,18}):(.*)", re.DOTALL)


class BadAddress(Refused):
    """The text is not an address of the form it claims to be."""


@dataclass(frozen=True, slots=True)
class WalletReference:
    """An address, and the chain where the text named one."""

    address: Address
    chain_id: int | None = None


@lru_cache(maxsize=8192)
def to_checksum(address: Address) -> str:
    """The EIP-55 form: a letter is upper case where the matching nibble of keccak(lower-case hex) is 8 or more."""
    digits = address.hex()
    digest = keccak(digits.encode("ascii")).hex()
    return "0x" + "".join(
        digit.upper() if nibble > "7" else digit for digit, nibble in zip(digits, digest, strict=False)
    )


def parse_wallet(text: str) -> WalletReference:
    """Read `0x` + 40 hex digits, or that behind a CAIP-10 prefix `eip155:<chain id>:`.

    All lower case and all upper case carry no checksum and are taken as they are; mixed case has to be right.

    Raises:
        BadAddress: it is neither; the message says what is wrong and is fit to be shown.
    """
    text = text.strip()
    chain_id: int | None = None
    if match := _CAIP10.fullmatch(text):
        chain_id, text = int(match[1]), match[2]
    elif ":" in text:
        raise BadAddress("the part before the address must be a CAIP-2 chain such as eip155:1")
    if not (found := _HEX_ADDRESS.fullmatch(text)):
        raise BadAddress(_what_is_wrong(text))
    digits = found[1]
    address = Address.from_hex("0x" + digits)
    if digits not in (digits.lower(), digits.upper()) and digits != (right := to_checksum(address))[2:]:
        raise BadAddress(f"the letters' case does not match the EIP-55 checksum; the right form is {right}")
    return WalletReference(address, chain_id)


def _what_is_wrong(text: str) -> str:
    if text[:2] not in ("0x", "0X"):
        return "an address starts with 0x and has 40 hexadecimal digits"
    if len(text) != 42:
        return f"an address has 40 hexadecimal digits after 0x; here there are {len(text) - 2} characters"
    return "an address has only hexadecimal digits (0-9, a-f) after 0x"
