"""A chain for the watchlists' benchmark: a large Aave market in a store, whose accounts stand as a share of them near
the line as is asked for, and which goes on block by block."""

from __future__ import annotations

import random
from dataclasses import replace

from app.book import Keeper, Reading
from app.domain.account import AccountKey, AccountSnapshot, LendingPosition
from app.domain.batch import BlockBatch
from app.domain.chain import Address, BlockRef, Hash32
from app.protocols.aave_v3.raw import Price
from app.store.blocks import StoredBlock
from app.store.commit import commit_batch
from app.store.deployments import register_deployments
from app.store.postgres.engine import Database
from tests.protocols.aave_v3.builders import DEPLOYMENT, NOW, Listed, make_raw, make_state

CHAIN = DEPLOYMENT.chain_id
RESERVES = 40
CHANGED = 50
"""Accounts a block changes."""
_GROUPS = ("weth", "wsteth", "wbtc", "usdc", "dai", "link")
_PART = 20_000


class WatchWorld:
    """The store, and a keeper that follows it."""

    def __init__(self, database: Database, accounts: int, share_near: float) -> None:
        """
        Args:
            database: An empty, migrated store.
            accounts: How many owe something.
            share_near: Of them: with a health factor below 1.05, down to 0.995; all others' are above, up to 4.
        """
        self.database, self._near = database, share_near
        self._dice = random.Random(1)
        self._reserves = [self._reserve(number) for number in range(RESERVES)]
        self._raw = make_raw(*self._reserves)
        self._number = 0
        self.accounts = [self._account(number) for number in range(accounts)]
        self.keeper = Keeper(database, CHAIN)
        self.at: StoredBlock | None = None

    async def load(self) -> None:
        """Store everybody, and make the book."""
        async with self.database.write() as session:
            await register_deployments(session, [DEPLOYMENT])
        for first in range(0, len(self.accounts), _PART):
            self.at = await self._commit(self.accounts[first : first + _PART])
        assert self.at is not None
        await self.keeper.load(self.at)

    async def next_block(self) -> Reading:
        """One block on: every price a little elsewhere, some accounts changed."""
        dice = self._dice
        prices = {
            code: Price((price.value or 0) * dice.randrange(9_990, 10_011) // 10_000, NOW)
            for code, price in self._raw.prices.items()
        }
        self._raw = replace(self._raw, prices=prices)
        changed = [self._account(dice.randrange(len(self.accounts))) for _ in range(CHANGED)]
        distinct = {account.key: account for account in changed}
        await self.keeper.advance(await self._commit(list(distinct.values())))
        return await self.keeper.read()

    async def _commit(self, accounts: list[AccountSnapshot]) -> StoredBlock:
        self._number += 1
        state = make_state(raw=self._raw)
        ref = BlockRef(CHAIN, self._number, _hash(self._number), _hash(self._number - 1), NOW + self._number)
        batch = BlockBatch(ref, state.markets(), state.records(), tuple(accounts))
        async with self.database.write() as session:
            return await commit_batch(session, batch)

    def _reserve(self, number: int) -> Listed:
        name = _GROUPS[number] if number < len(_GROUPS) else f"t{number}"
        price = max(10**6, int(self._dice.lognormvariate(3, 2) * 10**8))
        return Listed(name, price, threshold=self._dice.randrange(6000, 9500))

    def _account(self, number: int) -> AccountSnapshot:
        """1 to 4 reserves held, 1 to 3 owed, the first ones most often."""
        dice = self._dice
        held = self._chosen(dice.choices((1, 2, 3, 4), (45, 35, 15, 5))[0])
        owed = [one for one in self._chosen(dice.choices((1, 2, 3), (80, 15, 5))[0]) if one not in held]
        owed = owed or [next(one for one in self._reserves if one not in held)]
        worth = {one: dice.lognormvariate(8, 2) for one in held}
        capacity = sum(value * one.threshold / 10_000 for one, value in worth.items())
        low, high = (1 / 1.05, 1 / 0.995) if dice.random() < self._near else (0.25, 1 / 1.05)
        debt = capacity * dice.uniform(low, high) / len(owed)
        positions = [LendingPosition(one.code, _amount(one, value), 0, True) for one, value in worth.items()]
        positions += [LendingPosition(one.code, 0, _amount(one, debt), False) for one in owed]
        key = AccountKey(DEPLOYMENT.id, Address(number.to_bytes(20, "big")))
        return AccountSnapshot(key, self._number + 1, tuple(sorted(positions, key=lambda p: p.market)), (0,))

    def _chosen(self, count: int) -> list[Listed]:
        weights = [1 / (place + 2) for place in range(RESERVES)]
        return list(dict.fromkeys(self._dice.choices(self._reserves, weights, k=count)))


def _amount(one: Listed, dollars: float) -> int:
    assert one.price is not None
    return int(dollars * 10**8 / one.price * 10**one.decimals)


def _hash(number: int) -> Hash32:
    return Hash32(number.to_bytes(32, "big"))
