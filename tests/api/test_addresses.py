from __future__ import annotations

import contextlib

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from app.api.frame.addresses import BadAddress, parse_wallet, to_checksum
from app.domain.chain import Address

EIP55_EXAMPLES = (
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
)


@pytest.mark.parametrize("text", EIP55_EXAMPLES)
def test_the_standards_own_examples_come_out_as_they_went_in(text: str) -> None:
    assert to_checksum(parse_wallet(text).address) == text


@given(st.binary(min_size=20, max_size=20))
def test_checksums_agree_with_the_reference_and_every_case_reads_back(raw: bytes) -> None:
    address = Address(raw)
    text = to_checksum(address)
    assert text == to_checksum_address(raw)
    for written in (text, text.lower(), "0x" + text[2:].upper(), text.replace("0x", "0X"), f"  {text}\n"):
        assert parse_wallet(written).address == address


@given(st.binary(min_size=20, max_size=20), st.data())
def test_mixed_case_that_is_not_the_checksum_is_refused_with_the_right_form(raw: bytes, data: st.DataObject) -> None:
    right = to_checksum(Address(raw))
    digits = "".join(data.draw(st.sampled_from((d.lower(), d.upper()))) for d in right[2:])
    if digits in (right[2:], digits.lower(), digits.upper()):
        assert parse_wallet("0x" + digits).address == Address(raw)
    else:
        with pytest.raises(BadAddress, match=right):
            parse_wallet("0x" + digits)


def test_caip10_names_the_chain() -> None:
    wallet = parse_wallet(f"eip155:42161:{EIP55_EXAMPLES[0]}")
    assert wallet.chain_id == 42161
    assert to_checksum(wallet.address) == EIP55_EXAMPLES[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "starts with 0x"),
        ("vitalik.eth", "starts with 0x"),
        ("0x", "0 characters"),
        ("0x1234", "4 characters"),
        ("0x" + "11" * 21, "42 characters"),
        ("0x" + "g" * 40, "only hexadecimal"),
        ("0x" + "١" * 40, "only hexadecimal"),
        ("solana:1:0x" + "11" * 20, "CAIP-2"),
        ("eip155:x:0x" + "11" * 20, "CAIP-2"),
        ("eip155:1:0x12", "2 characters"),
        ("eip155:" + "9" * 30 + ":0x" + "11" * 20, "CAIP-2"),
    ],
)
def test_what_is_no_address_is_refused_with_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(BadAddress, match=says):
        parse_wallet(text)


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    with contextlib.suppress(BadAddress):
        assert len(parse_wallet(text).address) == 20
