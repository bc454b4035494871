"""Contracts that burn, drain and flood, on a real node: nobody else's answers suffer, and each is found once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

import pytest
from multicall.constants import MULTICALL3_BYTECODE

from app.chain.apart import LONE_GAS, REFUSED
from app.chain.multicall import Multicaller
from app.chain.rpc import Rpc
from app.domain.chain import Address, CallResult, ContractCall, Returned, Reverted
from app.domain.specs import MULTICALL3
from devnet.anvil import Anvil
from devnet.cache import DevnetUnavailable

pytestmark = pytest.mark.devnet

LATEST = b'"latest"'
NODE_GAS = 50_000_000
"""What geth allows a call by default."""
LONE = b'"gas":"%b"' % hex(LONE_GAS).encode()
SEVEN = Returned((7).to_bytes(32, "big"))
CODES = {
    "honest": "600760005260206000f3",
    "loop": "5b600056",
    "invalid": "fe",
    "floods": "621000006000f3",
    "reverts with a flood": "621000006000fd",
    "leaves a million and answers": "5b620f42405a11600057600760005260206000f3",
    "reverts": "60006000fd",
}
"""Runtime code by what it does; hand-assembled."""
JUNK: dict[str, CallResult] = {
    "loop": REFUSED,
    "invalid": REFUSED,
    "floods": REFUSED,
    "reverts with a flood": REFUSED,
    "leaves a million and answers": SEVEN,
}
"""What the calls to be kept apart give by themselves."""


def target(name: str) -> Address:
    return Address(bytes([list(CODES).index(name) + 1] * 20))


def call(name: str, number: int = 0) -> ContractCall:
    return ContractCall(target(name), number.to_bytes(4, "big"))


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    try:
        anvil = Anvil()
    except DevnetUnavailable as reason:
        pytest.skip(str(reason))
    yield anvil
    anvil.stop()


class Counted(Rpc):
    """Counts requests, and weighs their answers."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.bodies: list[bytes] = []

    async def request_bytes(self, body: bytes, method: str) -> bytes:
        self.bodies.append(body)
        return await super().request_bytes(body, method)


@pytest.fixture
async def rpc(node: Anvil) -> AsyncGenerator[Counted, None]:
    client = Counted(node.url)
    await client.call("anvil_setCode", [str(MULTICALL3), MULTICALL3_BYTECODE])
    for name, code in CODES.items():
        await client.call("anvil_setCode", [str(target(name)), "0x" + code])
    await client.call("evm_setBlockGasLimit", [hex(NODE_GAS)])
    await client.call("evm_mine")
    yield client
    await client.aclose()


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("place", [0, 200, 399])
async def test_a_junk_contract_is_found_once_and_harms_nobody(rpc: Counted, junk: str, place: int) -> None:
    caller = Multicaller(rpc, MULTICALL3)
    calls = [call("honest", number) for number in range(400)]
    calls[place] = call(junk)
    expected: list[CallResult] = [SEVEN] * 400
    expected[place] = JUNK[junk]
    first = await caller.run(calls, LATEST)
    assert first[:place] + first[place + 1 :] == expected[:place] + expected[place + 1 :]
    assert len(rpc.bodies) < 40, "a bounded search"
    before = len(rpc.bodies)
    assert await caller.run(calls, LATEST) == expected
    assert len(rpc.bodies) - before <= 2
    assert caller.chunk_calls == 500


async def test_all_of_them_at_once_and_many_times(rpc: Counted) -> None:
    caller = Multicaller(rpc, MULTICALL3)
    calls = [call("honest", number) for number in range(600)]
    expected: list[CallResult] = [SEVEN] * 600
    for number, name in enumerate([*JUNK, "reverts"] * 4):
        calls[number * 23 + 5] = call(name, number)
        expected[number * 23 + 5] = JUNK.get(name, Reverted(b""))
    await caller.run(calls, LATEST)
    before = len(rpc.bodies)
    assert await caller.run(calls, LATEST) == expected
    again = rpc.bodies[before:]
    assert len(again) <= 2 + 1 + 4 * len(JUNK), "two chunks, reverts to be certain of, and the junk"
    assert 4 * len(JUNK) - 4 <= sum(LONE in body for body in again) <= 4 * len(JUNK)


async def test_an_answer_longer_than_is_read_is_refused(rpc: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.chain.transport.MOST_REPLY_BYTES", 100_000)
    caller = Multicaller(rpc, MULTICALL3)
    found = await caller.run([call("honest"), call("floods"), call("honest", 1)], LATEST)
    assert found == [SEVEN, REFUSED, SEVEN]
