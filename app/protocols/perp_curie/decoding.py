"""Answers of shapes only this protocol has: signed words, and arrays of any length."""

from __future__ import annotations

from app.domain.chain import Address, CallResult, Returned
from app.protocols.abi import decode_uint, decode_words

_SIGN = 1 << 255
_WORD = 32


def signed(word: int) -> int:
    """A word as the signed number it stands for."""
    return word - (word & _SIGN) * 2


def decode_int(result: CallResult) -> int | None:
    """One int256 answer; None when the call reverted or answered anything but one word."""
    word = decode_uint(result)
    return None if word is None else signed(word)


def decode_flag(result: CallResult) -> bool | None:
    """One bool answer; None when reverted or neither 0 nor 1."""
    word = decode_uint(result)
    return None if word is None or word > 1 else bool(word)


def decode_array(result: CallResult) -> tuple[int, ...] | None:
    """One dynamic array of words; None when reverted or malformed."""
    if not isinstance(result, Returned) or len(result.data) < 2 * _WORD or len(result.data) % _WORD:
        return None
    words = decode_words(result, len(result.data) // _WORD)
    if words is None or words[0] != _WORD or words[1] != len(words) - 2:
        return None
    return words[2:]


def decode_addresses(result: CallResult) -> tuple[Address, ...] | None:
    """One `address[]`; None when reverted or malformed."""
    words = decode_array(result)
    if words is None or any(word >> 160 for word in words):
        return None
    return tuple(Address(word.to_bytes(20, "big")) for word in words)
