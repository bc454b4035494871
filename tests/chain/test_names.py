"""ENS names: normalised, hashed, and resolved through the registry and the name's own resolver, on chain only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from multicall.constants import MULTICALL3_BYTECODE

from app.chain.names import REGISTRY, EnsNames, name_hash, read_address
from app.chain.reader import ChainReader
from app.chain.rpc import RetryPolicy, Rpc
from app.domain.chain import Address, CallResult, ContractCall, Returned, Reverted
from app.domain.specs import MULTICALL3, chain_spec
from app.errors import Refused, Retryable
from devnet.anvil import Anvil
from devnet.cache import DevnetUnavailable

RESOLVER, ALICE = Address(b"\x57" * 20), Address(b"\xa1" * 20)


def _word(address: Address) -> bytes:
    return bytes(12) + address


def _answer(node: bytes, value: Address) -> str:
    """Code that answers `value` to any call whose first argument is `node`, else zero."""
    return "0x600435" + "7f" + node.hex() + "14" + "7f" + _word(value).hex() + "02" + "60005260206000f3"


def test_a_name_is_hashed_as_the_standards_say() -> None:
    """Vectors of EIP-137."""
    assert name_hash("eth").hex() == "93cdeb708b7545dc668eb9280176169d1c33cfd8ed6f04690a0bcc88a93fc4ae"
    assert name_hash("foo.eth").hex() == "de9b09fd7c5f901e23a3f19fecc54828e9c848539801e86591bd9801b019f84f"
    assert name_hash("FOO.eth") == name_hash("foo.eth")


@pytest.mark.parametrize("name", ["", "foo..eth", "fo o.eth", "foo\u200d.eth", "x" * 256, "a_b.eth\u0000"])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        name_hash(name)


@pytest.mark.parametrize(
    ("registry", "resolver", "found"),
    [
        (Returned(_word(RESOLVER)), Returned(_word(ALICE)), ALICE),
        (Returned(bytes(32)), None, None),
        (Returned(b""), None, None),
        (Reverted(b""), None, None),
        (Returned(_word(RESOLVER)), Returned(bytes(32)), None),
        (Returned(_word(RESOLVER)), Reverted(b"OffchainLookup"), None),
        (Returned(_word(RESOLVER)), Returned(b"\xff" * 32), None),
    ],
)
def test_only_what_is_on_chain_counts(registry: CallResult, resolver: CallResult | None, found: Address | None) -> None:
    plan = read_address(b"\x01" * 32)
    assert next(plan) == [ContractCall(REGISTRY, bytes.fromhex("0178b8bf") + b"\x01" * 32)]
    with pytest.raises(StopIteration) as end:  # noqa: PT012 - a plan of one or two rounds
        assert plan.send([registry]) == [ContractCall(RESOLVER, bytes.fromhex("3b3b57de") + b"\x01" * 32)]
        assert resolver is not None
        plan.send([resolver])
    assert end.value.value == found


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    try:
        anvil = Anvil()
    except DevnetUnavailable as reason:
        pytest.skip(str(reason))
    yield anvil
    anvil.stop()


@pytest.fixture
async def rpc(node: Anvil) -> AsyncIterator[Rpc]:
    client = Rpc(node.url)
    yield client
    await client.aclose()


@pytest.mark.devnet
async def test_a_name_is_resolved_by_contracts_on_a_chain(rpc: Rpc) -> None:
    known = name_hash("alice.eth")
    await rpc.call("anvil_setCode", [str(MULTICALL3), MULTICALL3_BYTECODE])
    await rpc.call("anvil_setCode", [str(REGISTRY), _answer(known, RESOLVER)])
    await rpc.call("anvil_setCode", [str(RESOLVER), _answer(known, ALICE)])
    await rpc.call("evm_mine")
    names = EnsNames(ChainReader(rpc, chain_spec(31337)))
    assert await names.resolve("Alice.eth") == ALICE
    assert await names.resolve("bob.eth") is None


@pytest.mark.devnet
async def test_another_chain_is_refused_and_a_dead_node_may_come_back(rpc: Rpc) -> None:
    with pytest.raises(Refused, match="names cannot be resolved"):
        await EnsNames(ChainReader(rpc, chain_spec(1))).resolve("alice.eth")
    dead = Rpc("http://127.0.0.1:9/", policy=RetryPolicy(attempts=1))
    with pytest.raises(Retryable):
        await EnsNames(ChainReader(dead, chain_spec(31337))).resolve("alice.eth")
    await dead.aclose()
