"""The whole path: accounts found in logs, followed block by block, and what is stored of them then."""

from __future__ import annotations

import pytest

from app.domain.account import AccountSnapshot
from app.domain.chain import Address, ContractCall, Returned
from app.protocols.compound_v2 import ADAPTER, calls
from app.store.accounts import load_accounts
from app.store.blocks import load_block
from app.store.markets import load_markets, load_records
from app.store.postgres.engine import Database
from devnet.codec import words
from devnet.world import World
from tests.fixtures.devnet import WorldFactory
from tests.integration.test_indexer_devnet import Follower
from tests.protocols.compound_v2.test_devnet import HARD_TIMES, deployment_of

pytestmark = [pytest.mark.devnet, pytest.mark.database]


async def test_what_is_stored_of_every_wallet_gives_the_contracts_numbers_block_after_block(
    make_world: WorldFactory, database: Database
) -> None:
    world = make_world(wallets=36, seed=8, protocols=("venus",))
    followed = Follower(world, database, [deployment_of(world)])
    compared = 0
    try:
        await followed.follow_to(world.block_number)
        world.mine()
        await followed.follow_to(world.block_number)
        for block in range(25):
            if block == 8:
                for symbol, hundredths in HARD_TIMES.items():
                    world.set_price(symbol, world.prices()[symbol] * hundredths // 100)
            world.step()
            await followed.follow_to(world.block_number)
            compared += await compare_every_wallet(world, database)
    finally:
        await followed.reader.aclose()
    assert compared > 25 * 30


async def compare_every_wallet(world: World, database: Database) -> int:
    deployment = deployment_of(world)
    async with database.read() as session:
        block = await load_block(session, world.chain_id, world.block_number)
        assert block is not None
        assert block.ref.number == world.block_number
        records = await load_records(session, deployment.id, block)
        markets = await load_markets(session, deployment.id, block)
        stored = {account.key.wallet: account for account in await load_accounts(session, deployment.id, block)}
    priced = ADAPTER.restore_state(deployment, markets, records).at(block.ref.timestamp, block.ref.number)
    for wallet in world.wallets:
        account, truth = stored.get(wallet), liquidity(world, deployment.address, wallet)
        if account is None:
            assert truth == (0, 0), "an account nobody found"
            continue
        assert isinstance(account, AccountSnapshot)
        assert priced.truth(account) == truth
    return len(stored)


def liquidity(world: World, comptroller: Address, wallet: Address) -> tuple[int, ...]:
    answer = world.chain.try_call(
        ContractCall(comptroller, calls.GET_ACCOUNT_LIQUIDITY + bytes(12) + wallet), block_number=world.block_number
    )
    assert isinstance(answer, Returned)
    error, *numbers = words(answer.data)
    assert not error
    return tuple(numbers)
