"""Every protocol's made-up deployment, stored on one chain with many accounts about the line: of real adapters."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from app.domain.account import AccountSnapshot, LendingPosition, PerpPosition
from app.domain.batch import BlockBatch
from app.domain.chain import BlockRef
from app.protocols.aave_v3.rules import V3_0
from app.protocols.base import DeploymentState
from app.protocols.registry import adapters
from app.store.blocks import StoredBlock
from app.store.commit import commit_batch
from app.store.deployments import register_deployments
from app.store.postgres.engine import Database
from tests.fakes.site import block_ref, wallet
from tests.protocols.aave_v3.builders import DAI, DEPLOYMENT, USDC, WBTC, WETH, make_state
from tests.valuation.adapters import priced_case

OLD_AAVE = replace(DEPLOYMENT, id="aave-v3-old", address=wallet(12_345))
"""Truncates the average threshold."""
VARIANTS = 5
START = 1_750_000_200


def ref_at(number: int, timestamp: int = START) -> BlockRef:
    """A block at a time of one's own."""
    return replace(block_ref(number), timestamp=timestamp)


class Harbour:
    """The deployments' states, and their accounts: each of the made-up ones, with variants of other sizes."""

    def __init__(self, database: Database, seed: int = 1) -> None:
        self.database = database
        self.dice = random.Random(seed)
        self.states: dict[str, DeploymentState] = {}
        self.accounts: list[AccountSnapshot] = []
        for slug in adapters():
            case = priced_case(slug)
            self.states[case.state.deployment.id] = case.state
            for account in case.accounts:
                self.accounts += list(self._variants(account))
        old = replace(make_state(WETH, WBTC, USDC, DAI, rules=V3_0), deployment=OLD_AAVE)
        self.states[OLD_AAVE.id] = old
        for account in priced_case("aave-v3").accounts:
            moved = replace(account, key=replace(account.key, deployment_id=OLD_AAVE.id), params=(0,))
            self.accounts += list(self._variants(moved))

    async def commit(self, number: int, timestamp: int = START, *, accounts: bool = True) -> StoredBlock:
        """Everything as it is, at one block."""
        async with self.database.write() as session:
            await register_deployments(session, [state.deployment for state in self.states.values()])
        states = self.states.values()
        batch = BlockBatch(
            ref_at(number, timestamp),
            tuple(market for state in states for market in state.markets()),
            tuple(record for state in states for record in state.records()),
            tuple(replace(one, block_number=number) for one in self.accounts) if accounts else (),
        )
        async with self.database.write() as session:
            return await commit_batch(session, batch)

    def _variants(self, account: AccountSnapshot) -> Iterator[AccountSnapshot]:
        for number in range(VARIANTS + 1):
            held, perps = account.positions, account.perps
            if number:
                held = tuple(self._resized(one) for one in held)
                perps = tuple(self._resized_perp(one) for one in perps)
            holder = wallet(len(self.accounts) + number)
            yield replace(account, key=replace(account.key, wallet=holder), positions=held, perps=perps)

    def _resized(self, one: LendingPosition) -> LendingPosition:
        supplied, borrowed = (raw * self.dice.randrange(70, 140) // 100 for raw in (one.supplied_raw, one.borrowed_raw))
        return replace(one, supplied_raw=supplied, borrowed_raw=borrowed)

    def _resized_perp(self, one: PerpPosition) -> PerpPosition:
        size, percent = one.size_raw, self.dice.randrange(50, 200)
        return replace(one, size_raw=size * percent // 100, entry_notional_raw=one.entry_notional_raw * percent // 100)
