"""The chain layer against a real node: what the fake node can only claim."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import pytest
from multicall.constants import MULTICALL3_BYTECODE

from app.chain.bloom import make_bloom
from app.chain.faults import BlockGone, NotThereYet, Transport, WrongChain
from app.chain.heads import follow_heads
from app.chain.reader import ChainReader
from app.chain.reorg import Forked, Gap, Next, Same, locate
from app.chain.rpc import RetryPolicy, Rpc
from app.chain.sockets import socket_heads
from app.chain.wire import Header
from app.domain.chain import (
    Address,
    BlockRef,
    CallResult,
    ContractCall,
    Hash32,
    LogFilter,
    ReadPlan,
    Returned,
    Reverted,
)
from app.domain.specs import MULTICALL3, chain_spec
from devnet.anvil import Anvil
from devnet.cache import DevnetUnavailable

pytestmark = pytest.mark.devnet

MARKER = "s3cr3tm4rk3r"
STORE = Address(b"\x57" * 20)
"""Answers empty calldata with its word, keeps 32 bytes as the new word, reverts with any other calldata."""
STORE_CODE = "0x368015601e57602014601657366000600037366000fd5b600035600055005b60005460005260206000f3"
EMITTER = Address(b"\xee" * 20)
"""log1(calldata[32:], topic = calldata[:32])"""
EMITTER_CODE = "0x366000600037600051602036036020a100"
TOPIC = Hash32(b"\x77" * 32)
WANTED = LogFilter(frozenset({EMITTER}), frozenset({TOPIC}))


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    try:
        anvil = Anvil()
    except DevnetUnavailable as reason:
        pytest.skip(str(reason))
    yield anvil
    anvil.stop()


@pytest.fixture
async def rpc(node: Anvil) -> AsyncGenerator[Rpc, None]:
    client = Rpc(f"{node.url}/?key={MARKER}")
    yield client
    await client.aclose()


@pytest.fixture
async def reader(rpc: Rpc) -> ChainReader:
    await rpc.call("anvil_setCode", [str(MULTICALL3), MULTICALL3_BYTECODE])
    await rpc.call("anvil_setCode", [str(STORE), STORE_CODE])
    await rpc.call("anvil_setCode", [str(EMITTER), EMITTER_CODE])
    await rpc.call("evm_mine")
    return ChainReader(rpc, chain_spec(31337))


async def mine(rpc: Rpc, value: int = 0, logs: int = 0) -> None:
    """A block after which the store holds `value`, with `logs` logs."""
    await send(rpc, STORE, value.to_bytes(32, "big"))
    for number in range(logs):
        await send(rpc, EMITTER, TOPIC + number.to_bytes(32, "big"))
    await rpc.call("evm_mine")


async def send(rpc: Rpc, target: Address, data: bytes) -> None:
    sent = {"from": "0x" + "11" * 20, "to": str(target), "data": "0x" + data.hex(), "gas": "0x186a0"}
    await rpc.call("eth_sendTransaction", [sent | {"gasPrice": "0x0"}])


async def newest(reader: ChainReader) -> Header:
    header = await reader.fetch_header("latest")
    assert header is not None
    return header


def calls(*wanted: tuple[Address, bytes]) -> ReadPlan[list[CallResult]]:
    results = yield [ContractCall(*call) for call in wanted]
    return list(results)


async def test_reads_are_of_the_block_they_are_pinned_to(reader: ChainReader, rpc: Rpc) -> None:
    blocks: list[BlockRef] = []
    for value in (5, 6, 7):
        await mine(rpc, value)
        blocks.append((await newest(reader)).block)
    for value, block in zip((5, 6, 7), blocks, strict=True):
        (result,) = await reader.read(calls((STORE, b"")), block)
        assert result == Returned(value.to_bytes(32, "big"))


async def test_reverts_and_empty_answers_are_told_apart(reader: ChainReader) -> None:
    nobody = Address(b"\x99" * 20)
    found = await reader.read(calls((STORE, b"no"), (nobody, b""), (STORE, b"")), (await newest(reader)).block)
    assert found[:2] == [Reverted(b"no"), Returned(b"")]
    assert isinstance(found[2], Returned)


async def test_many_plans_are_read_in_chunks(reader: ChainReader, rpc: Rpc) -> None:
    await mine(rpc, 42)
    values = await reader.read_all([calls((STORE, b"")) for _ in range(1201)], (await newest(reader)).block)
    assert values == [[Returned((42).to_bytes(32, "big"))]] * 1201


async def test_a_reorg_is_noticed_by_reads_logs_and_placement(reader: ChainReader, rpc: Rpc) -> None:
    await mine(rpc, 1)
    ancestor = (await newest(reader)).block
    await mine(rpc, 2, logs=1)
    old = await newest(reader)
    await rpc.call("anvil_reorg", [1, []])
    await mine(rpc, 3)
    head = (await newest(reader)).block
    with pytest.raises(BlockGone):
        await reader.read(calls((STORE, b"")), old.block)
    with pytest.raises(NotThereYet):
        await reader.fetch_block_logs(old, WANTED)
    assert await locate(reader.fetch_header, head, [old.block, ancestor], 64) == Forked(ancestor)
    parent = await reader.fetch_header(head.parent_hash)
    assert parent is not None
    assert await locate(reader.fetch_header, head, [parent.block], 64) == Next()
    assert await locate(reader.fetch_header, head, [ancestor], 64) == Gap(ancestor.number + 1, head.number - 1)
    assert await locate(reader.fetch_header, head, [head, ancestor], 64) == Same()


async def test_logs_and_bloom_are_what_the_node_holds(reader: ChainReader, rpc: Rpc) -> None:
    first = (await newest(reader)).block.number + 1
    await mine(rpc, logs=3)
    header = await newest(reader)
    await mine(rpc)
    await mine(rpc, logs=2)
    logs = await reader.fetch_block_logs(header, WANTED)
    assert [(log.address, log.topics, log.data[-1], log.log_index) for log in logs] == [
        (EMITTER, (TOPIC,), number, number) for number in range(3)
    ]
    assert header.logs_bloom == make_bloom([EMITTER, TOPIC])
    everything = await reader.fetch_logs(WANTED, first, first + 2)
    assert everything[:3] == logs
    assert [log.block_number - first for log in everything] == [0, 0, 0, 2, 2]


async def test_verify_knows_the_chain(reader: ChainReader, rpc: Rpc) -> None:
    await reader.verify()
    with pytest.raises(WrongChain):
        await ChainReader(rpc, chain_spec(1)).verify()
    await rpc.call("anvil_setCode", [str(MULTICALL3), "0x"])
    with pytest.raises(WrongChain, match="no Multicall3"):
        await reader.verify()


async def test_pushed_heads_are_the_nodes_headers_and_nothing_shows_the_url(
    node: Anvil, reader: ChainReader, rpc: Rpc, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with aclosing(follow_heads(reader, f"{node.ws_url}/?key={MARKER}", 60.0)) as heads:
        assert (await anext(heads)).block == (await newest(reader)).block
        for logs in (0, 2, 1):
            waiting = asyncio.ensure_future(anext(heads))
            await asyncio.sleep(0.2)  # the subscription may still be on its way
            await mine(rpc, logs=logs)
            assert await waiting == await newest(reader)
    assert MARKER not in caplog.text


async def test_a_socket_that_cannot_be_opened_says_so_without_the_url() -> None:
    with pytest.raises(Transport) as caught:
        await anext(socket_heads(f"ws://{MARKER}:{MARKER}@127.0.0.1:1/{MARKER}", 31337))
    assert MARKER not in repr(caught.value)
    assert caught.value.__context__ is None


async def test_a_node_that_dies_ends_the_heads_with_a_fault() -> None:
    try:
        dying = Anvil()
    except DevnetUnavailable as reason:
        pytest.skip(str(reason))
    client = Rpc(dying.url, policy=RetryPolicy(attempts=2, first_pause_seconds=0.01))
    try:
        async with aclosing(follow_heads(ChainReader(client, chain_spec(31337)), dying.ws_url, 0.05)) as heads:
            await anext(heads)
            dying.stop()
            with pytest.raises(Transport):
                await anext(heads)
    finally:
        dying.stop()
        await client.aclose()
