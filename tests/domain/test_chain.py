"""Addresses, filters and chain rows."""

from __future__ import annotations

import pytest

from app.domain.chain import Address, Hash32, Log, LogFilter
from app.domain.specs import chain_spec, known_chains

POOL = Address.from_hex("0x" + "aB" * 20)
OTHER = Address.from_hex("0x" + "cd" * 20)
TRANSFER = Hash32(b"\x01" * 32)
BURN = Hash32(b"\x02" * 32)


def log(address: Address = POOL, topics: tuple[Hash32, ...] = (TRANSFER,)) -> Log:
    return Log(address, topics, b"", 1, Hash32(bytes(32)), Hash32(bytes(32)), 0)


def test_an_address_reads_as_lower_case_hex_wherever_it_is_shown() -> None:
    assert str(POOL) == "0x" + "ab" * 20
    assert f"{POOL!r}" == f"Address(0x{'ab' * 20})"
    assert bytes.fromhex("ab" * 20) == POOL


@pytest.mark.parametrize("text", ["", "0x", "ab" * 20, "0x" + "ab" * 19, "0x" + "ab" * 21, "0x" + "zz" * 20])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Address.from_hex(text)


def test_a_filter_wants_a_log_only_when_both_address_and_topic_fit() -> None:
    wanted = LogFilter(frozenset({POOL}), frozenset({TRANSFER}))
    assert wanted.matches(log())
    assert not wanted.matches(log(address=OTHER))
    assert not wanted.matches(log(topics=(BURN,)))
    assert not wanted.matches(log(topics=()))


def test_a_joined_filter_lets_through_what_either_would() -> None:
    joined = LogFilter(frozenset({POOL}), frozenset({TRANSFER})) | LogFilter(frozenset({OTHER}), frozenset({BURN}))
    assert joined.matches(log())
    assert joined.matches(log(address=OTHER, topics=(BURN,)))


def test_chain_ids_are_unique_and_an_unlisted_chain_gets_cautious_defaults() -> None:
    ids = [spec.chain_id for spec in known_chains()]
    assert len(ids) == len(set(ids))
    assert chain_spec(1).caip2 == "eip155:1"
    assert chain_spec(424242).explorer is None
    assert chain_spec(424242).stale_after_seconds >= 30
