"""The chain of one seed: random life, forks that stay known, and how far any reader can have fallen behind it."""

from __future__ import annotations

from random import Random

from app.domain.chain import Address, BlockRef, Hash32
from app.domain.market import Deployment
from tests.fakes.protocol import POOL, SECOND_POOL, ModelState, toy_deployment
from tests.indexer.model import Draft, ModelBlock, ModelChain, address
from tests.simulation.kinds import Kind, kind_of

FINALITY = 10
"""The deepest reorg the simulated chain makes, and the deepest that is followed."""

FIRST = toy_deployment()
SECOND = toy_deployment(id="toy-second", address=SECOND_POOL)


class SimulatedChain(ModelChain):
    """A model chain of one or two pools that remembers the branches it left."""

    def __init__(self, seed: int) -> None:
        two = seed % 3 == 0 or kind_of(seed) is Kind.CHANGING
        self.deployments: tuple[Deployment, ...] = (FIRST, SECOND) if two else (FIRST,)
        self.abandoned: list[list[ModelBlock]] = []
        """Branches that were canonical once, newest last; each from genesis on."""
        self.is_calm = False
        """Whether no pool refuses to be read any more, from the next block on."""
        super().__init__(seed, wallets=6, quiet=seed % 2 == 0)
        self._pools = Random(f"{seed} pools")

    def grow_old(self, blocks: int) -> None:
        """Have a past: in each of so many blocks a wallet takes a position that no later log may ever name."""
        for number in range(blocks):
            market = next(iter(self.head.state.markets))
            self.mine(change=lambda draft, n=number, m=market: draft.hold(address(f"sleeper {n}"), m, 10**6 + n, n))

    def list_markets(self) -> None:
        """On two chains of three, let several markets emit from the first block on."""
        if self.seed % 3:
            for number in (1, 2):
                self.mine(change=lambda draft, number=number: draft.list_market(address(f"market {number}")))

    def reorg(self, depth: int) -> None:
        """Replace the newest `depth` blocks, at most as many as finality allows, and never genesis."""
        depth = min(depth, FINALITY, len(self.canonical) - 1)
        if depth > 0:
            self.abandoned = [*self.abandoned[-3:], list(self.canonical)]
            super().reorg(depth)

    def stale(self, random: Random) -> list[ModelBlock]:
        """A branch a node may still be on: an abandoned one, as long as the fork from it is not final."""
        near = [branch for branch in self.abandoned if self._fork_depth(branch) <= FINALITY]
        return random.choice(near) if near else self.canonical

    def touched_line(self, newest: Hash32) -> list[ModelBlock]:
        """The blocks from genesis to the one with this hash, whatever branch it is on."""
        line = [self.blocks[newest]]
        while line[-1].ref.number:
            line.append(self.blocks[line[-1].ref.parent_hash])
        return line[::-1]

    def _fork_depth(self, branch: list[ModelBlock]) -> int:
        common = 0
        for ours, theirs in zip(self.canonical, branch, strict=False):
            if ours.ref.hash != theirs.ref.hash:
                break
            common += 1
        return max(len(self.canonical), len(branch)) - common

    def _append(
        self, state: ModelState, logs: list[tuple[Address, tuple[Hash32, ...]]], parent: BlockRef | None
    ) -> None:
        if len(self.deployments) > 1:  # both pools say what is said of the markets they share
            logs = [*logs, *((SECOND_POOL, topics) for emitter, topics in logs if emitter == POOL)]
        super()._append(state, logs, parent)

    def _live_quietly(self, draft: Draft) -> None:
        super()._live_quietly(draft)
        if self.is_calm:
            draft.refuse()
        elif draft.state.refusing and len(self.deployments) > 1 and self._pools.random() < 0.5:
            draft.refuse(self._pools.choice((POOL, SECOND_POOL)))
