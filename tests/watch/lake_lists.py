"""A list over the lake: one ether against 1,000 dollars of debt, so that health is 80 % of the price in thousands.

As a program (`python -m tests.watch.lake_lists <database URL>`): one run for cron, in a process of its own.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial

from app.book import Keeper
from app.domain.account import AccountKey
from app.domain.batch import BlockBatch
from app.domain.units import WAD
from app.domain.watch import Member, Metric, Rule, Severity
from app.store.blocks import StoredBlock
from app.store.chains import ChainStatus, observe
from app.store.commit import commit_batch
from app.store.deployments import register_deployments
from app.store.postgres.engine import Database
from app.store.watch.channels import NewChannel, NewRoute, store_channel, store_route
from app.store.watch.members import add_members
from app.store.watch.rules import create_rule
from app.store.watch.watchlists import create_list
from app.watch.evaluate import Evaluator
from app.watch.ledger import StoredLedger
from app.watch.measures import Measures
from app.watch.report import as_json
from app.watch.run import Runner
from tests.book.lake import find_lake
from tests.fakes.pond import DOLLAR, ETHER, USD8, pond_account, pond_deployment, pond_markets, pond_records
from tests.fakes.site import DEVNET, EPOCH, block_ref, wallet

WHO = AccountKey("pond-devnet", wallet(1))


async def set_up_lists(database: Database, wallets: int = 1) -> int:
    """One list, one rule, one channel; the list's id."""
    async with database.write() as session:
        await register_deployments(session, [pond_deployment()])
        list_id = await create_list(session, "treasury", "", EPOCH)
        members = [Member(wallet(number), label=f"cold {number}") for number in range(1, wallets + 1)]
        await add_members(session, list_id, members, EPOCH)
        levels = {Severity.WARNING: 12 * WAD // 10, Severity.CRITICAL: WAD}
        await create_rule(session, Rule(0, list_id, "health", Metric.HEALTH_FACTOR, levels, 13 * WAD // 10), EPOCH)
        channel = await store_channel(session, NewChannel("desk", "stdout", {}), EPOCH)
        await store_route(session, NewRoute(list_id, channel))
    return list_id


async def price_block(
    database: Database, number: int, ether_price: int | None, *, fork: int = 0, wallets: int = 1
) -> StoredBlock:
    """The next block, with this price of ether in dollars, and an indexer that has just seen it."""
    accounts = tuple(
        pond_account(wallet(one), block_number=number, weth=ETHER, usdc_debt=1000 * DOLLAR)
        for one in range(1, wallets + 1)
    )
    records = pond_records(weth=None if ether_price is None else ether_price * USD8)
    ref = block_ref(number, fork=fork)
    async with database.write() as session:
        seen = ChainStatus(DEVNET, number, ref.hash, ref.timestamp, None, None, ref.timestamp)
        await observe(session, seen)
        return await commit_batch(session, BlockBatch(ref, pond_markets(), records, accounts))


def lake_evaluator(database: Database) -> Evaluator:
    """As the monitor and the run for cron have."""
    return Evaluator(StoredLedger(database), Measures(database, adapters=find_lake), clock=lambda: EPOCH)


def lake_runner(database: Database, now: int = EPOCH + 5) -> Runner:
    """One run for cron."""
    keeper = partial(Keeper, database, adapters=find_lake)
    return Runner(database, lake_evaluator(database), lambda: now, keeper)


async def _run(url: str) -> None:
    database = Database(url)
    try:
        print(as_json(await lake_runner(database).look([DEVNET], []), Severity.WARNING))
    finally:
        await database.dispose()


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1]))
