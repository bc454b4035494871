"""One seed from its first block to the comparison with a run that nothing disturbed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from random import Random

from app.chain.reader import Header
from app.domain.market import Deployment
from app.errors import Fatal, Refused
from app.indexer.loop import Indexer
from app.store.postgres.engine import Database
from tests.fakes.protocol import ToyAdapter
from tests.indexer.running import QUICK, make_spec
from tests.indexer.tables import assert_same_tables
from tests.simulation.chain import FINALITY, SimulatedChain
from tests.simulation.clock import Mortal, Steps
from tests.simulation.ending import assert_same_ending
from tests.simulation.endpoints import SimulatedEndpoints, simulated_time
from tests.simulation.invariants import check
from tests.simulation.kinds import Kind, kind_of
from tests.simulation.node import SimulatedNode
from tests.simulation.store import Place, unavailable

LIVES = 8
_DEATH_WITHIN_STEPS = 90
_AWAITS_OF_A_STEP = 12
"""A step on the wire is a handful of waits: death comes at any of them."""
_SPEC = make_spec(finality_depth=FINALITY)
_OPTIONS = replace(
    QUICK,
    heartbeat_seconds=3600.0,  # nothing is done because time passes: a seed must do the same on every machine
    finality_seconds=3600.0,
    scan_seconds=3600.0,
    standby_seconds=0.001,
)
_SEED_SECONDS = 240.0
"""Whatever hangs without taking a step is ended by real time."""

_OLD_BLOCKS = 15
"""What there is before a cold start: more than any reorg takes away."""
_LAST_BLOCKS = 12
"""Followed in peace where only the end counts: in so many everything that is due is read."""

Heads = Callable[[], AsyncGenerator[Header, None]]
Broken = Callable[[], AbstractContextManager[None]]
"""Puts a defect into the code for as long as the context lasts."""


@dataclass
class Told:
    """What a seed did, for those who wonder what was tried."""

    lives: int = 0
    deaths: int = 0
    fatal: int = 0
    blocks: int = 0
    branches: int = 0
    steps: int = 0


async def run_seed(seed: int, troubled: Place, straight: Place, broken: Broken = nullcontext) -> Told:
    """Raise AssertionError, or whatever the indexer ended with, if the seed does not hold.

    `broken` is applied to the disturbed run alone: what it should have come to is found with the code as it is.
    """
    async with asyncio.timeout(_SEED_SECONDS):
        run = _Seed(seed, troubled, straight)
        with simulated_time(run.steps):
            return await run.run(broken)


class _Seed:
    def __init__(self, seed: int, troubled: Place, straight: Place) -> None:
        self._troubled, self._straight = troubled, straight
        self.steps = Steps()
        self._kind = kind_of(seed)
        self._chain = SimulatedChain(seed)
        self._node = self._make_node()
        self._random = Random(f"{seed} lives")
        self._store_random = Random(f"{seed} store")
        self._told = Told()

    def _make_node(self) -> SimulatedNode | SimulatedEndpoints:
        if self._kind is Kind.PLAIN:
            return SimulatedNode(self._chain, self.steps)
        return SimulatedEndpoints(self._chain, self.steps, self._troubled, 1 if self._kind is Kind.ALONE else 2)

    async def run(self, broken: Broken) -> Told:
        self._troubled.clear()
        self._straight.clear()
        self._troubled.living.trouble = self._trouble
        with broken():
            if self._kind is Kind.COLD:
                self._chain.grow_old(_OLD_BLOCKS)
            else:
                await self._follow(None)  # genesis, so that both runs begin with the same block
            self._chain.list_markets()
            self._node.troubled = True
            for _ in range(LIVES):
                await self._live()
            self._node.calm()
            self._chain.is_calm = not self._kind.keeps_history  # a pool that refuses at the end is not searched for
            self._chain.mine(1 if self._kind.keeps_history else _LAST_BLOCKS)
            self._chain.mine(max(b.ref.number for b in self._chain.blocks.values()) - self._chain.head.ref.number)
            await self._follow(None)
        await self._check()
        await self._compare()
        told, chain = self._told, self._chain
        told.blocks, told.branches, told.steps = len(chain.blocks), len(chain.abandoned), self.steps.taken
        return told

    async def _live(self) -> None:
        """The chain goes on and one process follows it, to its death or until it has arrived."""
        random, chain = self._random, self._chain
        chain.mine(random.randrange(1, 4))
        if random.random() < 0.25:
            chain.reorg(random.choice((1, 2, 3, 5, 8, FINALITY)))
        self._told.lives += 1
        await self._follow(random.randrange(_DEATH_WITHIN_STEPS) if random.random() < 0.7 else None)
        await self._check()

    async def _check(self) -> None:
        kind = self._kind
        await check(self._troubled, self._chain, keeps_history=kind.keeps_history, gaps=kind is Kind.PRUNED)

    async def _follow(self, death_in_steps: int | None) -> None:
        """One process, from nothing to the present head or to its death."""
        followed: tuple[Deployment, ...] = self._chain.deployments
        if self._kind is Kind.CHANGING and self._node.troubled:
            followed = self._random.choice((followed, followed[:1], followed[1:]))
        indexer = self._make_indexer(self._node, self._troubled.living, self._node.heads, followed)
        if self._kind is Kind.PRUNED and self._node.troubled:
            self._node.draw_pruning()
        self.steps.begin_life(death_in_steps)
        running = indexer.run_until(self._chain.head.ref.number, scanned=not self._node.troubled)
        # half of the deaths are those of a machine: then nothing is tidied up, the server just loses its connections
        die = self._troubled.end_connections if self._random.random() < 0.5 else lambda: None
        awaits = self._random.randrange(_AWAITS_OF_A_STEP)

        async def life() -> None:
            await Mortal(running, self.steps, awaits, die)

        task = asyncio.create_task(life())
        await asyncio.wait({task})
        self.steps.begin_life(None)
        if task.cancelled():
            self._told.deaths += 1
        elif (error := task.exception()) is not None:
            if self._node.troubled and isinstance(error, Fatal) and "invalid argument" in str(error):
                self._told.fatal += 1  # the node said that it does not know a method's parameters: that ends a process
            elif self._node.troubled and isinstance(error, Refused) and self._kind is Kind.COLD:
                self._told.fatal += 1  # the only deployment cannot be read and never was: that too
            else:
                raise error

    def _trouble(self, doing: str) -> None:
        """What the store does besides what it is asked for."""
        self.steps.count(doing)
        if not self._node.troubled:
            return
        dice = self._store_random.random()
        if dice < 0.015:
            raise unavailable(doing)
        if dice > 0.99:
            self._troubled.end_connections()

    async def _compare(self) -> None:
        """Index the chain as it ended, block by block, with nothing in the way, and hold both stores together."""
        self.steps.begin_life(None)
        replayed = SimulatedChain(self._chain.seed)
        replayed.blocks, replayed.canonical = self._chain.blocks, self._chain.canonical
        node = SimulatedNode(replayed, self.steps)
        indexer = self._make_indexer(node, self._straight.database, node.every_head, self._chain.deployments)
        await indexer.run_until(replayed.head.ref.number, scanned=True)
        if self._kind.keeps_history:
            assert_same_tables(self._troubled.dump(), self._straight.dump())
        else:
            await assert_same_ending(self._troubled, self._straight, self._chain.deployments)

    def _make_indexer(
        self,
        node: SimulatedNode | SimulatedEndpoints,
        database: Database,
        heads: Heads,
        deployments: tuple[Deployment, ...],
    ) -> Indexer:
        return Indexer(
            node.make_reader(_SPEC),
            database,
            _SPEC,
            deployments,
            heads,
            options=_OPTIONS,
            adapters=lambda _: ToyAdapter(),
        )
