"""The devnet's chain as its builder sees it: queue transactions, mine them, know what became of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from eth_utils.crypto import keccak
from multicall.constants import MULTICALL3_BYTECODE

from app.domain.chain import Address, CallResult, ContractCall, Hash32, Returned, Reverted
from app.errors import Fatal
from devnet.artifacts import Artifact
from devnet.codec import Value, aggregate_data, arguments_data, call_data, created_address
from devnet.node import Json, NodeClient, NodeError, integer

MULTICALL3 = Address.from_hex("0xcA11bde05977b3631167028862bE2a173976CA11")
MULTICALL3_CODE_HASH = "d5c15df687b16f2ff992fc8d767b4216323184a2bbc6ee2f9c398c318e770891"
CALL_GAS = 2_000_000_000
CALLS_PER_ROUND = 1500


class TransactionFailed(Fatal):
    """A transaction that must succeed did not."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A queued transaction: what it is for, and whether its failure is a failure of the devnet."""

    hash: str
    label: str
    must_succeed: bool


@dataclass(frozen=True, slots=True)
class Mined:
    """One block of ours and the outcome of each of its transactions, in the order they were sent."""

    number: int
    hash: Hash32
    timestamp: int
    outcomes: tuple[tuple[Sent, bool], ...]
    logs: tuple[dict[str, Json], ...] = field(repr=False, default=())

    @property
    def refused(self) -> list[str]:
        """Labels of the transactions that reverted."""
        return [sent.label for sent, succeeded in self.outcomes if not succeeded]


class DevChain:
    """Sends as anybody. Blocks come only from `mine`, at timestamps given or `block_seconds` apart."""

    def __init__(self, client: NodeClient, block_seconds: int) -> None:
        self.client = client
        self.block_seconds = block_seconds
        self.number = 0
        self.timestamp = 0
        self._nonces: dict[Address, int] = {}
        self._queue: list[Sent] = []
        self.resync()

    def install_multicall(self) -> None:
        """Put the canonical Multicall3 at its canonical address: Anvil does not bring it."""
        code = bytes.fromhex(MULTICALL3_BYTECODE.removeprefix("0x"))
        if keccak(code).hex() != MULTICALL3_CODE_HASH:
            raise Fatal("the multicall package's Multicall3 is not the canonical one")
        self.client.call("anvil_setCode", str(MULTICALL3), "0x" + code.hex())

    def send(
        self, sender: Address, to: Address, data: bytes, *, gas: int, label: str = "", must_succeed: bool = True
    ) -> None:
        """Queue a transaction for the next block."""
        self._submit(sender, {"to": str(to), "data": "0x" + data.hex()}, gas, label, must_succeed)

    def execute(self, sender: Address, to: Address, signature: str, *arguments: Value, gas: int = 5_000_000) -> None:
        """`send` of a call that must succeed, by signature."""
        self.send(sender, to, call_data(signature, *arguments), gas=gas, label=f"{signature} at {to}")

    def deploy(
        self,
        sender: Address,
        artifact: Artifact,
        types: Sequence[str] = (),
        *arguments: Value,
        libraries: Mapping[str, Address] | None = None,
    ) -> Address:
        """Queue a deployment; the address is known at once, the code is there after the next block."""
        code = artifact.linked(libraries or {}) + arguments_data(types, *arguments)
        address = created_address(sender, self._nonce(sender))
        self._submit(sender, {"data": "0x" + code.hex()}, 30_000_000, f"deploy {artifact.name}", True)
        return address

    def mine(self, timestamp: int | None = None) -> Mined:
        """Mine what is queued into one block.

        Raises:
            TransactionFailed: one that must succeed reverted, or did not get into the block.
        NodeError: the node refused, or somebody took the block away before its receipts were read.
        """
        timestamp = self.timestamp + self.block_seconds if timestamp is None else timestamp
        self.client.call("evm_setNextBlockTimestamp", timestamp)
        self.client.call("evm_mine")
        block = self.client.record("eth_getBlockByNumber", "latest", False)
        self.number, self.timestamp = integer(block["number"]), integer(block["timestamp"])
        receipts = self.client.rows("eth_getBlockReceipts", "latest") if self._queue else []
        queue, self._queue = self._queue, []
        by_hash = {row["transactionHash"]: row for row in receipts if isinstance(row, dict)}
        outcomes = []
        for sent in queue:
            receipt = by_hash.get(sent.hash)
            succeeded = receipt is not None and integer(receipt["status"]) == 1
            if sent.must_succeed and not succeeded:
                raise TransactionFailed(f"{sent.label}: {self._why(sent, receipt is not None)}")
            outcomes.append((sent, succeeded))
        logs = tuple(
            log for row in receipts if isinstance(row, dict) for log in _list(row["logs"]) if isinstance(log, dict)
        )
        return Mined(self.number, Hash32.from_hex(str(block["hash"])), self.timestamp, tuple(outcomes), logs)

    def call(
        self,
        to: Address,
        signature: str,
        *arguments: Value,
        sender: Address | None = None,
        block_number: int | None = None,
    ) -> bytes:
        """The answer of a view call.

        Raises:
            TransactionFailed: it reverted.
        """
        result = self.try_call(ContractCall(to, call_data(signature, *arguments)), sender, block_number)
        if isinstance(result, Reverted):
            raise TransactionFailed(f"{signature} at {to} reverted: 0x{result.data.hex()}")
        return result.data

    def try_call(
        self, call: ContractCall, sender: Address | None = None, block_number: int | None = None
    ) -> CallResult:
        """What one call would do; a revert is a value."""
        request: dict[str, Json] = {"to": str(call.target), "data": "0x" + call.data.hex(), "gas": hex(CALL_GAS)}
        if sender is not None:
            request["from"] = str(sender)
        try:
            tag = "latest" if block_number is None else hex(block_number)
            return Returned(bytes.fromhex(self.client.text("eth_call", request, tag)[2:]))
        except NodeError as error:
            if error.code != 3 and "revert" not in error.reason.lower():
                raise
            data = error.data if isinstance(error.data, str) else "0x"
            return Reverted(bytes.fromhex(data[2:]))

    def read(self, calls: Sequence[ContractCall], block_number: int | None = None) -> list[CallResult]:
        """All `calls` at one block by Multicall3, in order."""
        results: list[CallResult] = []
        for start in range(0, len(calls), CALLS_PER_ROUND):
            chunk = calls[start : start + CALLS_PER_ROUND]
            request = ContractCall(MULTICALL3, aggregate_data(chunk, may_fail=True))
            answer = self.try_call(request, block_number=block_number)
            if isinstance(answer, Reverted):
                raise Fatal(f"Multicall3 itself reverted: 0x{answer.data.hex()}")
            results += _aggregate3_results(answer.data, len(chunk))
        return results

    def rollback(self, depth: int) -> None:
        """Take the newest `depth` blocks away; the next one comes a second later than the first of them did."""
        self.client.call("anvil_rollback", depth)
        self.resync()
        self.timestamp += 1

    def reorg(self, depth: int) -> None:
        """Replace the newest `depth` blocks by empty ones in one go."""
        # without an interval the node gives all of them one timestamp, which no real chain does
        self.client.call("anvil_setBlockTimestampInterval", self.block_seconds + 1)
        try:
            self.client.call("anvil_reorg", depth, [])
        finally:
            self.client.call("anvil_removeBlockTimestampInterval")
        self.resync()

    def resync(self) -> None:
        """Forget what was assumed of the chain: after a revert, a rollback or a reorg, ours or somebody else's."""
        self._nonces.clear()
        self._queue.clear()
        block = self.client.record("eth_getBlockByNumber", "latest", False)
        self.number, self.timestamp = integer(block["number"]), integer(block["timestamp"])

    def start_over(self) -> None:
        """Drop what waits to be mined, ours and that of blocks taken away, and look at the chain anew."""
        self.client.call("anvil_dropAllTransactions")
        self.resync()

    def _submit(self, sender: Address, fields: dict[str, Json], gas: int, label: str, must_succeed: bool) -> None:
        nonce = self._nonce(sender)
        # gasPrice is explicit: left out, the node fills in a tip that its own zero base fee then refuses
        request: dict[str, Json] = {
            "from": str(sender),
            "gas": hex(gas),
            "gasPrice": "0x0",
            "nonce": hex(nonce),
            **fields,
        }
        self._queue.append(Sent(self.client.text("eth_sendTransaction", request), label, must_succeed))
        self._nonces[sender] = nonce + 1

    def _nonce(self, sender: Address) -> int:
        if sender not in self._nonces:
            self._nonces[sender] = self.client.quantity("eth_getTransactionCount", str(sender), "pending")
        return self._nonces[sender]

    def _why(self, sent: Sent, mined: bool) -> str:
        if not mined:
            return "was not taken into the block"
        transaction = self.client.record("eth_getTransactionByHash", sent.hash)
        call = ContractCall(Address.from_hex(str(transaction["to"])), bytes.fromhex(str(transaction["input"])[2:]))
        result = self.try_call(call, Address.from_hex(str(transaction["from"])), self.number - 1)
        return f"reverted: 0x{result.data.hex()}" if isinstance(result, Reverted) else "reverted"


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _aggregate3_results(data: bytes, expected: int) -> list[CallResult]:
    """Read `(bool,bytes)[]` by its offsets: many times faster than the general decoder."""

    def word(position: int) -> int:
        return int.from_bytes(data[position : position + 32])

    if word(32) != expected:
        raise Fatal(f"Multicall3 answered {word(32)} of {expected} calls")
    results: list[CallResult] = []
    for index in range(expected):
        start = 64 + word(64 + 32 * index)
        inner = start + word(start + 32)
        body = data[inner + 32 : inner + 32 + word(inner)]
        results.append(Returned(body) if word(start) else Reverted(body))
    return results
