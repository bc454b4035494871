from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.chain import Address, CallResult, Returned, Reverted
from app.protocols.abi import (
    ABI_ROOT,
    address_array,
    address_word,
    decode_address,
    decode_text,
    decode_uint,
    decode_uint_array,
    decode_words,
    load_signatures,
    selector,
    topic,
    uint_word,
)

PROTOCOLS = Path(__file__).parents[2] / "app" / "protocols"


def signatures_in_code(folder: Path, maker: str) -> set[str]:
    """Every literal handed to `selector(...)` or `topic(...)` in a protocol's files."""
    found: set[str] = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == maker:
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}: not a literal signature"
                found.add(str(node.args[0].value))
    return found


PACKAGES = sorted(path for path in PROTOCOLS.iterdir() if (path / "__init__.py").exists())


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
@pytest.mark.parametrize(("maker", "kind"), [("selector", "function"), ("topic", "event")])
def test_the_abi_files_hold_exactly_the_signatures_the_code_uses(package: Path, maker: str, kind: str) -> None:
    files = [f"{package.name}/{path.stem}" for path in sorted((ABI_ROOT / package.name).glob("*.json"))]
    assert files
    declared: set[str] = set().union(*(load_signatures(name)[kind] for name in files))
    assert signatures_in_code(package, maker) == declared


def test_selectors_and_topics_are_the_known_ones() -> None:
    assert selector("transfer(address,uint256)").hex() == "a9059cbb"
    assert str(topic("Transfer(address,address,uint256)")).startswith("0xddf252ad1be2c89b")


@pytest.mark.parametrize("result", [Reverted(b""), Reverted(bytes(32)), Returned(b""), Returned(bytes(31))])
def test_what_is_not_one_word_is_no_number_and_no_address(result: CallResult) -> None:
    assert decode_uint(result) is None
    assert decode_address(result) is None
    assert decode_words(result, 1) is None
    assert decode_text(result) is None


def test_an_address_with_anything_before_it_is_no_address() -> None:
    assert decode_address(Returned(b"\x01" + bytes(31))) is None
    assert decode_address(Returned(address_word(Address(b"\x07" * 20)))) == Address(b"\x07" * 20)


@given(values=st.lists(st.integers(0, 2**256 - 1), max_size=5))
def test_arrays_are_taken_only_with_the_length_expected(values: list[int]) -> None:
    data = b"".join(map(uint_word, (32, len(values), *values)))
    assert decode_uint_array(Returned(data), len(values)) == tuple(values)
    assert decode_uint_array(Returned(data), len(values) + 1) is None
    assert decode_uint_array(Returned(data + bytes(32)), len(values)) is None
    assert decode_words(Returned(data), len(values) + 2) == (32, len(values), *values)


def test_an_address_array_is_offset_length_and_words() -> None:
    one, two = Address(b"\x01" * 20), Address(b"\x02" * 20)
    assert address_array([one, two]) == uint_word(32) + uint_word(2) + address_word(one) + address_word(two)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (uint_word(32) + uint_word(4) + b"USDC".ljust(32, b"\0"), "USDC"),
        (b"MKR".ljust(32, b"\0"), "MKR"),
        (bytes(32), None),
        (b"\xff" * 32, None),
        (uint_word(32) + uint_word(3) + b"a\nb".ljust(32, b"\0"), None),
        (uint_word(32) + uint_word(400) + bytes(32), None),
        (uint_word(10**9) + bytes(64), None),
    ],
)
def test_a_symbol_is_a_string_or_a_padded_word_that_can_be_shown(data: bytes, text: str | None) -> None:
    assert decode_text(Returned(data)) == text
