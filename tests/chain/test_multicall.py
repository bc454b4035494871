"""aggregate3: our templates against the reference codec, and chunks that shrink, starve and fail."""

from __future__ import annotations

import eth_abi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chain.faults import ExecutionReverted, Malformed, NodeError, OutOfGas, Transport
from app.chain.multicall import MAX_BODY_BYTES, Multicaller, decode_aggregate3, encode_aggregate3
from app.domain.chain import Address, CallResult, ContractCall, Returned, Reverted
from app.domain.specs import MULTICALL3
from tests.fakes.node import FakeNode, HttpReply, NodeSays

LATEST = b'"latest"'

calls = st.builds(ContractCall, st.binary(min_size=20, max_size=20).map(Address), st.binary(max_size=100))
results = st.one_of(st.binary(max_size=100).map(Returned), st.binary(max_size=100).map(Reverted))


def encoded(values: list[CallResult]) -> bytes:
    return eth_abi.encode(["(bool,bytes)[]"], [[(isinstance(v, Returned), v.data) for v in values]])


def numbered(count: int, size: int = 4) -> list[ContractCall]:
    return [ContractCall(Address(b"\xaa" * 20), number.to_bytes(size, "big")) for number in range(count)]


@given(st.lists(calls, max_size=12))
@settings(max_examples=60)
def test_calldata_equals_the_reference_codec(batch: list[ContractCall]) -> None:
    reference = eth_abi.encode(["(address,bool,bytes)[]"], [[(c.target, True, c.data) for c in batch]])
    assert encode_aggregate3(batch) == b"82ad56cb" + reference.hex().encode()


@given(st.lists(st.binary(min_size=36, max_size=36), max_size=12))
@settings(max_examples=30)
def test_calls_alike_equal_the_reference_codec_too(data: list[bytes]) -> None:
    batch = [ContractCall(MULTICALL3, one) for one in data]
    reference = eth_abi.encode(["(address,bool,bytes)[]"], [[(c.target, True, c.data) for c in batch]])
    assert encode_aggregate3(batch) == b"82ad56cb" + reference.hex().encode()
    answer: list[CallResult] = [Returned(one) for one in data]
    assert decode_aggregate3(encoded(answer), len(answer)) == answer


@given(st.lists(results, max_size=12))
@settings(max_examples=60)
def test_results_equal_the_reference_codec(values: list[CallResult]) -> None:
    assert decode_aggregate3(encoded(values), len(values)) == values


@given(st.lists(results, min_size=1, max_size=4), st.data())
@settings(max_examples=120)
def test_a_damaged_answer_is_refused_or_differs_in_data_only(values: list[CallResult], data: st.DataObject) -> None:
    """Flipping a byte of structure must never shift a result to another call."""
    raw = bytearray(encoded(values))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode_aggregate3(bytes(raw), len(values))
    except Malformed:
        return
    assert len(decoded) == len(values)


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_another_number_of_results_than_calls_is_malformed(count: int) -> None:
    with pytest.raises(Malformed):
        decode_aggregate3(encoded([Returned(b"x")] * 3), count)


@pytest.mark.parametrize("cut", [1, 31, 32, 33, 64, 100, 160])
def test_a_cut_off_answer_is_malformed(cut: int) -> None:
    with pytest.raises(Malformed):
        decode_aggregate3(encoded([Returned(b"x" * 32)])[:-cut], 1)


@pytest.fixture
def node() -> FakeNode:
    node = FakeNode()
    node.mine(answers=lambda call: Returned(call.data))
    return node


def multicaller(node: FakeNode, max_calls: int = 500) -> Multicaller:
    return Multicaller(node.rpc(), MULTICALL3, max_calls=max_calls)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 10, 11, 21])
async def test_every_call_has_its_own_result_whatever_the_chunks(node: FakeNode, count: int) -> None:
    wanted = numbered(count)
    found = await multicaller(node, max_calls=5).run(wanted, LATEST)
    assert found == [Returned(call.data) for call in wanted]
    assert node.count("eth_call") == -(-count // 5)


async def test_bodies_stay_below_what_nodes_accept(node: FakeNode) -> None:
    sizes: list[int] = []
    post = node.post

    async def weigh(body: bytes) -> HttpReply:
        sizes.append(len(body))
        return await post(body)

    node.post = weigh  # type: ignore[method-assign]
    wanted = numbered(60, size=60_000)
    assert await multicaller(node).run(wanted, LATEST) == [Returned(call.data) for call in wanted]
    assert max(sizes) <= MAX_BODY_BYTES + 1000
    assert len(sizes) > 1


async def test_a_chunk_that_runs_out_of_gas_is_halved_and_the_size_kept(node: FakeNode) -> None:
    node.gas_limit = 30_000 * 40
    caller = multicaller(node)
    wanted = numbered(200)
    for _ in range(2):
        assert await caller.run(wanted, LATEST) == [Returned(call.data) for call in wanted]
    assert caller.chunk_calls < 40
    before = node.count("eth_call")
    await caller.run(wanted, LATEST)
    again = [params for method, params in node.requests if method == "eth_call"][before:]
    assert len(again) == -(-200 // caller.chunk_calls), "the second time nothing is refused"


async def test_a_learned_size_grows_again_in_the_end(node: FakeNode) -> None:
    node.gas_limit = 30_000 * 8
    caller = multicaller(node, max_calls=20)
    await caller.run(numbered(20), LATEST)
    learned = caller.chunk_calls
    node.gas_limit = None
    await caller.run(numbered(64 * learned), LATEST)
    assert caller.chunk_calls > learned


async def test_a_call_starved_by_its_neighbours_is_not_taken_for_a_revert(node: FakeNode) -> None:
    """One call burns nearly everything, the rest still finish as a whole: the starved one looks like a bare revert."""
    node.gas_limit = 30_000_000
    node.gas_of = lambda call: {0: 26_000_000, 1: 3_950_000}[int.from_bytes(call.data, "big")]
    wanted = numbered(2)
    assert await multicaller(node).run(wanted, LATEST) == [Returned(call.data) for call in wanted]


async def test_a_call_that_reverts_without_data_by_itself_is_a_revert(node: FakeNode) -> None:
    node.mine(answers=lambda call: Reverted(b"") if call.data[-1] == 1 else Returned(b"fine"))
    assert await multicaller(node).run(numbered(3), LATEST) == [Returned(b"fine"), Reverted(b""), Returned(b"fine")]
    assert node.count("eth_call") == 2


async def test_an_address_without_code_answers_with_nothing(node: FakeNode) -> None:
    node.mine(answers=lambda call: Returned(b""))
    assert await multicaller(node).run(numbered(2), LATEST) == [Returned(b""), Returned(b"")]
    assert node.count("eth_call") == 1


@pytest.mark.parametrize("fault", [Transport("cut"), NodeSays(-32603, "internal error")], ids=repr)
async def test_a_failed_request_is_never_read_as_failed_calls(node: FakeNode, fault: Exception) -> None:
    node.fail("eth_call", fault, times=99)  # type: ignore[arg-type]
    with pytest.raises((Transport, NodeError)):
        await multicaller(node, max_calls=2).run(numbered(6), LATEST)


async def test_a_node_that_cannot_run_even_nothing_is_a_fault(node: FakeNode) -> None:
    node.fail("eth_call", NodeSays(-32603, "EVM error OutOfGas"), times=99)
    with pytest.raises(OutOfGas):
        await multicaller(node).run(numbered(3), LATEST)


async def test_an_outer_revert_of_everything_is_a_fault(node: FakeNode) -> None:
    node.fail("eth_call", NodeSays(3, "execution reverted"), times=99)
    with pytest.raises(ExecutionReverted):
        await multicaller(node).run(numbered(4), LATEST)


async def test_fewer_results_than_calls_are_refused(node: FakeNode) -> None:
    node.lies["eth_call"] = lambda params, result: "0x" + encoded([Returned(b"x")]).hex()
    with pytest.raises(Malformed, match="not a list of 3 results"):
        await multicaller(node).run(numbered(3), LATEST)


@pytest.mark.parametrize("answer", ["0x", "0x0", "zz", "0xzz", 5, None])
async def test_nonsense_is_malformed(node: FakeNode, answer: object) -> None:
    node.lies["eth_call"] = lambda params, result: answer
    with pytest.raises(Malformed):
        await multicaller(node).run(numbered(2), LATEST)
