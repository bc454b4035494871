"""The node of the simulated chain: JSON-RPC at the transport seam, with the faults, lies and lags of one seed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from random import Random
from typing import Any

from app.chain.bloom import make_bloom
from app.chain.reader import ChainReader, Header
from app.chain.rpc import RetryPolicy, Rpc
from app.chain.transport import HttpReply
from app.domain.chain import CallResult, ContractCall, Hash32
from app.domain.specs import ChainSpec
from tests.fakes.node import URL, FakeBlock, FakeNode, NodeSays
from tests.indexer.model import CHAIN_ID, ModelBlock
from tests.simulation.chain import FINALITY, SimulatedChain
from tests.simulation.clock import Steps
from tests.simulation.faults import draw_fault, lie_about_logs

_HASTY = RetryPolicy(attempts=2, first_pause_seconds=0, longest_pause_seconds=0)


class SimulatedNode(FakeNode):
    """Answers about a `SimulatedChain`. While `troubled` it fails, lies and lags, and the chain moves meanwhile."""

    def __init__(self, model: SimulatedChain, steps: Steps, *, name: str = "node") -> None:
        self.model = model
        self._steps = steps
        self._made: dict[Hash32, FakeBlock] = {}
        self.troubled = False
        self.is_pooled = False
        """Whether a pool of endpoints stands before it."""
        self.keeps_states: int | None = None
        """It answers calls at so many of the newest blocks only."""
        self._is_asked_by_number = False
        self._random = Random(f"{model.seed} {name}")
        super().__init__(CHAIN_ID, [], {})
        self._look(model.canonical)

    def mine(self, *_: object) -> Any:
        """The model is what is mined."""

    def make_reader(self, spec: ChainSpec) -> ChainReader:
        """A reader of this node as a new process has it, which knows nothing of the node's limits yet."""
        self.draw_traits()
        return ChainReader(Rpc(URL, post=self.post, policy=_HASTY), spec)

    def draw_traits(self) -> None:
        """Bear other amounts than before, while troubled."""
        if self.troubled:
            draw = self._random.choice
            self.widest_range = draw((None, None, 1, 2, 5))
            least = 2_000_000 if self.is_pooled else 4_000_000  # many chunks a read, for more failures between two
            self.gas_limit = draw((None, least, least, 6_000_000, 30_000_000))
            gas = draw((30_000, 150_000, 400_000))
            self.gas_of = lambda _: gas
            self.knows_block_hash_parameter = draw((True, True, True, False))

    def draw_pruning(self) -> None:
        """Throw states away, soon or never."""
        self.keeps_states = self._random.choice((None, 1, 2, 3))

    def calm(self) -> None:
        """From now on nothing but the truth."""
        self.troubled = False
        self.widest_range = self.gas_limit = self.keeps_states = None
        self.knows_block_hash_parameter = True

    async def heads(self) -> AsyncGenerator[Header, None]:
        """Heads as a socket brings them: late, skipped, twice, and of branches that were left."""
        while True:
            yield self.newest()
            self._steps.count("head")
            await asyncio.sleep(0)

    def newest(self) -> Header:
        """The head as this node has it just now."""
        branch = self.model.canonical
        if self.troubled:
            dice = self._random.random()
            if dice < 0.1:
                branch = self.model.stale(self._random)
            if dice > 0.85:
                branch = branch[: max(1, len(branch) - self._random.randrange(1, 4))]
        block = self._block(branch[-1])
        return Header(block.ref, block.bloom)

    async def every_head(self) -> AsyncGenerator[Header, None]:
        """Each block in turn, from genesis on."""
        for model in self.model.canonical:
            block = self._block(model)
            yield Header(block.ref, block.bloom)

    async def post(self, body: bytes) -> HttpReply:
        self._steps.count("request")
        self._look(self.model.canonical)
        self.requests.clear()
        if b"eth_call" in body:
            self._is_asked_by_number = b"blockHash" not in body
        if not self.troubled:
            return await super().post(body)
        random = self._random
        dice = random.random()
        if dice < 0.03:
            method = next(name for name in _METHODS if name.encode() in body)
            self.faults.append((method, draw_fault(method, random, pooled=self.is_pooled)))
        elif dice < 0.065 and self._is_proven(body):
            self._look(self.model.stale(random))  # another backend behind the same address
        elif dice < 0.08 and self._is_proven(body):
            self._look(self.model.canonical[: -random.randrange(1, 4)] or self.model.canonical)
        elif dice < 0.09:
            self._move()
        if b"eth_getLogs" in body and random.random() < 0.08:
            self.lies["eth_getLogs"] = lambda params, logs: lie_about_logs(params, logs, random)
        try:
            reply = await super().post(body)
        finally:
            self.faults.clear()
            self.lies.clear()
        if dice > 0.99:
            self._move()  # the answer was long on its way
        elif dice > 0.97:
            await asyncio.sleep(0)
        return reply

    def _is_proven(self, body: bytes) -> bool:
        """Whether a backend on another branch gives itself away. State and logs asked for by number it gives of its
        own branch, and nothing in them says so; the header that is to confirm them may come from another backend. An
        address with such backends and without EIP-1898 cannot be followed."""
        by_number = self._is_asked_by_number and b"eth_getBlockByNumber" in body
        return b"blockHash" in body or (b"eth_getBlock" in body and not by_number)

    def _state_at(self, at: Any) -> FakeBlock:
        block = super()._state_at(at)
        if self.keeps_states is not None and self.chain[-1].ref.number - block.ref.number >= self.keeps_states:
            raise NodeSays(-32000, "missing trie node 8bb0 (path ) state 0xbd is not available, not found")
        return block

    def _move(self) -> None:
        """The chain goes on: mostly by a block, now and then otherwise."""
        if self._random.random() < 0.5:
            self.model.reorg(self._random.choice((1, 1, 2, 3, 5, FINALITY)))
        else:
            self.model.mine()

    def _look(self, branch: list[ModelBlock]) -> None:
        """Serve this branch as canonical, and every block ever mined by its hash."""
        self.chain = [self._block(block) for block in branch]
        if len(self._made) < len(self.model.blocks):
            for block in list(self.model.blocks.values()):
                self._block(block)
        self.known = self._made

    def _block(self, block: ModelBlock) -> FakeBlock:
        made = self._made.get(block.ref.hash)
        if made is None:
            state, timestamp = block.state, block.ref.timestamp

            def answers(call: ContractCall) -> CallResult:
                return state.answer(call, timestamp)

            bloom = make_bloom(item for log in block.logs for item in (log.address, *log.topics))
            made = self._made[block.ref.hash] = FakeBlock(block.ref, block.logs, answers, bloom)
        return made


_METHODS = (
    "eth_call",
    "eth_getLogs",
    "eth_getBlockByHash",
    "eth_getBlockByNumber",
    "eth_chainId",
    "eth_getCode",
    "eth_syncing",
)
