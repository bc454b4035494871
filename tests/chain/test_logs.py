"""Logs of blocks and ranges from a node that leaves some out, repeats some, or will not search that far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from eth_utils.crypto import keccak

from app.chain.bloom import bloom_explained, bloom_holds, bloom_leaves_open, bloom_tells, make_bloom
from app.chain.faults import LogsDoubtful, Malformed, NotThereYet, RangeTooWide, ResponseTooLarge
from app.chain.reader import ChainReader
from app.chain.wire import Header, decode_logs
from app.domain.chain import EMPTY_FILTER, Address, Hash32, LogFilter
from app.domain.specs import HeaderBloom, chain_spec
from tests.fakes.node import Emitted, FakeNode, NodeSays

POOL = Address(b"\xaa" * 20)
OTHER = Address(b"\xbb" * 20)
SUPPLY = Hash32(keccak(text="Supply"))
NOISE = Hash32(keccak(text="Noise"))
FILTER = LogFilter(frozenset({POOL}), frozenset({SUPPLY}))


def supply(word: int = 0, address: Address = POOL, topic: Hash32 = SUPPLY) -> Emitted:
    return address, [topic, Hash32(word.to_bytes(32, "big"))], word.to_bytes(64, "big")


async def newest(reader: ChainReader) -> Header:
    header = await reader.fetch_header("latest")
    assert header is not None
    return header


async def test_logs_of_a_block_come_as_they_were_emitted() -> None:
    node = FakeNode()
    block = node.mine([supply(1), supply(2, address=OTHER), supply(3, topic=NOISE), supply(4)])
    reader = node.reader()
    logs = await reader.fetch_block_logs(await newest(reader), FILTER)
    assert logs == [node.chain[-1].logs[0], node.chain[-1].logs[3]]
    assert logs[1].topics == (SUPPLY, Hash32((4).to_bytes(32, "big")))
    assert logs[1].data == (4).to_bytes(64, "big")
    assert logs[1].block_hash == block.hash


async def test_nobody_wanting_logs_asks_for_none() -> None:
    node = FakeNode()
    reader = node.reader()
    header = await newest(reader)
    assert await reader.fetch_block_logs(header, EMPTY_FILTER) == []
    assert await reader.fetch_logs(EMPTY_FILTER, 0, 99) == []
    assert node.count("eth_getLogs") == 0


async def test_an_empty_answer_is_believed_where_the_bloom_agrees() -> None:
    node = FakeNode()
    node.mine([supply(1, topic=NOISE)])
    reader = node.reader()
    assert await reader.fetch_block_logs(await newest(reader), FILTER) == []
    assert node.count("eth_getLogs") == 1


async def test_logs_left_out_by_the_filter_are_found_among_all_logs_of_the_block() -> None:
    node = FakeNode()
    node.mine([supply(1)])
    node.lies["eth_getLogs"] = lambda params, result: [] if "address" in params[0] else result
    reader = node.reader()
    assert await reader.fetch_block_logs(await newest(reader), FILTER) == list(node.chain[-1].logs)


async def test_logs_left_out_altogether_are_missed() -> None:
    node = FakeNode()
    node.mine([supply(1)])
    node.lies["eth_getLogs"] = lambda params, result: []
    reader = node.reader()
    with pytest.raises(LogsDoubtful, match="left out"):
        await reader.fetch_block_logs(await newest(reader), FILTER)


async def test_a_bloom_that_only_seems_to_match_does_not_stop_the_chain() -> None:
    """Address and topic are both in the block, but never in one log."""
    node = FakeNode()
    node.mine([supply(1, topic=NOISE), supply(2, address=OTHER)])
    reader = node.reader()
    assert await reader.fetch_block_logs(await newest(reader), FILTER) == []
    assert node.count("eth_getLogs") == 2


@pytest.mark.parametrize("bloom", ["0x" + "00" * 256, "0x" + "ff" * 256, None], ids=["zeros", "ones", "none"])
async def test_chains_without_blooms_are_read_without_them(bloom: str | None) -> None:
    node = FakeNode()
    node.mine()
    node.lies["eth_getBlockByNumber"] = lambda params, result: result | {"logsBloom": bloom}
    reader = node.reader()
    assert await reader.fetch_block_logs(await newest(reader), FILTER) == []
    node.mine([supply(1)])
    assert len(await reader.fetch_block_logs(await newest(reader), FILTER)) == 1


WIDE = LogFilter(frozenset({POOL, OTHER}), frozenset({SUPPLY, NOISE}))


def without(place: int) -> Callable[[Any, list[Any]], list[Any]]:
    """A node that leaves one log out of what it finds by a filter, and out of nothing else."""
    return lambda params, found: found[:place] + found[place + 1 :] if "address" in params[0] else found


@pytest.mark.parametrize(
    "logs",
    [
        [supply(1), supply(2, address=OTHER)],
        [supply(1), supply(2, topic=NOISE)],
        [supply(1), supply(2), supply(3, address=OTHER, topic=NOISE)],
    ],
    ids=["a contract", "an event", "both"],
)
async def test_one_log_of_several_left_out_is_found_where_its_contract_or_event_has_no_other(
    logs: list[Emitted],
) -> None:
    node = FakeNode()
    node.mine(logs)
    node.lies["eth_getLogs"] = without(len(logs) - 1)
    reader = node.reader()
    assert await reader.fetch_block_logs(await newest(reader), WIDE) == list(node.chain[-1].logs)
    assert node.count("eth_getLogs") == 2


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_node_that_leaves_one_log_out_of_everything_is_doubted(place: int) -> None:
    """By the gap in their numbers, and of the last one by the bloom."""
    node = FakeNode()
    node.mine([supply(1), supply(2, address=OTHER), supply(3, address=Address(b"\xcc" * 20), topic=NOISE)])
    node.lies["eth_getLogs"] = lambda params, found: [log for log in found if int(log["logIndex"], 16) != place]
    reader = node.reader()
    wanted = LogFilter(frozenset({POOL, OTHER, Address(b"\xcc" * 20)}), frozenset({SUPPLY, NOISE}))
    with pytest.raises(LogsDoubtful, match="left out"):
        await reader.fetch_block_logs(await newest(reader), wanted)


async def test_what_no_header_can_show_is_not_seen() -> None:
    """A second log of the same contract and event leaves nothing of its own that is looked for in the bloom."""
    node = FakeNode()
    node.mine([supply(1), supply(2)])
    node.lies["eth_getLogs"] = without(1)
    reader = node.reader()
    assert len(await reader.fetch_block_logs(await newest(reader), FILTER)) == 1
    assert node.count("eth_getLogs") == 1


async def test_an_answer_that_leaves_nothing_open_costs_one_request() -> None:
    node = FakeNode()
    node.mine([supply(1), supply(2, address=OTHER, topic=NOISE)])
    reader = node.reader()
    assert len(await reader.fetch_block_logs(await newest(reader), WIDE)) == 2
    assert node.count("eth_getLogs") == 1


async def test_what_a_block_left_open_in_vain_is_asked_for_at_once_in_the_next() -> None:
    """As where a token that nobody follows emits an event of the same name in every block."""
    node = FakeNode()
    reader = node.reader()
    other = supply(9, address=Address(b"\xcc" * 20), topic=NOISE)
    asked = []
    for logs in ([supply(1), other], [supply(2), other], [supply(3)], [supply(4)], [supply(5), other]):
        node.mine(logs)
        before = node.count("eth_getLogs")
        wanted = [log for log in node.chain[-1].logs if log.address == POOL]
        assert await reader.fetch_block_logs(await newest(reader), WIDE) == wanted
        asked.append(node.count("eth_getLogs") - before)
    assert asked == [2, 1, 1, 1, 2]


async def test_a_log_left_out_of_all_that_is_asked_for_at_once_is_missed() -> None:
    node = FakeNode()
    reader = node.reader()
    other = supply(9, address=Address(b"\xcc" * 20), topic=NOISE)
    node.mine([supply(1), other])
    await reader.fetch_block_logs(await newest(reader), WIDE)
    node.mine([supply(1), other])
    node.lies["eth_getLogs"] = lambda params, found: found[:-1]
    with pytest.raises(LogsDoubtful, match="left out"):
        await reader.fetch_block_logs(await newest(reader), WIDE)


async def test_where_all_logs_are_too_many_to_be_asked_for_at_once_the_filter_is_asked() -> None:
    node = FakeNode()
    reader = node.reader()
    other = supply(9, address=Address(b"\xcc" * 20), topic=NOISE)
    node.mine([supply(1), other])
    await reader.fetch_block_logs(await newest(reader), WIDE)

    def too_many(params: Any, found: Any) -> Any:
        if "address" not in params[0]:
            raise NodeSays(-32005, "query returned more than 10000 results")
        return found

    node.mine([supply(1), other])
    node.lies["eth_getLogs"] = too_many
    assert [log.address for log in await reader.fetch_block_logs(await newest(reader), WIDE)] == [POOL]


async def test_a_full_bloom_makes_no_answer_with_logs_doubtful() -> None:
    node = FakeNode()
    words = [Hash32(number.to_bytes(32, "big")) for number in range(1000)]
    crowd: list[Emitted] = [(Address(words[i][-20:]), [NOISE, *words[4 * i : 4 * i + 3]], b"") for i in range(250)]
    node.mine([*crowd, supply(1), supply(2, address=OTHER)])
    node.lies["eth_getLogs"] = without(1)
    reader = node.reader()
    header = await newest(reader)
    assert int.from_bytes(header.logs_bloom, "big").bit_count() > 1536
    wanted = LogFilter(frozenset({POOL, OTHER}), frozenset({SUPPLY}))
    assert len(await reader.fetch_block_logs(header, wanted)) == 1
    assert node.count("eth_getLogs") == 1


async def test_where_all_logs_of_a_block_are_too_many_for_the_node_what_it_gave_is_taken() -> None:
    node = FakeNode()
    node.mine([supply(1), supply(2, address=OTHER)])

    def tell(params: Any, found: Any) -> Any:
        if "address" not in params[0]:
            raise NodeSays(-32005, "query returned more than 10000 results")
        return found[:1]

    node.lies["eth_getLogs"] = tell
    reader = node.reader()
    assert len(await reader.fetch_block_logs(await newest(reader), WIDE)) == 1


async def test_where_all_logs_are_too_many_an_answer_that_is_not_given_twice_is_doubted() -> None:
    node = FakeNode()
    node.mine([supply(1), supply(2, address=OTHER)])
    given = iter(([0], [0, 1]))

    def tell(params: Any, found: Any) -> Any:
        if "address" not in params[0]:
            raise NodeSays(-32005, "query returned more than 10000 results")
        return [found[place] for place in next(given)]

    node.lies["eth_getLogs"] = tell
    reader = node.reader()
    with pytest.raises(LogsDoubtful, match="other logs in each answer"):
        await reader.fetch_block_logs(await newest(reader), WIDE)


@pytest.mark.parametrize(
    ("header_bloom", "is_doubted"),
    [(HeaderBloom.WHOLE, True), (HeaderBloom.PARTIAL, False), (HeaderBloom.NONE, False)],
)
async def test_a_log_that_the_header_does_not_speak_of_is_doubted_where_it_speaks_of_all(
    header_bloom: HeaderBloom, is_doubted: bool
) -> None:
    node = FakeNode()
    node.mine([supply(1, topic=NOISE)])
    invented = [{"address": str(POOL), "topics": [str(SUPPLY)], "logIndex": "0x1"}]
    node.lies["eth_getLogs"] = lambda params, found: [{**node_log(node), **one} for one in invented]
    reader = node.reader(replace(chain_spec(31337), header_bloom=header_bloom))
    header = await newest(reader)
    if is_doubted:
        with pytest.raises(LogsDoubtful, match="does not speak of"):
            await reader.fetch_block_logs(header, FILTER)
    else:
        assert len(await reader.fetch_block_logs(header, FILTER)) == 1


async def test_a_chain_executed_after_it_is_agreed_on_is_read_without_blooms() -> None:
    node = FakeNode(chain_id=143)
    node.mine()
    bloom = make_bloom([POOL, SUPPLY])
    node.lies["eth_getBlockByNumber"] = lambda params, found: found | {"logsBloom": "0x" + bloom.hex()}
    reader = node.reader()
    assert await reader.fetch_block_logs(await newest(reader), FILTER) == []
    assert node.count("eth_getLogs") == 1


def node_log(node: FakeNode) -> dict[str, Any]:
    """The newest block's first log as the node tells it."""
    block = hex(node.head.number)
    found: list[dict[str, Any]] = node._eth_getLogs({"fromBlock": block, "toBlock": block})
    return found[0]


@pytest.mark.parametrize(
    "change",
    [
        {"blockHash": "0x" + "11" * 32},
        {"blockNumber": "0x63"},
        {"removed": True},
        {"blockNumber": None},
        {"blockHash": None},
        {"logIndex": None},
        {"transactionHash": None},
    ],
    ids=str,
)
async def test_a_log_that_is_not_of_the_block_is_doubted(change: dict[str, object]) -> None:
    node = FakeNode()
    node.mine([supply(1)])
    node.lies["eth_getLogs"] = lambda params, result: [log | change for log in result]
    reader = node.reader()
    with pytest.raises(LogsDoubtful):
        await reader.fetch_block_logs(await newest(reader), FILTER)


async def test_two_logs_with_one_index_are_doubted() -> None:
    node = FakeNode()
    node.mine([supply(1), supply(2)])
    node.lies["eth_getLogs"] = lambda params, result: [log | {"logIndex": "0x0"} for log in result]
    reader = node.reader()
    with pytest.raises(LogsDoubtful, match="index 0"):
        await reader.fetch_block_logs(await newest(reader), FILTER)
    with pytest.raises(LogsDoubtful, match="index 0"):
        await reader.fetch_logs(FILTER, 0, 1)


async def test_logs_of_an_unknown_block_are_not_there_yet() -> None:
    node = FakeNode()
    node.mine([supply(1)])
    reader = node.reader()
    header = await newest(reader)
    node.fork(1, forget=True)
    with pytest.raises(NotThereYet):
        await reader.fetch_block_logs(header, FILTER)


def busy_node(blocks: int) -> FakeNode:
    node = FakeNode()
    for number in range(1, blocks + 1):
        node.mine([supply(number), supply(number, topic=NOISE), supply(number + 1000)])
    return node


async def test_a_range_includes_both_ends_and_is_in_order() -> None:
    node = busy_node(9)
    node.lies["eth_getLogs"] = lambda params, result: result[::-1]
    logs = await node.reader().fetch_logs(FILTER, 3, 6)
    assert [(log.block_number, log.log_index) for log in logs] == [(n, i) for n in range(3, 7) for i in (0, 2)]


@pytest.mark.parametrize("widest", [1, 2, 3, 5, 8, 100])
async def test_refused_ranges_are_split_and_nothing_is_lost(widest: int) -> None:
    node = busy_node(20)
    node.widest_range = widest
    node.refuse_range = lambda limit: NodeSays(-32600, "block range is too wide")
    reader = node.reader()
    logs = await reader.fetch_logs(FILTER, 0, 20)
    assert [log.block_number for log in logs] == [n for n in range(1, 21) for _ in range(2)]


async def test_a_limit_named_in_the_refusal_is_used_and_remembered() -> None:
    node = busy_node(20)
    node.widest_range = 7
    node.refuse_range = lambda limit: NodeSays(-32602, f"range too large. Max range: {limit}")
    reader = node.reader()
    await reader.fetch_logs(FILTER, 1, 20)
    assert node.count("eth_getLogs") == 1 + 3
    await reader.fetch_logs(FILTER, 1, 20)
    assert node.count("eth_getLogs") == 1 + 3 + 3


@pytest.mark.parametrize("kind", [RangeTooWide, ResponseTooLarge])
async def test_one_block_too_large_for_the_node_is_said(kind: type[Exception]) -> None:
    node = busy_node(3)
    said = "block range is too wide" if kind is RangeTooWide else "query returned more than 10000 results"
    node.fail("eth_getLogs", NodeSays(-32005, said), times=99)
    with pytest.raises(kind):
        await node.reader().fetch_logs(FILTER, 0, 3)


@pytest.mark.parametrize(
    "change", [{"blockNumber": "0x63"}, {"blockHash": "0x" + "11" * 32, "logIndex": "0x9"}], ids=["range", "two blocks"]
)
async def test_a_range_answer_that_contradicts_itself_is_doubted(change: dict[str, object]) -> None:
    node = busy_node(5)
    node.lies["eth_getLogs"] = lambda params, result: [*result, result[0] | change]
    with pytest.raises(LogsDoubtful):
        await node.reader().fetch_logs(FILTER, 1, 5)


@pytest.mark.parametrize(
    "change",
    [{"address": "0x12"}, {"topics": ["0x12"]}, {"data": "12"}, {"data": "0x1"}, {"topics": 1}],
)
async def test_a_log_out_of_shape_is_malformed(change: dict[str, object]) -> None:
    node = busy_node(1)
    node.lies["eth_getLogs"] = lambda params, result: [result[0] | change]
    with pytest.raises(Malformed):
        await node.reader().fetch_logs(FILTER, 0, 1)


@pytest.mark.parametrize("raw", [b"null", b"{}", b"[1]", b"[", b'["\xff"]'])
def test_what_is_no_list_of_logs_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        decode_logs(msgspec.Raw(raw))


def test_the_bloom_of_a_known_transfer_has_the_known_bits() -> None:
    """keccak(0x00..00 20 bytes) starts 5380 c7b7 ae81: bits 0x380, 0x7b7, 0x681 (yellow paper, M3:2048)."""
    assert keccak(bytes(20))[:6].hex() == "5380c7b7ae81"
    assert int.from_bytes(make_bloom([bytes(20)]), "big") == 1 << 0x380 | 1 << 0x7B7 | 1 << 0x681


def test_a_bloom_rules_out_what_is_not_in_it() -> None:
    bloom = make_bloom([POOL, SUPPLY])
    assert bloom_leaves_open(bloom, FILTER, [])
    assert not bloom_leaves_open(bloom, LogFilter(frozenset({OTHER}), frozenset({SUPPLY})), [])
    assert not bloom_leaves_open(bloom, LogFilter(frozenset({POOL}), frozenset({NOISE})), [])
    assert bloom_tells(bloom)


def test_logs_are_in_the_bloom_of_their_own_block() -> None:
    node = FakeNode()
    node.mine([supply(1), supply(2, address=OTHER, topic=NOISE)])
    node.mine([supply(3)])
    own, next_ = node.chain[-2:]
    assert bloom_holds(own.bloom, own.logs)
    assert not bloom_holds(own.bloom, next_.logs)


def test_a_bloom_is_explained_by_all_its_logs_and_not_by_some() -> None:
    node = FakeNode()
    node.mine([supply(1), supply(2, address=OTHER, topic=NOISE)])
    block = node.chain[-1]
    assert bloom_explained(block.bloom, block.logs)
    assert not bloom_explained(block.bloom, block.logs[:1])
