"""A scripted Ethereum node at the transport seam: JSON-RPC bytes in, JSON-RPC bytes out, no socket.

It holds a chain of blocks with logs and contract answers, can be forked, starved of gas, made to fail and made to
lie. `FakeNode.post` is what `Rpc(url, post=...)` takes. Multicall3 is decoded with eth_abi, not with our own code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import eth_abi

from app.chain.bloom import make_bloom
from app.chain.reader import ChainReader
from app.chain.rpc import RetryPolicy, Rpc
from app.chain.transport import HttpReply
from app.domain.chain import Address, BlockRef, CallResult, ContractCall, Hash32, Log, Returned
from app.domain.specs import ChainSpec, chain_spec

URL = "http://fake.node:8545"
IMPATIENT = RetryPolicy(attempts=4, first_pause_seconds=0, longest_pause_seconds=0)
AGGREGATE3 = "82ad56cb"
PAIRING = Address(bytes(19) + b"\x08")
"""The one precompile there is, for points at infinity: a call of a known price (EIP-1108)."""

Answers = Callable[[ContractCall], CallResult]
Emitted = tuple[Address, Sequence[Hash32], bytes]
"""A log before it is in a block: emitter, topics, data."""


def nothing_deployed(call: ContractCall) -> CallResult:
    """What calls give on an empty chain: success without data."""
    return Returned(b"")


@dataclass(frozen=True)
class FakeBlock:
    """One block with everything that can be asked about it."""

    ref: BlockRef
    logs: tuple[Log, ...]
    answers: Answers
    bloom: bytes


class NodeSays(Exception):
    """A JSON-RPC error object."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message} | ({} if data is None else {"data": data})


Fault = NodeSays | HttpReply | Exception
Lie = Callable[[Any, Any], Any]
"""(params, true result) -> what the node says instead."""


@dataclass
class FakeNode:
    """The node. Everything public may be changed between requests."""

    chain_id: int = 31337
    chain: list[FakeBlock] = field(default_factory=list)
    """Canonical blocks, genesis first."""
    known: dict[Hash32, FakeBlock] = field(default_factory=dict)
    """Blocks served by hash: canonical ones and orphans."""
    requests: list[tuple[str, Any]] = field(default_factory=list)
    """Every request so far."""
    faults: list[tuple[str, Fault]] = field(default_factory=list)
    """(method, fault) pairs, used up from the front by the first request of that method."""
    lies: dict[str, Lie] = field(default_factory=dict)
    knows_block_hash_parameter: bool = True
    widest_range: int | None = None
    refuse_range: Callable[[int], NodeSays] = lambda widest: NodeSays(-32005, f"block range is too wide, max {widest}")
    gas_limit: int | None = None
    """Gas of an eth_call as a whole; None is unlimited."""
    gas_of: Callable[[ContractCall], int] = lambda call: 30_000
    has_multicall: bool = True
    without_code: set[str] = field(default_factory=set)
    """Addresses where there is no contract; there is one everywhere else."""
    syncing: object = False
    """What eth_syncing says."""
    _salt: int = 0

    def __post_init__(self) -> None:
        if not self.chain:
            self.mine()

    # ------------------------------------------------------------------------------------------ script

    @property
    def head(self) -> BlockRef:
        return self.chain[-1].ref

    def mine(self, logs: Sequence[Emitted] = (), answers: Answers | None = None) -> BlockRef:
        """Append a block; contracts answer as in the block before unless told otherwise."""
        parent = self.chain[-1] if self.chain else None
        number = parent.ref.number + 1 if parent else 0
        parent_hash = parent.ref.hash if parent else Hash32(bytes(32))
        seed = f"{self.chain_id}/{number}/{self._salt}/".encode() + parent_hash
        ref = BlockRef(self.chain_id, number, _hash(seed), parent_hash, 1_700_000_000 + 12 * number)
        emitted = tuple(
            Log(address, tuple(topics), data, number, ref.hash, _hash(seed + bytes([index])), index)
            for index, (address, topics, data) in enumerate(logs)
        )
        inherited = parent.answers if parent else nothing_deployed
        bloom = make_bloom(item for log in emitted for item in (log.address, *log.topics))
        block = FakeBlock(ref, emitted, answers or inherited, bloom)
        self.chain.append(block)
        self.known[ref.hash] = block
        return ref

    def fork(self, depth: int, *, forget: bool = False) -> BlockRef:
        """Drop the newest `depth` blocks: what is mined next has other hashes. Returns the common ancestor."""
        for orphan in self.chain[len(self.chain) - depth :]:
            if forget:
                del self.known[orphan.ref.hash]
        del self.chain[len(self.chain) - depth :]
        self._salt += 1
        return self.head

    def twin(self) -> FakeNode:
        """Another node of the same chain, as it is now."""
        return FakeNode(self.chain_id, list(self.chain), dict(self.known))

    def fail(self, method: str, fault: Fault, times: int = 1) -> None:
        """The next `times` requests of `method` end so."""
        self.faults += [(method, fault)] * times

    def rpc(self, policy: RetryPolicy = IMPATIENT) -> Rpc:
        """A client of this node that does not wait between tries."""
        return Rpc(URL, post=self.post, policy=policy)

    def reader(self, spec: ChainSpec | None = None) -> ChainReader:
        """A reader of this node."""
        return ChainReader(self.rpc(), spec or chain_spec(self.chain_id))

    def count(self, method: str) -> int:
        """Requests of `method` so far."""
        return sum(1 for asked, _ in self.requests if asked == method)

    # ------------------------------------------------------------------------------------------ the node

    async def post(self, body: bytes) -> HttpReply:
        """Answer one JSON-RPC request."""
        request = json.loads(body)
        method, params = request["method"], request["params"]
        self.requests.append((method, params))
        try:
            fault = self._next_fault(method)
            if isinstance(fault, HttpReply):
                return fault
            if fault is not None:
                raise fault
            result = getattr(self, f"_{method}")(*params)
            if method in self.lies:
                result = self.lies[method](params, result)
            answer: dict[str, Any] = {"result": result}
        except NodeSays as said:
            answer = {"error": said.error}
        return HttpReply(200, json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer}).encode())

    def _next_fault(self, method: str) -> Fault | None:
        for place, (failing, fault) in enumerate(self.faults):
            if failing == method:
                del self.faults[place]
                return fault
        return None

    def _eth_chainId(self) -> str:
        return hex(self.chain_id)

    def _eth_syncing(self) -> object:
        return self.syncing

    def _eth_getCode(self, address: str, block: str) -> str:
        return "0x6080" if self.has_multicall and address not in self.without_code else "0x"

    def _eth_getBlockByNumber(self, at: str, full: bool) -> Any:
        block = self._by_number(at)
        return None if block is None else _block_json(block)

    def _eth_getBlockByHash(self, block_hash: str, full: bool) -> Any:
        block = self.known.get(Hash32.from_hex(block_hash))
        return None if block is None else _block_json(block)

    def _eth_getLogs(self, query: dict[str, Any]) -> Any:
        if "blockHash" in query:
            block = self.known.get(Hash32.from_hex(query["blockHash"]))
            if block is None:
                raise NodeSays(-32000, "unknown block")
            blocks = [block]
        else:
            low, high = int(query["fromBlock"], 16), int(query["toBlock"], 16)
            if self.widest_range is not None and high - low + 1 > self.widest_range:
                raise self.refuse_range(self.widest_range)
            blocks = self.chain[low : high + 1]
        addresses = query.get("address")
        topics = (query.get("topics") or [None])[0]
        return [
            _log_json(log)
            for block in blocks
            for log in block.logs
            if (addresses is None or str(log.address) in addresses) and (topics is None or str(log.topics[0]) in topics)
        ]

    def _eth_call(self, call: dict[str, str], at: Any) -> str:
        block = self._state_at(at)
        data = bytes.fromhex(call["data"][2:])
        if not self.has_multicall:
            return "0x"
        assert data[:4].hex() == AGGREGATE3, "only Multicall3.aggregate3 is known here"
        (entries,) = eth_abi.decode(["(address,bool,bytes)[]"], data[4:])
        results, gas = [], self.gas_limit
        if gas is not None and "gas" in call:
            gas = min(gas, int(call["gas"], 16))
        for target, allow_failure, payload in entries:
            assert allow_failure
            wanted = ContractCall(Address.from_hex(target), payload)
            if gas is not None:
                cost = _pairing_gas(wanted) if wanted.target == PAIRING else self.gas_of(wanted)
                if cost > gas * 63 // 64:  # EIP-150: the call gets all but one 64th, and burns it
                    gas //= 64
                    results.append((False, b""))
                    continue
                gas -= cost
            result = Returned(bytes(31) + b"\1") if wanted.target == PAIRING else block.answers(wanted)
            results.append((isinstance(result, Returned), result.data))
        if gas is not None and gas < 1000 * len(entries):  # encoding the answer costs too
            raise NodeSays(-32603, "EVM error OutOfGas")
        return "0x" + eth_abi.encode(["(bool,bytes)[]"], [results]).hex()

    def _state_at(self, at: Any) -> FakeBlock:
        if isinstance(at, dict):
            if not self.knows_block_hash_parameter:
                raise NodeSays(-32602, "invalid argument 1: json: cannot unmarshal object into Go value of type string")
            block = self.known.get(Hash32.from_hex(at["blockHash"]))
            if block is None:
                raise NodeSays(-32000, "header for hash not found")
            if block not in self.chain and at.get("requireCanonical"):
                raise NodeSays(-32000, "hash is not currently canonical")
            return block
        block = self._by_number(at)
        if block is None:
            raise NodeSays(-32000, "header not found")
        return block

    def _by_number(self, at: str) -> FakeBlock | None:
        depth = {"latest": 0, "safe": 4, "finalized": 8}.get(at)
        number = int(at, 16) if depth is None else max(0, len(self.chain) - 1 - depth)
        return self.chain[number] if number < len(self.chain) else None


def _pairing_gas(call: ContractCall) -> int:
    return 45_000 + 34_000 * (len(call.data) // 192)


def _hash(seed: bytes) -> Hash32:
    return Hash32(hashlib.sha256(seed).digest())


def _block_json(block: FakeBlock) -> dict[str, Any]:
    ref = block.ref
    return {
        "number": hex(ref.number),
        "hash": str(ref.hash),
        "parentHash": str(ref.parent_hash),
        "timestamp": hex(ref.timestamp),
        "logsBloom": "0x" + block.bloom.hex(),
        "transactions": [],
    }


def _log_json(log: Log) -> dict[str, Any]:
    return {
        "address": str(log.address),
        "topics": [str(topic) for topic in log.topics],
        "data": "0x" + log.data.hex(),
        "blockNumber": hex(log.block_number),
        "blockHash": str(log.block_hash),
        "transactionHash": str(log.transaction_hash),
        "transactionIndex": "0x0",
        "logIndex": hex(log.log_index),
        "removed": False,
    }
