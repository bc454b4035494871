"""Reading through a node that forks, lags, reverts and refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from dataclasses import replace

import pytest

from app.chain.faults import BlockGone, Malformed, NodeError, NotThereYet, OutOfGas, Pruned, Transport, WrongChain
from app.chain.reader import ChainReader
from app.domain.chain import Address, CallResult, ContractCall, Hash32, ReadPlan, Returned, Reverted
from app.domain.specs import chain_spec
from tests.fakes.node import FakeNode, HttpReply, NodeSays

TARGET = Address(b"\xaa" * 20)


def ask(text: str) -> ContractCall:
    return ContractCall(TARGET, text.encode())


def echo(call: ContractCall) -> CallResult:
    """A contract that answers with what it was asked, except for a few words."""
    words: dict[bytes, CallResult] = {
        b"revert": Reverted(b"because"),
        b"bare revert": Reverted(b""),
        b"nothing": Returned(b""),
    }
    return words.get(call.data, Returned(b"re: " + call.data))


def one_round(*texts: str) -> ReadPlan[list[CallResult]]:
    results = yield [ask(text) for text in texts]
    return list(results)


def two_rounds(first: str) -> ReadPlan[bytes]:
    (answer,) = yield [ask(first)]
    (second,) = yield [ContractCall(TARGET, answer.data)]
    return second.data


def no_round(value: int) -> ReadPlan[int]:
    if value < 0:
        yield []
    return value


def an_empty_round() -> ReadPlan[int]:
    results = yield []
    return len(results)


@pytest.fixture
def node() -> FakeNode:
    node = FakeNode()
    node.mine(answers=echo)
    return node


async def test_a_plan_gets_its_results_in_order(node: FakeNode) -> None:
    results = await node.reader().read(one_round("a", "revert", "nothing", "b"), node.head)
    assert results == [Returned(b"re: a"), Reverted(b"because"), Returned(b""), Returned(b"re: b")]


async def test_plans_of_different_length_are_driven_in_lock_step_with_one_multicall_a_round(node: FakeNode) -> None:
    plans: Sequence[ReadPlan[object]] = [two_rounds("x"), no_round(7), one_round("p", "q"), an_empty_round()]
    values = await node.reader().read_all(plans, node.head)
    assert values == [b"re: re: x", 7, [Returned(b"re: p"), Returned(b"re: q")], 0]
    assert node.count("eth_call") == 2


async def test_plans_see_their_first_answers_only_after_what_goes_on_meanwhile(node: FakeNode) -> None:
    late: set[str] = set()

    def needing() -> ReadPlan[list[str]]:
        yield [ask("a")]
        return sorted(late)

    async def look_up() -> None:
        while not node.count("eth_call"):
            await asyncio.sleep(0)  # the request does not wait for it
        await asyncio.sleep(0.02)
        late.add("found")

    async def fail() -> None:
        raise NodeError("the look-up failed")

    reader = node.reader()
    async with asyncio.timeout(10):
        looking_up = asyncio.create_task(look_up())
        assert await reader.read_all([needing(), needing()], node.head, looking_up) == [["found"], ["found"]]
        plan = needing()
        with pytest.raises(NodeError, match="look-up"):
            await reader.read_all([plan], node.head, fail())
    assert plan.gi_frame is None  # closed


async def test_no_plans_ask_nothing(node: FakeNode) -> None:
    assert await node.reader().read_all([], node.head) == []
    assert node.requests == []


async def test_every_round_is_pinned_to_the_block_by_hash(node: FakeNode) -> None:
    block = node.head
    node.mine(answers=lambda call: Returned(b"newer"))
    assert await node.reader().read(two_rounds("x"), block) == b"re: re: x"
    pins = [params[1] for method, params in node.requests if method == "eth_call"]
    assert pins == [{"blockHash": str(block.hash), "requireCanonical": True}] * 2


async def test_a_block_that_left_the_chain_cannot_be_read(node: FakeNode) -> None:
    block = node.head
    node.fork(1)
    node.mine()
    with pytest.raises(BlockGone):
        await node.reader().read(one_round("a"), block)


@pytest.mark.parametrize("forget", [True, False])
async def test_a_reorg_between_two_rounds_voids_the_read(node: FakeNode, forget: bool) -> None:
    def plan() -> ReadPlan[None]:
        yield [ask("a")]
        node.fork(1, forget=forget)
        node.mine(answers=echo)
        yield [ask("b")]

    with pytest.raises(BlockGone):
        await node.reader().read(plan(), node.head)


async def test_a_node_without_block_hash_parameters_is_read_by_number_and_checked_after(node: FakeNode) -> None:
    node.knows_block_hash_parameter = False
    reader = node.reader()
    assert await reader.read(one_round("a"), node.head) == [Returned(b"re: a")]
    assert node.requests[-1] == ("eth_getBlockByNumber", [hex(node.head.number), False])
    calls = node.count("eth_call")
    await reader.read(one_round("a"), node.head)
    assert node.count("eth_call") == calls + 1, "the refused form is not tried again"


async def test_one_refusal_does_not_make_a_node_that_knows_block_hashes_be_read_by_number(node: FakeNode) -> None:
    reader = node.reader()
    await reader.read(one_round("a"), node.head)
    node.fail("eth_call", NodeSays(-32602, "invalid argument 1: json: cannot unmarshal object"))
    with pytest.raises(NodeError, match="answered before"):
        await reader.read(one_round("a"), node.head)
    assert await reader.read(one_round("a"), node.head) == [Returned(b"re: a")]
    assert isinstance(node.requests[-1][1][1], dict), "pinned by hash"


async def test_reading_by_number_notices_a_reorg_in_the_middle(node: FakeNode) -> None:
    node.knows_block_hash_parameter = False

    def plan() -> ReadPlan[None]:
        yield [ask("a")]
        node.fork(1)
        node.mine(answers=echo)
        yield [ask("b")]

    with pytest.raises(BlockGone):
        await node.reader().read(plan(), node.head)


async def test_a_backend_that_lags_is_asked_again(node: FakeNode) -> None:
    node.fail("eth_call", NodeSays(-32000, "header not found"))
    assert await node.reader().read(one_round("a"), node.head) == [Returned(b"re: a")]


async def test_a_block_the_node_never_gets_is_said_to_be_missing(node: FakeNode) -> None:
    node.fail("eth_call", NodeSays(-32000, "header not found"), times=3)
    with pytest.raises(NotThereYet):
        await node.reader().read(one_round("a"), node.head)


async def test_pruned_state_is_said_to_be_pruned_at_once(node: FakeNode) -> None:
    node.fail("eth_call", NodeSays(-32000, "missing trie node 1234 (path ) state 0x12 is not available"))
    with pytest.raises(Pruned):
        await node.reader().read(one_round("a"), node.head)
    assert node.count("eth_call") == 1


async def test_a_transport_fault_reaches_no_plan_and_closes_all(node: FakeNode) -> None:
    node.fail("eth_call", Transport("no answer"), times=9)
    ended = []

    def plan() -> Generator[Sequence[ContractCall], Sequence[CallResult], None]:
        try:
            yield [ask("a")]
            raise AssertionError("a plan was sent something")
        finally:
            ended.append(True)

    with pytest.raises(Transport):
        await node.reader().read_all([plan(), plan()], node.head)
    assert ended == [True, True]


async def test_what_a_plan_raises_passes_through_and_closes_the_others(node: FakeNode) -> None:
    ended = []

    def broken() -> ReadPlan[None]:
        yield [ask("a")]
        raise LookupError("mine")

    def other() -> ReadPlan[None]:
        try:
            yield [ask("a")]
            yield [ask("b")]
        finally:
            ended.append(True)

    with pytest.raises(LookupError, match="mine"):
        await node.reader().read_all([broken(), other()], node.head)
    assert ended == [True]


async def test_a_chain_without_multicall_at_that_block_is_no_list_of_empty_answers(node: FakeNode) -> None:
    node.has_multicall = False
    with pytest.raises(Malformed, match="no contract"):
        await node.reader().read(one_round("a"), node.head)


async def test_a_thousand_plans_are_read_within_the_gas_a_node_gives(node: FakeNode) -> None:
    node.gas_limit = 3_000_000  # about 96 calls at once
    reader = node.reader()
    plans = [one_round(str(number)) for number in range(1001)]
    values = await reader.read_all(plans, node.head)
    assert values == [[Returned(b"re: %d" % number)] for number in range(1001)]


async def test_plans_whose_calls_lie_in_two_requests_get_all_of_them(node: FakeNode) -> None:
    def three_rounds(number: int) -> ReadPlan[list[bytes]]:
        seen: list[bytes] = []
        for round_ in range(3):
            results = yield [ask(f"{number}/{round_}/{place}") for place in range(1 + number % 7)]
            seen += [result.data for result in results]
        return seen

    values = await node.reader().read_all([three_rounds(number) for number in range(400)], node.head)
    assert values == [
        [b"re: %d/%d/%d" % (number, round_, place) for round_ in range(3) for place in range(1 + number % 7)]
        for number in range(400)
    ]
    assert node.count("eth_call") == 3 * 4, "1,596 calls a round, 500 a request"


async def test_a_lag_in_the_middle_of_a_round_repeats_only_what_is_missing(node: FakeNode) -> None:
    post, asked = node.post, 0

    async def lag_once(body: bytes) -> HttpReply:
        nonlocal asked
        asked += 1
        if asked == 2:
            node.fail("eth_call", NodeSays(-32000, "header not found"))
        return await post(body)

    node.post = lag_once  # type: ignore[method-assign]
    values = await node.reader().read_all([one_round(str(number)) for number in range(1200)], node.head)
    assert values == [[Returned(b"re: %d" % number)] for number in range(1200)]


async def test_a_node_without_gas_for_anything_is_a_fault_and_not_a_revert(node: FakeNode) -> None:
    node.fail("eth_call", NodeSays(-32000, "out of gas"), times=99)
    with pytest.raises(OutOfGas):
        await node.reader().read(one_round("a"), node.head)


async def test_verify_accepts_the_right_chain(node: FakeNode) -> None:
    await node.reader().verify()


async def test_verify_refuses_another_chain(node: FakeNode) -> None:
    reader = ChainReader(node.rpc(), chain_spec(1))
    with pytest.raises(WrongChain, match=r"serves chain 31337, configured is 1 \(Ethereum\)"):
        await reader.verify()


async def test_verify_refuses_a_chain_without_multicall(node: FakeNode) -> None:
    node.has_multicall = False
    with pytest.raises(WrongChain, match="no Multicall3"):
        await node.reader().verify()


async def test_headers_are_found_by_number_tag_and_hash(node: FakeNode) -> None:
    reader = node.reader()
    for at in (1, "latest", node.head.hash):
        header = await reader.fetch_header(at)  # type: ignore[arg-type]
        assert header is not None
        assert header.block == node.head
    finalized = await reader.fetch_header("finalized")
    assert finalized is not None
    assert finalized.block.number == 0


async def test_a_header_the_node_does_not_have_is_none(node: FakeNode) -> None:
    reader = node.reader()
    assert await reader.fetch_header(99) is None
    assert await reader.fetch_header(Hash32(b"\1" * 32)) is None
    node.fail("eth_getBlockByNumber", NodeSays(-39001, "finalized block not found"))
    assert await reader.fetch_header("finalized") is None
    node.fail("eth_getBlockByNumber", NodeSays(-32602, "invalid argument 0: hex string without 0x prefix"))
    assert await reader.fetch_header("safe") is None


async def test_a_node_that_answers_with_another_block_is_not_believed(node: FakeNode) -> None:
    other = node.mine()
    node.lies["eth_getBlockByNumber"] = lambda params, result: result | {"number": hex(other.number)}
    with pytest.raises(Malformed, match="asked for block 0"):
        await node.reader().fetch_header(0)
    node.lies["eth_getBlockByHash"] = lambda params, result: result | {"hash": str(other.hash)}
    with pytest.raises(Malformed):
        await node.reader().fetch_header(replace(other, hash=node.chain[0].ref.hash).hash)


@pytest.mark.parametrize("broken", [{"hash": "0x12"}, {"timestamp": "soon"}, {"logsBloom": "0x00"}, {"parentHash": 5}])
async def test_a_header_out_of_shape_is_malformed(node: FakeNode, broken: dict[str, object]) -> None:
    node.lies["eth_getBlockByNumber"] = lambda params, result: result | broken
    with pytest.raises(Malformed):
        await node.reader().fetch_header("latest")
