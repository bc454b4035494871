"""Calldata, answers and contract addresses against known values."""

from __future__ import annotations

from app.domain.chain import Address, ContractCall
from devnet.codec import aggregate_data, call_data, created_address, decoded, types_of, wallet_call_data, words


def test_calldata_starts_with_the_selector() -> None:
    data = call_data("transfer(address,uint256)", Address(b"\x11" * 20), 5)
    assert data.hex() == "a9059cbb" + "00" * 12 + "11" * 20 + f"{5:064x}"


def test_the_fast_encoders_say_what_the_general_one_says() -> None:
    wallet = Address(b"\x33" * 20)
    assert wallet_call_data("balanceOf(address)", wallet) == call_data("balanceOf(address)", wallet)
    calls = [ContractCall(wallet, bytes(size)) for size in (0, 4, 32, 36)]
    for may_fail in (False, True):
        rows = [(call.target, may_fail, call.data) for call in calls]
        assert aggregate_data(calls, may_fail=may_fail) == call_data("aggregate3((address,bool,bytes)[])", rows)


def test_nested_types_are_taken_apart_at_the_top_level_only() -> None:
    assert types_of("(uint8,(address,bool)[],string)") == ("uint8", "(address,bool)[]", "string")
    assert types_of("()") == ()


def test_answers_are_decoded_by_type_or_read_as_words() -> None:
    data = call_data("f(uint256,bool)", 7, True)[4:]
    assert decoded("(uint256,bool)", data) == (7, True)
    assert words(data) == (7, 1)


def test_a_created_address_follows_from_sender_and_nonce() -> None:
    # Ethereum's yellow-paper rule; values known from the first contracts of this sender
    sender = Address.from_hex("0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0")
    assert str(created_address(sender, 0)) == "0xcd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"
    assert str(created_address(sender, 1)) == "0x343c43a37d37dff08ae8c4a11544c718abb4fcf8"


def test_a_created_address_is_right_for_large_nonces() -> None:
    sender = Address(b"\x22" * 20)
    assert len({created_address(sender, nonce) for nonce in (0, 1, 127, 128, 255, 256, 65_536)}) == 7
