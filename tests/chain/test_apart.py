"""Calls that spoil their request: found once, then asked by themselves; everybody else's answers stay right."""

from __future__ import annotations

import pytest

from app.chain import apart
from app.chain.apart import LONE_GAS, MAX_RESULT_BYTES, METER, REFUSED, Apart
from app.chain.multicall import Multicaller
from app.domain.chain import Address, CallResult, ContractCall, Returned, Reverted
from app.domain.specs import MULTICALL3
from tests.fakes.node import FakeNode

LATEST = b'"latest"'
EVERYTHING = 10**12
JUNK = frozenset({3, 250, 251, 499})


def numbered(count: int) -> list[ContractCall]:
    return [ContractCall(Address(b"\xaa" * 20), number.to_bytes(4, "big")) for number in range(count)]


def number_of(call: ContractCall) -> int:
    return int.from_bytes(call.data, "big")


@pytest.fixture
def node() -> FakeNode:
    """50 million gas a call, as nodes have it; the calls numbered as junk burn all they are given."""
    node = FakeNode()
    node.mine(answers=lambda call: Returned(call.data))
    node.gas_limit = 50_000_000
    node.gas_of = lambda call: EVERYTHING if number_of(call) in JUNK else 30_000
    return node


def multicaller(node: FakeNode) -> Multicaller:
    return Multicaller(node.rpc(), MULTICALL3)


def expected(calls: list[ContractCall]) -> list[CallResult]:
    return [REFUSED if number_of(call) in JUNK else Returned(call.data) for call in calls]


async def test_burners_are_found_once_and_cost_one_small_request_each_from_then_on(node: FakeNode) -> None:
    caller, calls = multicaller(node), numbered(500)
    assert await caller.run(calls, LATEST) == expected(calls)
    assert len(caller.apart) == len(JUNK)
    assert caller.chunk_calls == 500, "one bad call is not a limit of the node"
    first = node.count("eth_call")
    assert await caller.run(calls, LATEST) == expected(calls)
    again = [params[0] for method, params in node.requests if method == "eth_call"][first:]
    assert len(again) == 1 + len(JUNK)
    assert [int(call["gas"], 16) for call in again if "gas" in call] == [LONE_GAS] * len(JUNK)


async def test_a_call_that_takes_the_gas_and_answers_all_the_same_is_found_too(node: FakeNode) -> None:
    """It leaves its neighbours nothing, and nothing in its own answer shows it."""
    node.gas_of = lambda call: 48_500_000 if call.data == b"\0\0\0\7" else 30_000
    caller, calls = multicaller(node), numbered(200)
    for _ in range(2):
        found = await caller.run(calls, LATEST)
        assert [found[7], *found[:7], *found[8:]] == [REFUSED, *(Returned(c.data) for c in calls if number_of(c) != 7)]
        assert list(filter(caller.apart.__contains__, calls)) == [calls[7]]
    assert caller.chunk_calls == 500


async def test_honest_reverts_without_data_cost_one_request_for_all_of_them(node: FakeNode) -> None:
    node.gas_of = lambda call: 30_000
    node.mine(answers=lambda call: Reverted(b"") if number_of(call) % 2 else Returned(call.data))
    caller, calls = multicaller(node), numbered(300)
    found = await caller.run(calls, LATEST)
    assert found == [Reverted(b"") if number_of(call) % 2 else Returned(call.data) for call in calls]
    assert node.count("eth_call") == 2
    assert not len(caller.apart)


async def test_an_answer_of_megabytes_is_refused_and_its_call_kept_apart(node: FakeNode) -> None:
    bomb = Returned(bytes(MAX_RESULT_BYTES + 1))
    node.gas_of = lambda call: 30_000
    node.mine(answers=lambda call: bomb if number_of(call) == 5 else Returned(call.data))
    caller, calls = multicaller(node), numbered(20)
    for _ in range(2):
        found = await caller.run(calls, LATEST)
        assert found[5] == REFUSED
        assert found[:5] + found[6:] == [Returned(call.data) for call in calls if number_of(call) != 5]
        assert list(filter(caller.apart.__contains__, calls)) == [calls[5]]


async def test_a_chunk_that_is_too_much_without_anybodys_fault_is_made_smaller(node: FakeNode) -> None:
    node.gas_of = lambda call: 200_000
    caller, calls = multicaller(node), numbered(500)
    assert await caller.run(calls, LATEST) == [Returned(call.data) for call in calls]
    assert caller.chunk_calls == 250
    assert not len(caller.apart)


async def test_without_the_meter_answers_are_right_all_the_same(node: FakeNode) -> None:
    """A node that allows less gas than the meter takes."""
    node.gas_limit = 2_000_000
    caller, calls = multicaller(node), numbered(40)
    assert await caller.run(calls, LATEST) == expected(calls)
    assert not len(caller.apart)


def test_no_more_calls_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_RELEASED_AFTER", 3)
    calls, kept = numbered(5), Apart(most=2)
    for call in calls[:3]:
        kept.add(call)
    assert [call in kept for call in calls] == [False, True, True, False, False]
    for result in (Returned(b"fine"), Returned(b"fine"), REFUSED, Returned(b"fine"), Reverted(b"why")):
        kept.note(calls[1], result)
        kept.note(calls[4], result)
    assert calls[1] in kept
    kept.note(calls[1], Returned(b"fine"))
    assert calls[1] not in kept, "three good answers in a row"
    assert METER not in kept


async def test_a_crowd_of_them_costs_no_more_than_there_is_room_for(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that have answered are asked first."""
    monkeypatch.setattr("app.chain.multicall.MOST_LONE", 10)
    node.gas_of = lambda call: EVERYTHING if number_of(call) % 2 else 30_000
    caller, calls = multicaller(node), numbered(60)
    await caller.run(calls, LATEST)
    assert len(caller.apart) == 30
    node.gas_of = lambda call: 30_000
    caller.apart.note(calls[59], Returned(b"fine"))
    before = node.count("eth_call")
    found = await caller.run(calls, LATEST)
    assert node.count("eth_call") - before == 1 + 10
    assert found[::2] == [Returned(call.data) for call in calls[::2]]
    assert found[59] == Returned(calls[59].data)
    assert sum(result == REFUSED for result in found) == 20
