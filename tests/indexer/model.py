"""A model chain whose every block is known exactly, and a reader of it that can be made to fail at any call."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.chain.faults import BlockGone, Pruned
from app.chain.reader import Header
from app.domain.chain import Address, BlockRef, CallResult, Hash32, Log, LogFilter, ReadPlan
from tests.fakes.protocol import LISTED, MOVED, POOL, REPRICED_RULES, Holding, ModelMarket, ModelState

CHAIN_ID = 31337
GENESIS_TIME = 1_700_000_000


def address(label: str) -> Address:
    """A stable address for a name."""
    return Address(hashlib.sha256(label.encode()).digest()[:20])


@dataclass(frozen=True, slots=True)
class ModelBlock:
    """One block: where it is, what it emitted, what the contracts hold after it."""

    ref: BlockRef
    logs: tuple[Log, ...]
    state: ModelState


@dataclass
class ModelChain:
    """A chain of model blocks with random life from one seed, forks included."""

    seed: int
    wallets: int = 12
    quiet: bool = False
    """With changes that no log tells of, and a pool that stops answering now and then."""
    blocks: dict[Hash32, ModelBlock] = field(default_factory=dict)
    canonical: list[ModelBlock] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._quiet_random = random.Random(f"{self.seed} quiet")  # its own: the other life stays as it is
        self._names = 0
        first = address("market 0")
        state = ModelState({first: ModelMarket(100, 10**6, GENESIS_TIME, 8000)}, {})
        self._append(state, [], parent=None)

    @property
    def head(self) -> ModelBlock:
        """The newest canonical block."""
        return self.canonical[-1]

    def mine(self, count: int = 1, change: Callable[[Draft], None] | None = None) -> ModelBlock:
        """Add blocks of random life, or one with exactly what `change` does to its draft."""
        for _ in range(count):
            draft = Draft(self.head.state, self.head.ref.timestamp + 1)
            if change is not None:
                change(draft)
            else:
                self._live(draft)
                if self.quiet:
                    self._live_quietly(draft)
            self._append(draft.state, draft.logs, parent=self.head.ref)
        return self.head

    def reorg(self, depth: int) -> None:
        """Drop the newest `depth` blocks and put as many other ones in their place."""
        del self.canonical[-depth:]
        self.mine(depth)

    def truncate(self, depth: int) -> None:
        """Drop the newest `depth` blocks: a node that fell back."""
        del self.canonical[-depth:]

    def is_canonical(self, ref: BlockRef) -> bool:
        """Whether the block is on the present chain."""
        return ref.number < len(self.canonical) and self.canonical[ref.number].ref.hash == ref.hash

    def _append(
        self, state: ModelState, logs: list[tuple[Address, tuple[Hash32, ...]]], parent: BlockRef | None
    ) -> None:
        number = parent.number + 1 if parent else 0
        self._names += 1
        name = Hash32(hashlib.sha256(f"{self.seed}/{number}/{self._names}".encode()).digest())
        ref = BlockRef(CHAIN_ID, number, name, parent.hash if parent else Hash32(bytes(32)), GENESIS_TIME + number)
        block = ModelBlock(
            ref,
            tuple(Log(a, topics, b"", number, name, name, index) for index, (a, topics) in enumerate(logs)),
            state,
        )
        self.blocks[name] = block
        self.canonical.append(block)

    def _live(self, draft: Draft) -> None:
        rng = self._random
        for _ in range(rng.randrange(4)):
            markets = list(draft.state.markets)
            wallet, market = address(f"wallet {rng.randrange(self.wallets)}"), rng.choice(markets)
            supplied, borrowed = rng.choice([0, rng.randrange(10**9)]), rng.choice([0, rng.randrange(10**9)])
            draft.hold(wallet, market, supplied, borrowed, flag=bool(supplied) and rng.random() < 0.7)
        for market in list(draft.state.markets):
            if rng.random() < 0.5:
                draft.price(market, None if rng.random() < 0.05 else rng.randrange(50, 150))
        if rng.random() < 0.05:
            new = address(f"market {len(draft.state.markets)}")
            draft.list_market(new)
            draft.hold(address(f"wallet {rng.randrange(self.wallets)}"), new, 10**6, 0)
        if rng.random() < 0.03:
            draft.flip_rounding()
        if rng.random() < 0.1:
            draft.break_wallet(address(f"wallet {rng.randrange(self.wallets)}"))
        if rng.random() < 0.2:
            for wallet in sorted(draft.state.broken):
                draft.mend(wallet)

    def _live_quietly(self, draft: Draft) -> None:
        """What nobody is told of. Holdings are shifted in blocks without a log only: then the count gives it away."""
        rng = self._quiet_random
        held = sorted(name for name, one in draft.state.holdings.items() if one.supplied or one.borrowed or one.flag)
        if not draft.logs and len(held) > 1 and rng.random() < 0.8:
            (source, market), (target, other) = rng.sample(held, 2)
            draft.shift(source, target, market if rng.random() < 0.5 else other, rng.randrange(10**6))
        if draft.logs and rng.random() < 0.1:
            wallet, market = rng.choice(sorted(draft.state.holdings) or [(address("wallet 0"), address("market 0"))])
            draft.hold(wallet, market, rng.randrange(1, 10**6), 0, flag=True, drifts=rng.random() < 0.7)
        draft.drift(lambda: rng.choice((0, rng.randrange(10**6))))
        if rng.random() < (0.4 if draft.state.refusing else 0.04):
            draft.refuse(*(() if draft.state.refusing else (POOL,)))


class Draft:
    """A block being made: each method changes the state and emits the log the contract would."""

    def __init__(self, state: ModelState, timestamp: int) -> None:
        self.state = state
        self.timestamp = timestamp
        self.logs: list[tuple[Address, tuple[Hash32, ...]]] = []

    def hold(
        self, wallet: Address, market: Address, supplied: int, borrowed: int, flag: bool = False, drifts: bool = False
    ) -> None:
        """Set a wallet's holding in a market, accruing the market's index on the way."""
        self._set(wallet, market, Holding(supplied, borrowed, flag, drifts))
        self.state = replace(self.state, changes=self.state.changes + 1)
        self.logs.append((market, (MOVED, Hash32(wallet.rjust(32, b"\0")))))
        now = self.state.markets[market]
        index = now.index + 7 * (self.timestamp - now.updated_at)
        self._market(market, replace(now, index=index, updated_at=self.timestamp))

    def shift(self, source: Address, target: Address, market: Address, amount: int) -> None:
        """Move debt in a market from one wallet to another, which no log tells of."""
        owed, other = (self.state.holdings.get((wallet, market), Holding()) for wallet in (source, target))
        moved = min(owed.borrowed, amount)
        self._set(source, market, replace(owed, borrowed=owed.borrowed - moved))
        self._set(target, market, replace(other, borrowed=other.borrowed + moved))
        self.state = replace(self.state, changes=self.state.changes + 1)

    def drift(self, draw: Callable[[], int]) -> None:
        """Give every holding that drifts another amount."""
        for (wallet, market), held in self.state.holdings.items():
            if held.drifts:
                self._set(wallet, market, replace(held, supplied=draw() or held.supplied))

    def refuse(self, *pools: Address) -> None:
        """Let the views of these pools answer nothing, and those of the others something again."""
        self.state = replace(self.state, refusing=frozenset(pools))

    def price(self, market: Address, price: int | None) -> None:
        """Move an oracle price: no log, as with real oracles behind a proxy."""
        self._market(market, replace(self.state.markets[market], price=price))

    def list_market(self, market: Address) -> None:
        """Add a market, which emits from its own address from now on."""
        self._market(market, ModelMarket(100, 10**6, self.timestamp, 7000))
        self.logs.append((POOL, (LISTED, Hash32(market.rjust(32, b"\0")))))

    def flip_rounding(self) -> None:
        """Upgrade the pool to code that rounds the other way."""
        self.state = replace(self.state, rounds_up=not self.state.rounds_up)
        self.logs.append((POOL, (REPRICED_RULES,)))

    def break_wallet(self, wallet: Address) -> None:
        """Make the wallet's holdings unreadable, and touch it so that somebody looks."""
        self.state = replace(self.state, broken=self.state.broken | {wallet})
        self.logs.append((next(iter(self.state.markets)), (MOVED, Hash32(wallet.rjust(32, b"\0")))))

    def mend(self, wallet: Address, *, silently: bool = False) -> None:
        """Make the wallet readable again; with a log that touches it unless `silently`."""
        self.state = replace(self.state, broken=self.state.broken - {wallet})
        if not silently:
            self.logs.append((next(iter(self.state.markets)), (MOVED, Hash32(wallet.rjust(32, b"\0")))))

    def _set(self, wallet: Address, market: Address, held: Holding) -> None:
        self.state = replace(self.state, holdings={**self.state.holdings, (wallet, market): held})

    def _market(self, market: Address, value: ModelMarket) -> None:
        self.state = replace(self.state, markets={**self.state.markets, market: value})


class ModelReader:
    """Reads a `ModelChain` as `ChainReader` reads a node. `fault` runs before every call and may raise."""

    chain_id = CHAIN_ID

    def __init__(self, chain: ModelChain, fault: Callable[[str], None] = lambda _: None) -> None:
        self.chain = chain
        self.fault = fault
        self.finality_lag = 64
        self.pruned_below = 0
        """Blocks below this have no state any more."""
        self.calls: list[tuple[str, Any]] = []

    async def verify(self) -> None:
        """Nothing to verify about a model."""

    async def aclose(self) -> None:
        """Nothing to close."""

    async def fetch_header(self, at: int | str | Hash32) -> Header | None:
        """The header, or None for what is not (or no longer) there."""
        await self._called("fetch_header", at)
        canonical = self.chain.canonical
        if isinstance(at, Hash32):
            block = self.chain.blocks.get(at)
        elif isinstance(at, int):
            block = canonical[at] if at < len(canonical) else None
        elif at == "latest":
            block = canonical[-1]
        else:
            block = canonical[max(0, len(canonical) - 1 - self.finality_lag)]
        return Header(block.ref, b"\xff" * 256) if block else None

    async def fetch_block_logs(self, header: Header, log_filter: LogFilter) -> list[Log]:
        """Logs of one block by its hash."""
        await self._called("fetch_block_logs", header.block.number)
        return [log for log in self._pinned(header.block).logs if log_filter.matches(log)]

    async def fetch_logs(self, log_filter: LogFilter, from_block: int, to_block: int) -> list[Log]:
        """Logs of a range of the present chain."""
        await self._called("fetch_logs", (from_block, to_block))
        found = self.chain.canonical[from_block : to_block + 1]
        return [log for block in found for log in block.logs if log_filter.matches(log)]

    async def read(self, plan: ReadPlan[Any], block: BlockRef) -> Any:
        """One plan at one block."""
        return (await self.read_all([plan], block))[0]

    async def read_all(
        self, plans: Sequence[ReadPlan[Any]], block: BlockRef, meanwhile: Awaitable[object] | None = None
    ) -> list[Any]:
        """Plans in lock-step, one fault point a round."""
        results: list[Any] = [None] * len(plans)
        answers: dict[int, list[CallResult] | None] = dict.fromkeys(range(len(plans)))
        while answers:
            await self._called("read", block.number)
            state = self._pinned(block).state
            nxt: dict[int, list[CallResult] | None] = {}
            for place, given in answers.items():
                plan = plans[place]
                try:
                    calls = plan.send(given) if given is not None else next(plan)
                except StopIteration as stop:
                    results[place] = stop.value
                else:
                    nxt[place] = [state.answer(call, block.timestamp) for call in calls]
            answers = nxt
            if meanwhile is not None:
                await meanwhile
        return results

    def _pinned(self, ref: BlockRef) -> ModelBlock:
        if not self.chain.is_canonical(ref):
            raise BlockGone(f"block {ref.number} is gone")
        if ref.number < self.pruned_below:
            raise Pruned(f"block {ref.number} has no state any more")
        return self.chain.blocks[ref.hash]

    async def _called(self, method: str, what: Any) -> None:
        self.calls.append((method, what))
        await asyncio.sleep(0)
        self.fault(method)
