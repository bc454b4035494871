"""Random life of a stored chain, one step a block: accounts, prices, thresholds, refusals, forks."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from app.domain.account import AccountKey, AccountState, Unreadable
from app.domain.batch import BlockBatch
from app.domain.market import MarketRecord
from app.store.blocks import StoredBlock, drop_blocks_above
from app.store.commit import commit_batch
from app.store.deployments import DeploymentTrouble, note_trouble, register_deployments
from app.store.postgres.engine import Database
from tests.fakes.pond import DOLLAR, ETHER, USD8, pond_account, pond_deployment, pond_markets, pond_records
from tests.fakes.site import DEVNET, block_ref, wallet

WALLETS = 24
SECOND = "pool-two"


@dataclass
class Tape:
    """What is stored, and the dice that decide what comes next. The second pool starts late."""

    database: Database
    seed: int
    blocks: list[StoredBlock] = field(default_factory=list)
    fork: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self._gap = 1

    async def grow(self) -> StoredBlock:
        """One block of random life."""
        if not self.blocks:
            async with self.database.write() as session:
                await register_deployments(session, [pond_deployment(), pond_deployment(id=SECOND)])
        number = self.blocks[-1].ref.number + self._gap if self.blocks else 1
        self._gap = 1
        pools = ["pond-devnet", *([SECOND] if number > 5 else [])]
        records: list[MarketRecord] = []
        accounts: list[AccountState] = []
        for pool in pools:
            records += self._records(pool)
            accounts += self._accounts(pool, number)
        markets = tuple(market for pool in pools for market in pond_markets(pool))
        ref = block_ref(number, fork=self.fork)
        async with self.database.write() as session:
            block = await commit_batch(session, BlockBatch(ref, markets, tuple(records), tuple(accounts)))
            if self.dice.random() < 0.15:
                text = self.dice.choice([None, "refused"])
                trouble = None if text is None else DeploymentTrouble(text, number)
                await note_trouble(session, self.dice.choice(pools), block.id, trouble)
        self.blocks.append(block)
        return block

    async def drop(self, count: int) -> None:
        """A reorg: the newest blocks vanish, and what comes next is another fork."""
        count = min(count, len(self.blocks) - 1)
        del self.blocks[len(self.blocks) - count :]
        if count:
            self.fork += 1
            self._gap = 2  # the next one names no parent that is stored
            async with self.database.write() as session:
                await drop_blocks_above(session, DEVNET, self.blocks[-1].ref.number)

    def _records(self, pool: str) -> tuple[MarketRecord, ...]:
        dice = self.dice
        weth = None if dice.random() < 0.08 else dice.randrange(1000, 4000) * USD8 + dice.randrange(USD8)
        threshold = 8000 if dice.random() < 0.85 else 7500
        return pond_records(pool, weth=weth, threshold_bps=threshold)

    def _accounts(self, pool: str, number: int) -> list[AccountState]:
        dice = self.dice
        touched = dice.sample(range(WALLETS), dice.randrange(0, 7) if self.blocks else WALLETS // 2)
        found: list[AccountState] = []
        for one in touched:
            if dice.random() < 0.1:
                found.append(Unreadable(AccountKey(pool, wallet(one)), number, "reverted"))
                continue
            weth = dice.choice([0, dice.randrange(5 * ETHER)])
            debt = dice.choice([0, 1, dice.randrange(9000 * DOLLAR)])
            account = pond_account(
                wallet(one), block_number=number, weth=weth, usdc=0, usdc_debt=debt, deployment_id=pool
            )
            found.append(account)
        return found
