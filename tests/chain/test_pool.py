"""Several endpoints of one chain: who is asked, what each kind of failure does, and that nothing is mixed or shown."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from app.chain.endpoints import ChainEndpoint, EndpointUrls
from app.chain.faults import NotThereYet, Pruned, Transport, Unauthorised, WrongChain
from app.chain.pool import EndpointsDown, ReaderPool
from app.chain.reader import Header
from app.chain.transport import HttpReply
from app.domain.chain import Address, BlockRef, CallResult, ContractCall, Hash32, LogFilter, ReadPlan, Returned
from app.domain.endpoint import EndpointHealth, LearnedLimits
from app.domain.specs import chain_spec
from app.errors import Refused, Retryable
from tests.fakes.node import FakeNode, NodeSays

MARKER = "s3cr3t-marker"
SPEC = chain_spec(31337)
TARGET = Address(b"\x11" * 20)
TOPIC = Hash32(b"\x22" * 32)
FILTER = LogFilter(frozenset({TARGET}), frozenset({TOPIC}))
DOWN = Transport("nobody answers")


@pytest.fixture(autouse=True)
def _short_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.chain.endpoints._FIRST_REST_SECONDS", 0.01)
    monkeypatch.setattr("app.chain.pool._FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr("app.chain.pool._ASSURANCE_PAUSES_SECONDS", (0.0, 0.0, 0.0))


def health(pool: ReaderPool) -> EndpointHealth:
    return pool.endpoints[0].health


def echo(call: ContractCall) -> CallResult:
    return Returned(call.data)


def plan(count: int) -> ReadPlan[list[CallResult]]:
    return list((yield [ContractCall(TARGET, index.to_bytes(4, "big")) for index in range(count)]))


def values(count: int) -> list[CallResult]:
    return [Returned(index.to_bytes(4, "big")) for index in range(count)]


def pair(blocks: int = 3) -> tuple[FakeNode, FakeNode]:
    first = FakeNode()
    for _ in range(blocks):
        first.mine(answers=echo)
    return first, first.twin()


async def pool_of(nodes: Sequence[FakeNode], contracts: Sequence[Address] = ()) -> ReaderPool:
    """A pool over the nodes, each verified and having shown its head."""
    pool = unverified(nodes, contracts)
    await pool.verify()
    for endpoint, node in zip(pool.endpoints, nodes, strict=True):
        endpoint.showed(Header(node.head, node.chain[-1].bloom))
    for node in nodes:
        node.requests.clear()
    return pool


def unverified(nodes: Sequence[FakeNode], contracts: Sequence[Address] = ()) -> ReaderPool:
    endpoints = [
        ChainEndpoint(
            number,
            EndpointUrls(f"https://user:{MARKER}@node{number}.example/{MARKER}?key={MARKER}"),
            SPEC,
            alone=len(nodes) == 1,
            post=node.post,
        )
        for number, node in enumerate(nodes, 1)
    ]
    return ReaderPool(endpoints, SPEC, contracts)


async def test_a_block_is_read_through_the_first_endpoint_alone_while_it_answers() -> None:
    first, second = pair()
    pool = await pool_of([first, second])
    assert await pool.read(plan(700), first.head) == values(700)
    assert await pool.fetch_header(first.head.hash) is not None
    assert first.requests
    assert not second.requests


async def test_a_read_goes_on_at_another_endpoint_where_the_first_one_fails() -> None:
    first, second = pair()
    pool = await pool_of([first, second])
    pool.endpoints[0].adopt(LearnedLimits(chunk_calls=10))
    served = 0

    async def dies(body: bytes) -> HttpReply:
        nonlocal served
        served += 1
        if served > 3:
            raise DOWN
        return await FakeNode.post(first, body)

    pool.endpoints[0].reader.rpc._provider._post = dies
    assert await pool.read(plan(100), first.head) == values(100)
    asked = [len(params[0]["data"]) for method, params in second.requests if method == "eth_call"]
    assert len(asked) == 1, "what the first one answered is not asked again"
    assert health(pool) is EndpointHealth.RESTING


async def test_a_throttled_endpoint_is_left_alone_for_as_long_as_it_asks() -> None:
    first, second = pair()
    pool = await pool_of([first, second])
    first.fail("eth_call", HttpReply(429, b"slow down", 30.0))
    assert await pool.read(plan(3), first.head) == values(3)
    assert first.count("eth_call") == 1
    assert pool.endpoints[0].rest_seconds() >= 29.0
    assert await pool.read(plan(3), first.head) == values(3)
    assert first.count("eth_call") == 1
    assert second.count("eth_call") == 2


async def test_a_block_the_first_endpoint_does_not_have_is_read_where_it_is() -> None:
    first, second = pair()
    ahead = second.mine()
    pool = await pool_of([first, second])
    assert await pool.read(plan(3), ahead) == values(3)
    assert not first.count("eth_call"), "it has not shown that block"
    assert health(pool) is EndpointHealth.HEALTHY, "not to have a block is no failure"
    unknown = BlockRef(31337, 9, Hash32(b"\x99" * 32), ahead.hash, 9)
    assert await pool.fetch_header(unknown.hash) is None
    with pytest.raises(NotThereYet):
        await pool.fetch_logs(FILTER, 1, 9)


async def test_a_range_of_logs_is_never_asked_of_an_endpoint_that_has_not_shown_its_end() -> None:
    first, second = pair()
    second.mine([(TARGET, [TOPIC], b"")])
    pool = await pool_of([first, second])
    found = await pool.fetch_logs(FILTER, 1, 4)
    assert len(found) == 1
    assert not first.count("eth_getLogs")


async def test_logs_that_contradict_their_header_are_asked_of_another_endpoint() -> None:
    first, second = pair()
    for node in (first, second):
        node.mine([(TARGET, [TOPIC], b"")])
    header = Header(first.head, first.chain[-1].bloom)
    first.lies["eth_getLogs"] = lambda params, result: []
    pool = await pool_of([first, second])
    assert len(await pool.fetch_block_logs(header, FILTER)) == 1
    assert health(pool) is EndpointHealth.RESTING


async def test_state_one_endpoint_has_thrown_away_is_read_at_another_and_asked_there_from_then_on() -> None:
    first, second = pair(10)
    old = first.chain[2].ref
    first.fail("eth_call", NodeSays(-32000, "missing trie node abc"), times=1)
    pool = await pool_of([first, second])
    assert await pool.read(plan(3), old) == values(3)
    assert pool.statuses()[0].limits.state_blocks == 8
    assert await pool.read(plan(3), old) == values(3)
    assert (first.count("eth_call"), second.count("eth_call")) == (1, 2)
    assert await pool.read(plan(3), first.head) == values(3)
    assert first.count("eth_call") == 2, "newer blocks are still read there"
    for node in (first, second):
        node.fail("eth_call", NodeSays(-32000, "missing trie node abc"))
    with pytest.raises(Pruned):
        await pool.read(plan(3), old)


async def test_state_gone_at_one_endpoint_is_not_gone_while_another_is_away_for_a_moment() -> None:
    first, second = pair(blocks=9)
    pool = await pool_of([first, second])
    old = first.chain[2].ref
    first.fail("eth_call", NodeSays(-32000, "missing trie node"), times=99)
    second.fail("eth_call", DOWN, times=99)
    for _ in range(4):
        with pytest.raises(Retryable) as caught:
            await pool.read(plan(3), old)
        assert not isinstance(caught.value, Pruned)
    assert pool.endpoints[1].is_failing()
    second.faults.clear()
    await pool.check(pool.endpoints[1])
    assert await pool.read(plan(3), old) == values(3)


async def test_state_gone_at_one_endpoint_is_gone_once_the_others_have_been_away_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.chain.pool._AWAY_FOR_A_MOMENT_SECONDS", -1.0)
    first, second = pair(blocks=9)
    pool = await pool_of([first, second])
    pool.endpoints[1].health = EndpointHealth.DOWN
    first.fail("eth_call", NodeSays(-32000, "missing trie node"), times=99)
    with pytest.raises(Pruned):
        await pool.read(plan(3), first.chain[2].ref)


async def test_an_endpoint_of_another_chain_is_left_out_and_comes_back_only_after_a_check() -> None:
    first, second = pair()
    first.chain_id = 5
    pool = unverified([first, second])
    await pool.verify()
    assert health(pool) is EndpointHealth.WRONG_CHAIN
    assert await pool.read(plan(3), second.head) == values(3)
    assert not first.count("eth_call")
    first.chain_id = 31337
    await pool.verify()
    assert health(pool) is EndpointHealth.HEALTHY


async def test_where_every_endpoint_is_of_another_chain_nothing_begins() -> None:
    first, second = pair()
    first.chain_id = second.chain_id = 5
    with pytest.raises(WrongChain, match="serves chain 5"):
        await unverified([first, second]).verify()


@pytest.mark.parametrize("method", ["eth_chainId", "eth_getCode"])
async def test_what_only_a_false_answer_makes_wrong_is_asked_again_before_it_is_called_wrong(method: str) -> None:
    node = FakeNode()
    false = [{"eth_chainId": "0x5", "eth_getCode": "0x"}[method]] * 3
    node.lies[method] = lambda params, told: false.pop() if false else told
    pool = unverified([node])
    await pool.verify()
    assert not false
    assert health(pool) is EndpointHealth.HEALTHY


async def test_what_is_wrong_every_time_is_called_wrong_after_a_few_questions() -> None:
    node = FakeNode(has_multicall=False)
    with pytest.raises(WrongChain, match="no Multicall3"):
        await unverified([node]).verify()
    assert node.count("eth_getCode") == 4


async def test_a_key_that_is_refused_is_not_tried_again() -> None:
    node = FakeNode()
    node.fail("eth_chainId", HttpReply(401, b""), times=9)
    with pytest.raises(Unauthorised):
        await unverified([node]).verify()
    assert node.count("eth_chainId") == 1


async def test_an_endpoint_that_wants_to_be_paid_is_left_for_another_one_and_says_so() -> None:
    first, second = pair()
    pool = await pool_of([first, second])
    first.fail("eth_call", HttpReply(402, b""), times=9)
    assert await pool.read(plan(3), first.head) == values(3)
    assert await pool.read(plan(3), first.head) == values(3)
    assert first.count("eth_call") == 1
    assert [status.health for status in pool.statuses()] == [EndpointHealth.REFUSED, EndpointHealth.HEALTHY]
    assert "paid" in (pool.statuses()[0].trouble or "")


async def test_the_only_endpoint_wanting_to_be_paid_ends_nothing() -> None:
    node = FakeNode()
    node.fail("eth_chainId", HttpReply(402, b""), times=1)
    pool = unverified([node])
    with pytest.raises(EndpointsDown, match="wants to be paid"):
        await pool.verify()
    await pool.verify()
    assert health(pool) is EndpointHealth.HEALTHY


async def test_a_syncing_endpoint_is_not_read_from_until_it_is_there() -> None:
    first, second = pair()
    first.syncing = {"currentBlock": "0x1", "highestBlock": "0xffff"}
    pool = unverified([first, second])
    await pool.verify()
    assert health(pool) is EndpointHealth.SYNCING
    first.syncing = {"currentBlock": "0xfffe", "highestBlock": "0xffff"}
    await pool.verify()
    assert health(pool) is EndpointHealth.HEALTHY


async def test_an_endpoint_without_a_contract_that_others_have_is_left_out() -> None:
    first, second = pair()
    second.without_code.add(str(TARGET))
    pool = unverified([first, second], [TARGET])
    await pool.verify()
    await pool.verify()
    assert [endpoint.health for endpoint in pool.endpoints] == [EndpointHealth.HEALTHY, EndpointHealth.RESTING]


async def test_with_every_endpoint_down_the_message_names_each_and_no_secret() -> None:
    first, second = pair()
    pool = await pool_of([first, second])
    for node in (first, second):
        node.fail("eth_call", DOWN, times=100)
    for _ in range(3):
        with pytest.raises((EndpointsDown, Transport)):
            await pool.read(plan(3), first.head)
    assert {endpoint.health for endpoint in pool.endpoints} == {EndpointHealth.DOWN}
    with pytest.raises(EndpointsDown, match=r"#1 node1\.example down.*#2 node2\.example down") as said:
        await pool.read(plan(3), first.head)
    shown = f"{said.value} {pool.statuses()} {pool.endpoints} {pool.label} {pool!r}"
    assert MARKER not in shown
    for node in (first, second):
        node.faults.clear()
    await asyncio.sleep(0.05)
    await pool.verify()
    assert await pool.read(plan(3), first.head) == values(3)


async def test_what_a_plan_raises_is_no_endpoints_fault() -> None:
    first, second = pair()
    pool = await pool_of([first, second])

    def refuses() -> ReadPlan[None]:
        yield [ContractCall(TARGET, b"")]
        raise Refused("not this contract")

    with pytest.raises(Refused, match="not this contract"):
        await pool.read(refuses(), first.head)
    assert not second.count("eth_call")
    assert health(pool) is EndpointHealth.HEALTHY


async def test_what_an_endpoint_bears_is_learned_for_it_alone_and_can_be_remembered() -> None:
    first, second = pair(30)
    first.widest_range = 4
    pool = await pool_of([first, second])
    await pool.fetch_logs(FILTER, 1, 30)
    learned = [status.limits for status in pool.statuses()]
    assert learned[0].range_blocks == 3
    assert learned[1].range_blocks == 10_000
    again = await pool_of([first, second])
    again.endpoints[0].adopt(learned[0])
    await again.fetch_logs(FILTER, 1, 9)
    assert first.count("eth_getLogs") == 3, "no range is refused again"


async def test_an_endpoint_that_fails_often_is_asked_after_the_others_until_it_is_better() -> None:
    first, second = pair()
    pool = await pool_of([first, second])
    for _ in range(4):
        pool.endpoints[0].tried("eth_call", 0.1, DOWN)
    await pool.read(plan(1), first.head)
    assert (first.count("eth_call"), second.count("eth_call")) == (0, 1)
    for _ in range(10):
        pool.endpoints[0].tried("eth_blockNumber", 0.1, None)
    await pool.read(plan(1), first.head)
    assert (first.count("eth_call"), second.count("eth_call")) == (1, 1)


async def test_an_attempt_is_given_up_sooner_where_answers_are_fast() -> None:
    first, second = pair()
    one = (await pool_of([first, second])).endpoints[0]
    for _ in range(100):
        one.tried("eth_call", 0.2, None)
    assert one.patience_seconds("eth_call") == pytest.approx(4.0)
    one.tried("eth_call", 4.0, DOWN)
    assert one.patience_seconds("eth_call") > 11, "a slow answer is not cut off for ever"
    assert one.patience_seconds("eth_never_asked") == 30.0
